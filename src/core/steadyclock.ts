// Core's clock: wall time that follows small corrections and no jump. A wall clock that steps (a bad RTC, a restored machine) would end
// sessions that are good and prolong others; it is said and not acted upon. Time in which the machine slept is real.

export interface Clocks {
  /** Unix milliseconds, which may jump. */
  readonly wall: () => number;
  /** Milliseconds that never jump, without the time of sleep. */
  readonly steady: () => number;
  /** The same with the time of sleep; coarse, and dearer to read. */
  readonly boot: () => number;
}

/** A correction up to this, between two looks, is followed; beyond it lies a step. */
const followMs = 1000;

export class SteadyClock {
  readonly #clocks: Clocks;
  readonly #stepped: (byMs: number) => void;
  #time: number;
  #steadyAt: number;
  #bootAt: number;
  #isDoubtful = false;

  /** `stepped` hears of a step, and with 0 that the wall clock agrees again. */
  constructor(clocks: Clocks, stepped: (byMs: number) => void) {
    this.#clocks = clocks;
    this.#stepped = stepped;
    this.#time = clocks.wall();
    this.#steadyAt = clocks.steady();
    this.#bootAt = clocks.boot();
  }

  now(): number {
    const wall = this.#clocks.wall();
    const steady = this.#clocks.steady();
    const expected = this.#time + steady - this.#steadyAt;
    if (Math.abs(wall - expected) <= followMs) return this.#follow(wall, steady);
    const boot = this.#clocks.boot();
    const awake = this.#time + Math.max(boot - this.#bootAt, steady - this.#steadyAt);
    if (Math.abs(wall - awake) <= followMs) return this.#follow(wall, steady);
    if (!this.#isDoubtful) {
      this.#isDoubtful = true;
      this.#stepped(wall - awake);
    }
    return Math.round(awake);
  }

  #follow(wall: number, steady: number): number {
    // Anchored anew once a second: the time since boot is dear to read.
    if (steady - this.#steadyAt >= 1000 || this.#isDoubtful) {
      this.#time = wall;
      this.#steadyAt = steady;
      this.#bootAt = this.#clocks.boot();
    }
    if (this.#isDoubtful) {
      this.#isDoubtful = false;
      this.#stepped(0);
    }
    return wall;
  }
}
