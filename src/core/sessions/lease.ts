// When a lease is renewed: after a third of it has passed, so that agents survive two lost renewals. Pure.

import type { Session } from '../store/sessions.ts';
import { leaseEnd } from './mint.ts';

/** A lease to write down and to tell these agents of. */
export interface Renewal {
  readonly id: string;
  readonly until: number;
  readonly agents: readonly string[];
}

/** When a lease is due and no agent is connected to hear of it, or it could not be written down. */
export const againMs = 10_000;

/** `connected` are the agents that hold the session and can be told. `next` is when to ask again, in unix milliseconds. */
export function nextLease(
  session: Session,
  connected: readonly string[],
  now: number,
): { readonly next: number; readonly renewal: Renewal | null } {
  const { lease } = session.policy;
  const until = leaseEnd(now, lease, session.expiresAt);
  if (until <= session.leaseUntil) return { next: Infinity, renewal: null }; // none, or it reaches to the end already
  const due = session.leaseUntil - (lease * 1000 * 2) / 3;
  if (now < due) return { next: due, renewal: null };
  // A lease that no agent heard of is not prolonged: its snapshot will do that.
  if (connected.length === 0) return { next: now + againMs, renewal: null };
  return { next: now + (lease * 1000) / 3, renewal: { id: session.id, until, agents: connected } };
}
