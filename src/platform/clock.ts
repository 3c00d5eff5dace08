// The two clocks. Protocol time is CLOCK_BOOTTIME, which goes on while the machine sleeps: a laptop that wakes after an
// hour must not still be logged in. (process.hrtime and performance.now stop.) Wall time only dates things for people,
// TAI64N and tokens.

import type { Word } from './ffi/ffi.ts';
import type { Libc } from './libc.ts';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC } from './constants.ts';

/** Only a pause of this length can have been a sleep worth noticing. */
const pauseMs = 1000;

export class Clock {
  readonly #libc: Libc;
  readonly #at: number;
  readonly #boot: Word;
  readonly #monotonic: Word;
  /** What boot time is ahead of the clock that stops in a suspend: all sleep so far. */
  #sleptMs: number;
  #seenMs: number;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#at = libc.arena.alloc(16);
    this.#boot = libc.ffi.word(CLOCK_BOOTTIME);
    this.#monotonic = libc.ffi.word(CLOCK_MONOTONIC);
    this.#seenMs = this.bootMs();
    this.#sleptMs = this.#seenMs - this.#read(this.#monotonic);
  }

  /** Milliseconds since boot, with a fraction; about 50 ns, so once per batch. */
  bootMs(): number {
    return this.#read(this.#boot);
  }

  /** Whether the machine slept since the last question. `bootMs` is the present; asked every turn it costs a comparison. */
  woke(bootMs: number): boolean {
    // Also in one millisecond of 64 without cause, so that the rest is compiled: else V8 discards the code of the turn at the
    // first packet after a silence.
    const isDue = bootMs - this.#seenMs > pauseMs || (bootMs & 63) === 0;
    this.#seenMs = bootMs;
    if (!isDue) return false;
    const before = this.#sleptMs;
    // Never less: a process that is stopped between the two clocks would seem to have slept at the next question.
    this.#sleptMs = Math.max(before, bootMs - this.#read(this.#monotonic));
    return this.#sleptMs - before >= pauseMs;
  }

  /** Unix milliseconds. */
  wallMs(): number {
    return Date.now();
  }

  #read(clock: Word): number {
    this.#libc.clockGettime(clock, this.#at);
    const { view } = this.#libc.arena;
    // Uptime seconds fit the low half of either word size.
    const seconds = view.getUint32(this.#at, true);
    return seconds * 1000 + view.getUint32(this.#at + this.#libc.layout.timespec.nanoseconds, true) / 1e6;
  }
}
