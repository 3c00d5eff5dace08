// The round-trip time and the retransmission timeout made of it (RFC 6298), in milliseconds.

const firstMs = 1000;
/** As Linux: TCP_RTO_MIN, and TCP_RTO_MAX halved. */
const minMs = 200;
const maxMs = 60_000;

export class Rtt {
  /** 0 until the first sample. */
  smoothMs = 0;
  minMs: number = Infinity;
  #varianceMs = 0;
  #baseMs = firstMs;
  #backoff = 0;

  get timeoutMs(): number {
    return Math.min(maxMs, this.#baseMs * 2 ** this.#backoff);
  }

  sample(ms: number): void {
    if (ms < this.minMs) this.minMs = ms;
    if (this.smoothMs === 0) {
      this.smoothMs = ms > 0 ? ms : 1;
      this.#varianceMs = ms / 2;
    } else {
      this.#varianceMs += (Math.abs(this.smoothMs - ms) - this.#varianceMs) / 4;
      this.smoothMs += (ms - this.smoothMs) / 8;
    }
    this.#baseMs = Math.max(minMs, this.smoothMs + 4 * this.#varianceMs);
  }

  /** Karn: after a timeout the interval doubles until something new is acknowledged. */
  backOff(): void {
    if (this.#backoff < 10) this.#backoff++;
  }

  progress(): void {
    this.#backoff = 0;
  }
}
