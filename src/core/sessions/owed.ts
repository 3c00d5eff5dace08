// Ends that the database could not take yet. Gateways and watchers hear of them at once; here they wait to be written down. At most
// one for each live session.

import type { EndReason } from '../../control/clientapi/reasons.ts';
import type { Session } from '../store/sessions.ts';
import { StoreTrouble } from '../store/trouble.ts';

export interface End {
  readonly session: Session;
  readonly reason: EndReason;
  readonly who: string;
  readonly at: number;
}

export class Owed {
  readonly #ends = new Map<string, End>();
  readonly #write: (ends: readonly End[]) => void;

  /** `write` takes all of them or throws. */
  constructor(write: (ends: readonly End[]) => void) {
    this.#write = write;
  }

  has(id: string): boolean {
    return this.#ends.has(id);
  }

  /** Written down now, or by a later `settle`. */
  record(end: End): void {
    // Where one waits already, the database is not asked again for each: asking takes time.
    if (this.#ends.size > 0) return void this.#ends.set(end.session.id, end);
    try {
      this.#write([end]);
    } catch (error) {
      if (!(error instanceof StoreTrouble)) throw error;
      this.#ends.set(end.session.id, end);
    }
  }

  /** Throws the trouble when the database still has it. */
  settle(): void {
    if (this.#ends.size === 0) return;
    this.#write([...this.#ends.values()]);
    this.#ends.clear();
  }
}
