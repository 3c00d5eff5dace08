// The two clocks without FFI: Node's clock, which stops in a sleep, plus the time slept as /proc/uptime tells it. The file is read once
// a second, and when the wall clock moved against Node's. Its hundredths are cut off, so each reading is a lower bound and the largest
// is kept: time never goes back, and is at most 10 ms late.

import { readFileSync } from 'node:fs';
import { errorText, PlainError } from '../util/errors.ts';

/** Where time comes from; replaced in tests. */
export interface TimeSource {
  readonly monotonicMs: () => number;
  readonly wallMs: () => number;
  readonly uptime: () => string;
}

const longestUnseenMs = 1000;
const noticedMs = 20;
/** As clock.ts: a shorter sleep is not worth noticing. */
const sleepMs = 1000;

const machine: TimeSource = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  uptime: () => readFileSync('/proc/uptime', 'latin1'),
};

export class Uptime {
  readonly #source: TimeSource;
  #offsetMs = -Infinity;
  #lookedAt = -Infinity;
  #difference = 0;
  /** The offset when `woke` was asked last. */
  #wokeAt: number;

  constructor(source: TimeSource = machine) {
    this.#source = source;
    this.#look();
    this.#wokeAt = this.#offsetMs;
  }

  /** Milliseconds since boot, suspend included. */
  bootMs(): number {
    const { monotonicMs, wallMs } = this.#source;
    const now = monotonicMs();
    if (now - this.#lookedAt < longestUnseenMs && Math.abs(wallMs() - now - this.#difference) < noticedMs)
      return now + this.#offsetMs;
    this.#look();
    return monotonicMs() + this.#offsetMs;
  }

  /** Whether the machine slept since the last question, as far as `bootMs` has noticed. */
  woke(): boolean {
    const sleptMs = this.#offsetMs - this.#wokeAt;
    this.#wokeAt = this.#offsetMs;
    return sleptMs >= sleepMs;
  }

  /** Unix milliseconds. */
  wallMs(): number {
    return this.#source.wallMs();
  }

  #look(): void {
    const { monotonicMs, wallMs, uptime } = this.#source;
    let text: string;
    try {
      text = uptime();
    } catch (error) {
      throw new PlainError('clock', `no time since boot: ${errorText(error)}; mount /proc`);
    }
    const bootMs = Number(/^\d+\.\d+/.exec(text)?.[0]) * 1000;
    if (!(bootMs > 0)) throw new PlainError('clock', `/proc/uptime says '${text.trim()}': expected seconds`);
    this.#lookedAt = monotonicMs();
    this.#difference = wallMs() - this.#lookedAt;
    this.#offsetMs = Math.max(this.#offsetMs, bootMs - this.#lookedAt);
  }
}
