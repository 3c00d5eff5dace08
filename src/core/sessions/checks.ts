// Checks: when each live session is looked at: when something of it is due, and at least once a minute. A thousand sessions are
// 70 ms of work, so a scan takes no more, and the rest waits for the next; by that they spread over time.

export interface Check {
  /** When the session was looked at last; 0 before the first time. */
  last: number;
  next: number;
}

export const scanEveryMs = 2000;
const atLeastEveryMs = 60_000;
const perScan = 1000;

export class Checks {
  readonly #all = new Map<string, Check>();
  #scannedAt = 0;

  /** Session `id` is looked at by `next`, or sooner if that was planned. */
  plan(id: string, next: number): void {
    const check = this.#all.get(id);
    if (check === undefined) this.#all.set(id, { last: 0, next });
    else check.next = Math.min(check.next, next);
  }

  has(id: string): boolean {
    return this.#all.has(id);
  }

  forget(id: string): void {
    this.#all.delete(id);
  }

  /** The sessions to look at now; nothing at all between two scans. Answer each with `done` or `forget`. */
  due(now: number): [id: string, check: Check][] {
    const steppedBack = now < this.#scannedAt;
    if (now - this.#scannedAt < scanEveryMs && !steppedBack) return [];
    this.#scannedAt = now;
    // The clock was set: what was planned for later may be due now.
    if (steppedBack) for (const check of this.#all.values()) check.next = now;
    const due: [string, Check][] = [];
    for (const entry of this.#all) {
      if (now < entry[1].next) continue;
      due.push(entry);
      if (due.length === perScan) break;
    }
    return due;
  }

  done(check: Check, now: number, next: number): void {
    check.last = now;
    check.next = Math.min(next, now + atLeastEveryMs);
  }
}
