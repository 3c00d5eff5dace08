// An agent that the administrator removes: it is told to let its sessions go, and each that no other agent carries ends everywhere.

import { CloseCode } from '../../control/wire/channel.ts';
import type { Store } from '../store/store.ts';
import type { Sessions } from './sessions.ts';

interface Parts {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly clock: () => number;
}

/** How many sessions have ended. Call it before the agent leaves the store. */
export function dismissAgent({ store, sessions, clock }: Parts, agent: string, why: string): number {
  const now = clock();
  let ended = 0;
  for (const { session } of store.sessions.grantsFor(agent, now)) {
    const { id, deviceKey, epoch } = session;
    const elsewhere = store.sessions
      .grants(id)
      .some(grant => grant.agent !== agent && (grant.state === 'acked' || grant.state === 'live'));
    if (!elsewhere) {
      sessions.end(id, 'agent-stopped', 'admin');
      ended++;
      continue;
    }
    sessions.hub.revoke(agent, id, deviceKey, epoch, 'agent-stopped', now);
    store.sessions.setGrant(id, agent, 'ended', 'agent-stopped');
  }
  sessions.hub.dismiss(agent, CloseCode.unauthenticated, why);
  return ended;
}
