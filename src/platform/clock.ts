// The two clocks. Protocol time is CLOCK_BOOTTIME, which goes on while the machine sleeps: a laptop that wakes after an
// hour must not still be logged in. (process.hrtime and performance.now stop.) Wall time only dates things for people,
// TAI64N and tokens.

import type { Word } from './ffi/ffi.ts';
import type { Libc } from './libc.ts';
import { CLOCK_BOOTTIME } from './constants.ts';

export class Clock {
  readonly #libc: Libc;
  readonly #at: number;
  readonly #boot: Word;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#at = libc.arena.alloc(16);
    this.#boot = libc.ffi.word(CLOCK_BOOTTIME);
  }

  /** Milliseconds since boot, with a fraction; about 50 ns, so once per batch. */
  bootMs(): number {
    this.#libc.clockGettime(this.#boot, this.#at);
    const { view } = this.#libc.arena;
    // Uptime seconds fit the low half of either word size.
    const seconds = view.getUint32(this.#at, true);
    return seconds * 1000 + view.getUint32(this.#at + this.#libc.layout.timespec.nanoseconds, true) / 1e6;
  }

  /** Unix milliseconds. */
  wallMs(): number {
    return Date.now();
  }
}
