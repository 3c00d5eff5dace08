// Bytes that wait for an acknowledgement: chunks as they came, read at any offset, dropped from the front.

export class SendQueue {
  bytes = 0;
  readonly #chunks: Uint8Array[] = [];
  /** Bytes of the first chunk that are gone. */
  #gone = 0;
  // Where the last read ended: reads are mostly in order.
  #index = 0;
  #indexAt = 0;

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Copies `bytes` bytes from `offset` to `to` in `u8`. */
  copy(offset: number, bytes: number, u8: Uint8Array, to: number): void {
    const from = offset + this.#gone;
    if (from < this.#indexAt) this.#index = this.#indexAt = 0;
    while (from >= this.#indexAt + this.#chunks[this.#index]!.length)
      this.#indexAt += this.#chunks[this.#index++]!.length;
    let index = this.#index;
    let within = from - this.#indexAt;
    for (let done = 0; done < bytes; index++, within = 0) {
      const chunk = this.#chunks[index]!;
      const part = Math.min(bytes - done, chunk.length - within);
      u8.set(chunk.subarray(within, within + part), to + done);
      done += part;
    }
  }

  drop(bytes: number): void {
    this.bytes -= bytes;
    this.#gone += bytes;
    let whole = 0;
    while (whole < this.#chunks.length && this.#gone >= this.#chunks[whole]!.length)
      this.#gone -= this.#chunks[whole++]!.length;
    if (whole === 0) return;
    this.#chunks.splice(0, whole);
    this.#index = this.#indexAt = 0;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.bytes = this.#gone = this.#index = this.#indexAt = 0;
  }
}
