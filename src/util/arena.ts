// The arena: one fixed block of memory that is at once system-call buffer, input of the ciphers and of WASM, and a typed
// array for TypeScript, so that a packet is copied no more often than the protocol asks. It never grows: a raw pointer
// into it stays valid for the life of the process. Allocation is a bump at start-up and never on the packet path.

export class Arena {
  readonly buffer: ArrayBufferLike;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  #next: number;

  /** `buffer` is usually `new WebAssembly.Memory({ initial, maximum: initial, shared: true }).buffer`. */
  constructor(buffer: ArrayBufferLike, reservedBytes = 0) {
    this.buffer = buffer;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.view = new DataView(buffer);
    this.#next = reservedBytes;
  }

  /** Offset of `bytes` fresh bytes aligned to `align` (a power of two). Throws when the arena is full: a sizing bug. */
  alloc(bytes: number, align = 64): number {
    const at = (this.#next + align - 1) & ~(align - 1);
    if (at + bytes > this.u8.length)
      throw new Error(`arena of ${this.u8.length} bytes is full: ${bytes} more wanted`);
    this.#next = at + bytes;
    return at;
  }

  /** Zeros until first written. Near to all else that a packet touches, unlike a fresh array. */
  int32(count: number): Int32Array {
    return new Int32Array(this.buffer, this.alloc(4 * count), count);
  }
}
