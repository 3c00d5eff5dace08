// When handshakes cost too much (M7, M12). The kernel looks at the length of its handshake queue; we do the
// work inline, so two things count as load: messages the caller says are waiting, and more messages in a second than the
// budget allows. Either way the load lasts a second longer, so that cookies do not flicker. A leaky bucket, no clock.

import { loadHoldMs, pendingUnderLoad } from '../constants.ts';

export class HandshakeLoad {
  /** Messages a second; from a measurement of how long one takes, where there is one. */
  budget: number;
  #level = 0;
  #since = 0;
  #until = -Infinity;

  constructor(budget: number) {
    this.budget = budget;
  }

  /** The caller's queue. */
  pending(now: number, messages: number): void {
    if (messages >= pendingUnderLoad) this.#until = now + loadHoldMs;
  }

  /** A message whose mac1 was right: answered or not, it is demand. */
  arrived(now: number): void {
    const drained = now > this.#since ? ((now - this.#since) * this.budget) / 1000 : 0;
    this.#level = Math.min(Math.max(0, this.#level - drained) + 1, 2 * this.budget + 1);
    this.#since = now;
    if (this.#level > this.budget) this.#until = now + loadHoldMs;
  }

  isUnder(now: number): boolean {
    return now < this.#until;
  }
}
