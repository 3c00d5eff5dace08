// What becomes of a fully proved login: a session, or the reason why there is none.

import type { GrantRefusal } from '../../control/trust/grant.ts';
import type { Session } from '../store/sessions.ts';

export interface Authorised {
  readonly ok: true;
  readonly session: Session;
  /** The PSK sealed to the client. */
  readonly granted: string;
  readonly loginDigest: string;
  readonly token: string;
}

export type NotAuthorised = {
  readonly ok: false;
  readonly code: 'no-agent' | 'agent-timeout' | 'agent-refused' | 'network-full' | 'kem-refused' | 'denied';
  /** With `agent-refused`: the agent's code. */
  readonly detail?: GrantRefusal;
};
