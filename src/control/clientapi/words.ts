// What all messages are made of: paths, tokens, reasons, errors. JSON; keys, nonces and MACs are base64; absolute times are unix
// milliseconds by Core's clock.

import { endReasons } from './reasons.ts';
import type { EndReason } from './reasons.ts';
import { count, id, literal, object, optional, pattern, string, time } from '../validate.ts';
import type { Shape, Shaped } from '../validate.ts';

export const paths = {
  /** On Core's agent listener. */
  agentEnrol: '/agent/v1/enrol',
  agentConnect: '/agent/v1/connect',
  /** On the Proxy's Core listener. */
  relay: '/relay/v1',
  /** On the Proxy's public listener. */
  enrol: '/api/v1/enrol',
  start: '/api/v1/mfa/start',
  step: '/api/v1/mfa/step',
  session: '/api/v1/session',
  extend: '/api/v1/session/extend',
  logout: '/api/v1/session/logout',
} as const;

/** One-time tokens and session tokens: a prefix that says which, and 32 base64url characters. */
export const joinToken: Shape<string> = pattern(/^spj_[A-Za-z0-9_-]{32}$/, 'a join token ("spj_…")', 36);
export const enrolToken: Shape<string> = pattern(
  /^spe_[A-Za-z0-9_-]{32}$/,
  'an enrolment token ("spe_…")',
  36,
);
export const sessionToken: Shape<string> = pattern(
  /^sps_[A-Za-z0-9_-]{32}$/,
  'a session token ("sps_…")',
  36,
);

/** `HOST:PORT`, a name, an IPv4 address or an IPv6 address in brackets. */
export const endpointText: Shape<string> = pattern(
  /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$/,
  'an endpoint such as "gate.example:51820"',
  300,
);

export type Counters = Shaped<{ rx: Shape<number>; tx: Shape<number>; handshakes: Shape<number> }>;
export const counters: Shape<Counters> = object({ rx: count, tx: count, handshakes: count });

export const endReason: Shape<EndReason> = literal(...endReasons);

/** Answers 4xx and 5xx. `retryAfter` in seconds; `time` is Core's clock, sent with "clock-skew". */
export interface ErrorBody {
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly retryAfter?: number;
    readonly time?: number;
  };
}
export const errorBody: Shape<ErrorBody> = object({
  error: object({ code: id, message: string(500), retryAfter: optional(count), time: optional(time) }),
});
