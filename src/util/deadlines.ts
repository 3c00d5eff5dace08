// Deadlines as data: an indexed binary min-heap of (slot, time). One slot per owner (a peer, a session); moving a deadline
// is O(log n), reading the earliest is O(1), so ten thousand idle peers cost nothing. Times are milliseconds on whatever
// clock the owner uses; Infinity means "none" and is kept out of the heap.

export class Deadlines {
  #time: Float64Array;
  #position: Int32Array; // slot -> heap position, -1 when absent
  #heap: Int32Array; // heap position -> slot
  #size = 0;

  constructor(capacity = 64) {
    this.#time = new Float64Array(capacity).fill(Infinity);
    this.#position = new Int32Array(capacity).fill(-1);
    this.#heap = new Int32Array(capacity);
  }

  /** Sets, moves or (with Infinity) clears the deadline of `slot`, a small non-negative integer. */
  set(slot: number, time: number): void {
    if (slot >= this.#time.length) this.#grow(slot + 1);
    const old = this.#time[slot]!;
    if (time === old) return;
    this.#time[slot] = time;
    let at = this.#position[slot]!;
    if (time === Infinity) {
      const last = this.#heap[--this.#size]!;
      this.#position[slot] = -1;
      if (last === slot) return;
      this.#place(last, at);
      this.#up(at);
      this.#down(this.#position[last]!);
      return;
    }
    if (at < 0) {
      at = this.#size++;
      this.#place(slot, at);
    }
    if (time < old) this.#up(at);
    else this.#down(at);
  }

  of(slot: number): number {
    return this.#time[slot] ?? Infinity;
  }

  /** The earliest time, or Infinity. */
  get earliest(): number {
    return this.#size === 0 ? Infinity : this.#time[this.#heap[0]!]!;
  }

  /** The slot with the earliest time, or -1. */
  get first(): number {
    return this.#size === 0 ? -1 : this.#heap[0]!;
  }

  #place(slot: number, at: number): void {
    this.#heap[at] = slot;
    this.#position[slot] = at;
  }

  #up(from: number): void {
    const slot = this.#heap[from]!;
    const time = this.#time[slot]!;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const other = this.#heap[parent]!;
      if (this.#time[other]! <= time) break;
      this.#place(other, at);
      at = parent;
    }
    this.#place(slot, at);
  }

  #down(from: number): void {
    const slot = this.#heap[from]!;
    const time = this.#time[slot]!;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#time[this.#heap[child + 1]!]! < this.#time[this.#heap[child]!]!)
        child++;
      const other = this.#heap[child]!;
      if (this.#time[other]! >= time) break;
      this.#place(other, at);
      at = child;
    }
    this.#place(slot, at);
  }

  #grow(need: number): void {
    const capacity = Math.max(need, this.#time.length * 2);
    const time = new Float64Array(capacity).fill(Infinity);
    time.set(this.#time);
    const position = new Int32Array(capacity).fill(-1);
    position.set(this.#position);
    const heap = new Int32Array(capacity);
    heap.set(this.#heap);
    this.#time = time;
    this.#position = position;
    this.#heap = heap;
  }
}
