// The receiving half: bytes in order go out at once, the others wait in a list that the window bounds. The right edge of the window
// never moves back (RFC 9293 §3.8.6.2.2).

import type { Segment } from './header.ts';
import { add, distance } from './sequence.ts';

type Part = { start: number; end: number; readonly bytes: Uint8Array };

export interface Reader {
  /** Takes bytes in order; they are only valid during the call. */
  deliver(bytes: Uint8Array): void;
  /** Bytes delivered that have not left yet. */
  readonly backlog: number;
}

/** Parts that may wait out of order. */
const maxParts = 256;

export class Receiver {
  next: number;
  /** The sequence number of the peer's FIN, once it came. */
  finAt: number | null = null;
  isFinished = false;
  readonly #reader: Reader;
  readonly #limitBytes: number;
  #edge: number;
  #waitingBytes = 0;
  readonly #parts: Part[] = [];
  #latest = -1;

  constructor(reader: Reader, next: number, limitBytes: number) {
    this.#reader = reader;
    this.next = next;
    this.#edge = next;
    this.#limitBytes = limitBytes;
  }

  /** The sequence number after the peer's SYN. */
  begin(next: number): void {
    this.next = this.#edge = next;
  }

  /** Bytes wait for others before them. */
  get hasGap(): boolean {
    return this.#parts.length > 0;
  }

  /** The window to announce, in bytes, at most `largest`; remembers the edge. */
  announce(granularity: number, largest: number): number {
    const bytes = Math.min(largest, this.window());
    const whole = bytes - (bytes % granularity);
    const edge = add(this.next, whole);
    if (distance(edge, this.#edge) > 0) this.#edge = edge;
    return Math.max(0, distance(this.#edge, this.next));
  }

  window(): number {
    const room = this.#limitBytes - this.#reader.backlog - this.#waitingBytes;
    return Math.max(0, room, distance(this.#edge, this.next));
  }

  /** Bytes by which the window would grow if it were announced now. */
  get gain(): number {
    return this.window() - Math.max(0, distance(this.#edge, this.next));
  }

  /** Whether any part of the segment lies in the window (RFC 9293 §3.10.7.4). */
  accepts(segment: Segment): boolean {
    const window = Math.max(0, distance(this.#edge, this.next));
    const length = segment.payloadBytes + (segment.flags & 1);
    const start = distance(segment.sequence, this.next);
    if (window === 0) return start === 0 && length === 0;
    if (length === 0) return start >= 0 && start < window;
    return start < window && start + length > 0;
  }

  /** Takes what lies in the window. True when bytes came in order. */
  take(u8: Uint8Array, segment: Segment): boolean {
    const window = Math.max(0, distance(this.#edge, this.next));
    let start = distance(segment.sequence, this.next);
    let at = segment.payloadAt;
    let bytes = segment.payloadBytes;
    if ((segment.flags & 1) !== 0 && start + bytes <= window) this.finAt ??= add(segment.sequence, bytes);
    if (start < 0) {
      at -= start;
      bytes += start;
      start = 0;
    }
    bytes = Math.min(bytes, window - start);
    if (bytes > 0 && start > 0) {
      this.#keep(add(this.next, start), u8.slice(at, at + bytes));
      return false;
    }
    if (bytes > 0) {
      this.#reader.deliver(u8.subarray(at, at + bytes));
      this.next = add(this.next, bytes);
      this.#drain();
    }
    if (this.finAt === this.next && !this.isFinished) {
      this.next = add(this.next, 1);
      this.isFinished = true;
    }
    return true;
  }

  /** Fills `start` and `end` with up to `max` blocks, the latest first (RFC 2018 §4). */
  blocks(start: Int32Array, end: Int32Array, max: number): number {
    let count = 0;
    const parts = this.#parts;
    for (let turn = 0; turn < 2; turn++) {
      for (let i = 0; i < parts.length && count < max;) {
        const from = parts[i]!.start;
        let to = parts[i]!.end;
        let isLatest = false;
        for (; i < parts.length && distance(parts[i]!.start, to) <= 0; i++) {
          to = parts[i]!.end;
          if (parts[i]!.start === this.#latest) isLatest = true;
        }
        if (isLatest !== (turn === 0)) continue;
        start[count] = from;
        end[count++] = to;
      }
    }
    return count;
  }

  clear(): void {
    this.#parts.length = this.#waitingBytes = 0;
  }

  /** Keeps the parts sorted and free of overlap: what is there already wins. */
  #keep(start: number, bytes: Uint8Array): void {
    const parts = this.#parts;
    if (parts.length >= maxParts) return;
    let at = parts.length;
    while (at > 0 && distance(parts[at - 1]!.start, start) > 0) at--;
    const before = parts[at - 1];
    const skip = before === undefined ? 0 : Math.max(0, distance(before.end, start));
    const after = parts[at];
    const room = after === undefined ? bytes.length : Math.min(bytes.length, distance(after.start, start));
    if (room <= skip) return;
    const kept = bytes.subarray(skip, room);
    this.#latest = add(start, skip);
    parts.splice(at, 0, { start: this.#latest, end: add(this.#latest, kept.length), bytes: kept });
    this.#waitingBytes += kept.length;
  }

  #drain(): void {
    const parts = this.#parts;
    let used = 0;
    for (; used < parts.length && distance(parts[used]!.start, this.next) <= 0; used++) {
      const part = parts[used]!;
      this.#waitingBytes -= part.bytes.length;
      const skip = distance(this.next, part.start);
      if (skip >= part.bytes.length) continue;
      this.#reader.deliver(part.bytes.subarray(skip));
      this.next = part.end;
    }
    parts.splice(0, used);
  }
}
