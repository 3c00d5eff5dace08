// Which ends, seen by one agent alone, leave a session alive at another one. Pure.

import type { EndReason } from '../../control/clientapi/reasons.ts';
import type { StoredGrant } from '../store/sessions.ts';

/** Ends that one agent sees by itself: they end the session only where no other agent still carries it. */
const localReasons: ReadonlySet<EndReason> = new Set<EndReason>([
  'stale',
  'idle',
  'unclaimed',
  'lease',
  'roamed',
  'agent-stopped',
]);

/** True when an end for `reason` at one agent does not end the session, since one of the `others` carries it. */
export function goesOn(reason: EndReason, others: readonly StoredGrant[]): boolean {
  if (!localReasons.has(reason)) return false;
  return others.some(({ state }) => state === 'live' || (reason === 'unclaimed' && state === 'acked'));
}
