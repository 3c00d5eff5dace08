// Core's wall clock as this machine knows it: an offset to the clock that counts suspend, learnt from Core, or taken from the
// system clock while that looks sane. A router that boots with a wrong date must refuse new grants and say so; a step of
// the wall clock later on changes nothing, because the offset does not follow it. Pure.

export type ClockSource = 'core' | 'system' | 'none';

export class CoreClock {
  readonly #bootMs: () => number;
  readonly #systemMs: () => number;
  readonly #earliestMs: number;
  #offsetMs = 0;
  source: ClockSource = 'none';

  /** `earliestMs`: the latest time this gateway has seen in an earlier life, or the release date; before it no clock is sane. */
  constructor(bootMs: () => number, systemMs: () => number, earliestMs: number) {
    this.#bootMs = bootMs;
    this.#systemMs = systemMs;
    this.#earliestMs = earliestMs;
    this.#look();
  }

  /** Unix milliseconds by Core's clock, or null while it is not known. */
  get wallMs(): number | null {
    if (this.source === 'none') this.#look();
    return this.source === 'none' ? null : Math.floor(this.#bootMs() + this.#offsetMs);
  }

  /** Core said what time it is, in a message that is known to be Core's. Returns how far the system clock is off. */
  learn(coreMs: number): number {
    this.#offsetMs = coreMs - this.#bootMs();
    this.source = 'core';
    return this.#systemMs() - coreMs;
  }

  /** NTP may have put the system clock right since the last look. */
  #look(): void {
    const system = this.#systemMs();
    if (system < this.#earliestMs) return;
    this.#offsetMs = system - this.#bootMs();
    this.source = 'system';
  }
}
