// CUBIC (RFC 9438): the congestion window in bytes as a function of the time since the last loss, never below what Reno would have.

const c = 0.4;
const beta = 0.7;
/** RFC 6928. */
const firstSegments = 10;

export class Cubic {
  windowBytes: number;
  thresholdBytes: number = Infinity;
  readonly #mss: number;
  // In segments.
  #largest = 0;
  #epochAt = -1;
  #kSeconds = 0;
  #origin = 0;
  #reno = 0;

  constructor(mss: number) {
    this.#mss = mss;
    this.windowBytes = firstSegments * mss;
  }

  /** `bytes` were acknowledged while the window was in use. */
  acknowledged(now: number, bytes: number, roundTripMs: number): void {
    if (this.windowBytes < this.thresholdBytes) {
      this.windowBytes += bytes;
      return;
    }
    const window = this.windowBytes / this.#mss;
    if (this.#epochAt < 0) this.#begin(now, window);
    const seconds = (now - this.#epochAt + roundTripMs) / 1000;
    const target = this.#origin + c * (seconds - this.#kSeconds) ** 3;
    const segments = bytes / this.#mss;
    this.#reno += ((3 * (1 - beta)) / (1 + beta)) * (segments / window);
    const growth = Math.min(Math.max(0, target - window), window / 2) * (segments / window);
    this.windowBytes = Math.max(window + growth, this.#reno) * this.#mss;
  }

  /** A loss that SACK or duplicates have shown. */
  lost(): void {
    this.#cut();
    this.windowBytes = this.thresholdBytes;
  }

  /** A loss that only the timer has shown. */
  timedOut(): void {
    this.#cut();
    this.windowBytes = this.#mss;
  }

  #begin(now: number, window: number): void {
    this.#epochAt = now;
    this.#reno = window;
    this.#origin = Math.max(this.#largest, window);
    this.#kSeconds = Math.cbrt((this.#origin - window) / c);
  }

  #cut(): void {
    const window = this.windowBytes / this.#mss;
    // Fast convergence: a flow that did not reach its last maximum leaves room to others.
    this.#largest = window < this.#largest ? (window * (1 + beta)) / 2 : window;
    this.#epochAt = -1;
    this.thresholdBytes = Math.max(2, window * beta) * this.#mss;
  }
}
