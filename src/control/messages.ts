// Every word spoken between roles: frames of the agent channel and of the relay channel, and the HTTP bodies of clients and
// agents, each as a type and a shape. JSON; keys, nonces and MACs are base64; absolute times are unix milliseconds by Core's
// clock. Unknown frame types are counted and ignored, unknown fields are ignored, malformed frames close the channel.

import { grantMaxBytes, grantRefusals } from './grant.ts';
import type { GrantRefusal } from './grant.ts';
import { endReasons } from './reasons.ts';
import type { EndReason } from './reasons.ts';
import { kemPublicKeyText, sealedText } from './seal.ts';
import {
  base64,
  boolean,
  check,
  count,
  id,
  integer,
  key32,
  label,
  list,
  literal,
  object,
  optional,
  pattern,
  prefixText,
  string,
  time,
} from './validate.ts';
import type { Shape, Shaped } from './validate.ts';

export const agentProtocol = 'sallyport.agent.v1';
export const relayProtocol = 'sallyport.proxy.v1';
export const frameMaxBytes = 65_536;
/** Grants per `snapshot` frame: 16 of at most 3.5 KB stay below the frame limit. */
export const snapshotChunk = 16;

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

// --- shared parts -------------------------------------------------------------------------------------------------------

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
  /^(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?):[1-9][0-9]{0,4}$/,
  'an endpoint such as "gate.example:51820"',
  300,
);

const counters = object({ rx: count, tx: count, handshakes: count });
export type Counters = Shaped<{ rx: Shape<number>; tx: Shape<number>; handshakes: Shape<number> }>;

const endReason: Shape<EndReason> = literal(...endReasons);
const sequence: Shape<number> = count;
const grantText: Shape<string> = string(grantMaxBytes, 1);

// --- agent channel: Core -> agent ---------------------------------------------------------------------------------------

/** What the agent needs to know about its location beside its own configuration. */
export interface AgentConfig {
  readonly location: string;
  readonly name: string;
  /** Addresses of the gateway inside the tunnel, with prefix length: "10.77.0.1/24". */
  readonly addresses: readonly string[];
  readonly mtu: number;
  readonly keepalive: number;
}

const agentConfig: Shape<AgentConfig> = object({
  location: id,
  name: label,
  addresses: list(prefixText, 16),
  mtu: integer(576, 65_535),
  keepalive: integer(0, 65_535),
});

/** A grant and how long its lease runs now (unix ms, 0 is no lease): the signed text is older than the last renewal. */
const leasedGrant = object({ grant: grantText, until: time });
export type LeasedGrant = Shaped<{ grant: Shape<string>; until: Shape<number> }>;

export type CoreFrame =
  | { readonly type: 'challenge'; readonly nonce: string; readonly time: number }
  /** `signature` covers `welcomeTranscript` and proves that the other end holds the pinned key. */
  | {
      readonly type: 'welcome';
      readonly time: number;
      readonly config: AgentConfig;
      readonly signature: string;
    }
  /** Chunks of the whole state, then `snapshotEnd`. What is omitted is revoked. Deltas go on from its `seq` + 1. */
  | { readonly type: 'snapshot'; readonly grants: readonly LeasedGrant[] }
  | { readonly type: 'snapshotEnd'; readonly seq: number }
  | { readonly type: 'grant'; readonly seq: number; readonly grant: string; readonly until: number }
  | { readonly type: 'renew'; readonly seq: number; readonly id: string; readonly until: number }
  /** Ends every peer of the device whose epoch is not higher than `epoch`, and bars grants up to it. */
  | {
      readonly type: 'revoke';
      readonly seq: number;
      readonly id: string;
      readonly device: string;
      readonly epoch: number;
      readonly reason: EndReason;
    }
  | { readonly type: 'config'; readonly seq: number; readonly config: AgentConfig }
  /** Core has written the end of this session down; the agent may forget it. */
  | { readonly type: 'noted'; readonly id: string }
  | { readonly type: 'ping'; readonly n: number; readonly time: number };

const coreFrames: FrameShapes<CoreFrame> = {
  challenge: object({ type: literal('challenge'), nonce: key32, time }),
  welcome: object({ type: literal('welcome'), time, config: agentConfig, signature: base64(64) }),
  snapshot: object({ type: literal('snapshot'), grants: list(leasedGrant, 64) }),
  snapshotEnd: object({ type: literal('snapshotEnd'), seq: sequence }),
  grant: object({ type: literal('grant'), seq: sequence, grant: grantText, until: time }),
  renew: object({ type: literal('renew'), seq: sequence, id, until: time }),
  revoke: object({
    type: literal('revoke'),
    seq: sequence,
    id,
    device: key32,
    epoch: count,
    reason: endReason,
  }),
  config: object({ type: literal('config'), seq: sequence, config: agentConfig }),
  noted: object({ type: literal('noted'), id }),
  ping: object({ type: literal('ping'), n: count, time }),
};

// --- agent channel: agent -> Core ---------------------------------------------------------------------------------------

export type SessionEventKind = 'confirmed' | 'roamed' | 'ended';

export interface SessionStats {
  readonly id: string;
  /** Differences since the last report of this boot. */
  readonly rx: number;
  readonly tx: number;
  readonly handshakes: number;
  readonly sinceHandshakeMs: number;
}

export type AgentFrame =
  /** `signature` covers `helloTranscript`; `nonce` is the agent's own challenge to Core. */
  | {
      readonly type: 'hello';
      readonly agentId: string;
      readonly bootId: string;
      readonly version: string;
      readonly caps: readonly string[];
      readonly nonce: string;
      readonly signature: string;
    }
  | { readonly type: 'granted'; readonly id: string }
  | { readonly type: 'refused'; readonly id: string; readonly code: GrantRefusal }
  | { readonly type: 'revoked'; readonly id: string; readonly device: string; readonly epoch: number }
  /** The snapshot up to `seq` is in force, all but the refused grants of it. */
  | {
      readonly type: 'synced';
      readonly seq: number;
      readonly grants: number;
      readonly refused: readonly { readonly id: string; readonly code: GrantRefusal }[];
    }
  /** A gap in `seq` was seen: send a new snapshot. */
  | { readonly type: 'resync'; readonly seq: number }
  /** `ended` is repeated after a reconnect until Core answers `noted`. */
  | {
      readonly type: 'session';
      readonly id: string;
      readonly event: SessionEventKind;
      readonly reason?: EndReason;
      readonly counters: Counters;
      readonly sinceHandshakeMs?: number;
      readonly endpoint?: string;
    }
  | { readonly type: 'stats'; readonly bootId: string; readonly sessions: readonly SessionStats[] }
  | { readonly type: 'pong'; readonly n: number };

const refusal: Shape<GrantRefusal> = literal(...grantRefusals);

const agentFrames: FrameShapes<AgentFrame> = {
  hello: object({
    type: literal('hello'),
    agentId: id,
    bootId: id,
    version: label,
    caps: list(id, 32),
    nonce: key32,
    signature: base64(64),
  }),
  granted: object({ type: literal('granted'), id }),
  refused: object({ type: literal('refused'), id, code: refusal }),
  revoked: object({ type: literal('revoked'), id, device: key32, epoch: count }),
  synced: object({
    type: literal('synced'),
    seq: sequence,
    grants: count,
    refused: list(object({ id, code: refusal }), 512),
  }),
  resync: object({ type: literal('resync'), seq: sequence }),
  session: object({
    type: literal('session'),
    id,
    event: literal('confirmed', 'roamed', 'ended'),
    reason: optional(endReason),
    counters,
    sinceHandshakeMs: optional(count),
    endpoint: optional(string(64)),
  }),
  stats: object({
    type: literal('stats'),
    bootId: id,
    sessions: list(object({ id, rx: count, tx: count, handshakes: count, sinceHandshakeMs: count }), 256),
  }),
  pong: object({ type: literal('pong'), n: count }),
};

/** What an agent signs in `hello`. */
export function helloTranscript(
  challenge: string,
  hello: { agentId: string; bootId: string; version: string; caps: readonly string[]; nonce: string },
): Uint8Array {
  const fields = [challenge, hello.agentId, hello.bootId, hello.version, hello.caps, hello.nonce];
  return new TextEncoder().encode('sallyport agent hello v1\0' + JSON.stringify(fields));
}

/** What Core signs in `welcome`. */
export function welcomeTranscript(helloNonce: string, agentId: string, welcomeTime: number): Uint8Array {
  return new TextEncoder().encode(
    'sallyport core welcome v1\0' + JSON.stringify([helloNonce, agentId, welcomeTime]),
  );
}

// --- relay channel ------------------------------------------------------------------------------------------------------

/** Proxy -> Core. Bodies are opaque to the Proxy. */
export type RelayRequest =
  | {
      readonly type: 'request';
      readonly n: number;
      readonly method: 'GET' | 'POST';
      readonly path: string;
      /** Address of the client, as the Proxy saw it. */
      readonly source: string;
      readonly authorization?: string;
      readonly body: string;
    }
  /** The client went away. */
  | { readonly type: 'abort'; readonly n: number }
  | { readonly type: 'ping'; readonly n: number };

/** Core -> Proxy: one `response`, or `stream`, any number of `event`, and `end`. */
export type RelayAnswer =
  | { readonly type: 'response'; readonly n: number; readonly status: number; readonly body: string }
  | { readonly type: 'stream'; readonly n: number }
  | { readonly type: 'event'; readonly n: number; readonly event: string; readonly data: string }
  | { readonly type: 'end'; readonly n: number }
  | { readonly type: 'pong'; readonly n: number };

/** Of a request, and of an answer. JSON in JSON grows by its quotes, so both stay well below the frame limit. */
export const relayBodyMaxBytes = 16_384;
export const relayAnswerMaxBytes = 40_000;

const relayRequests: FrameShapes<RelayRequest> = {
  request: object({
    type: literal('request'),
    n: count,
    method: literal('GET', 'POST'),
    path: string(256, 1),
    source: string(64, 1),
    authorization: optional(string(256)),
    body: string(relayBodyMaxBytes),
  }),
  abort: object({ type: literal('abort'), n: count }),
  ping: object({ type: literal('ping'), n: count }),
};

const relayAnswers: FrameShapes<RelayAnswer> = {
  response: object({
    type: literal('response'),
    n: count,
    status: integer(200, 599),
    body: string(relayAnswerMaxBytes),
  }),
  stream: object({ type: literal('stream'), n: count }),
  event: object({ type: literal('event'), n: count, event: id, data: string(4096) }),
  end: object({ type: literal('end'), n: count }),
  pong: object({ type: literal('pong'), n: count }),
};

// --- HTTP bodies: agent enrolment ---------------------------------------------------------------------------------------

export const agentEnrolRequest: Shape<AgentEnrolRequest> = object({
  joinToken,
  wgPublicKey: key32,
  signPublicKey: key32,
  kemPublicKey: kemPublicKeyText,
  name: label,
});
export type AgentEnrolRequest = {
  joinToken: string;
  wgPublicKey: string;
  /** Ed25519, base64. */
  signPublicKey: string;
  kemPublicKey: string;
  name: string;
};

export const agentEnrolAnswer: Shape<AgentEnrolAnswer> = object({
  agentId: id,
  location: id,
  coreKeys: list(key32, 8, 1),
  config: agentConfig,
});
export type AgentEnrolAnswer = {
  agentId: string;
  /** Location id. */
  location: string;
  /** Ed25519 keys of Core to pin, base64. */
  coreKeys: string[];
  config: AgentConfig;
};

// --- HTTP bodies: clients -----------------------------------------------------------------------------------------------

/** Everything a tunnel needs but the private key and the PSK. */
export interface TunnelConfig {
  /** Inner addresses of the device: "10.77.0.2/32". */
  readonly addresses: readonly string[];
  readonly dns: readonly string[];
  readonly mtu: number;
  readonly allowedIps: readonly string[];
  readonly keepalive: number;
  /** Gateways of the location, a connected one first; empty until an agent has been enrolled. */
  readonly gateways: readonly { readonly publicKey: string; readonly endpoint: string }[];
}

const tunnelConfig: Shape<TunnelConfig> = object({
  addresses: list(prefixText, 16),
  dns: list(string(64), 8),
  mtu: integer(576, 65_535),
  allowedIps: list(prefixText, 256),
  keepalive: integer(0, 65_535),
  gateways: list(object({ publicKey: key32, endpoint: endpointText }), 16),
});

export const enrolRequest: Shape<EnrolRequest> = object({
  token: enrolToken,
  devicePublicKey: key32,
  name: label,
});
export type EnrolRequest = { token: string; devicePublicKey: string; name: string };

export interface EnrolledLocation {
  readonly id: string;
  readonly name: string;
  readonly mfa: 'internal';
  readonly methods: readonly string[];
  /** X25519 public key of Core for device proofs at this location, base64. */
  readonly proofKey: string;
  /** Core wants the hybrid KEM here (the default), or accepts plain X25519 too. */
  readonly kem: 'xwing' | 'x25519-allowed';
  readonly config: TunnelConfig;
}

export type EnrolAnswer = { device: string; user: string; locations: EnrolledLocation[] };
export const enrolAnswer: Shape<EnrolAnswer> = object({
  device: id,
  user: label,
  locations: list(
    object({
      id,
      name: label,
      mfa: literal('internal'),
      methods: list(id, 16),
      proofKey: key32,
      kem: literal('xwing', 'x25519-allowed'),
      config: tunnelConfig,
    }),
    256,
  ),
});

/** `proof` is `makeProof(key, 'start', { location, device, time, nonce, details: [kemPublicKey, ...methods] })`. */
export const startRequest: Shape<StartRequest> = object({
  location: id,
  device: key32,
  methods: optional(list(id, 8)),
  kemPublicKey: kemPublicKeyText,
  time,
  nonce: key32,
  proof: key32,
});
export type StartRequest = {
  location: string;
  device: string;
  methods?: string[];
  kemPublicKey: string;
  time: number;
  nonce: string;
  proof: string;
};

/** What Core wants next: any one of these methods. */
export interface LoginStep {
  readonly methods: readonly string[];
  /** 1 of 2, 2 of 2. */
  readonly index: number;
  readonly of: number;
}

const loginStep: Shape<LoginStep> = object({
  methods: list(id, 16, 1),
  index: integer(1, 8),
  of: integer(1, 8),
});

/** `expiresIn` in seconds. */
export type StartAnswer = { login: string; step: LoginStep; expiresIn: number };
export const startAnswer: Shape<StartAnswer> = object({
  login: id,
  step: loginStep,
  expiresIn: integer(1, 86_400),
});

/** `method` "resume" (no response needed) asks again for the grant of a login whose codes were accepted already. */
export const stepRequest: Shape<StepRequest> = object({ login: id, method: id, response: string(1024) });
export type StepRequest = { login: string; method: string; response: string };

export interface SessionInfo {
  readonly id: string;
  readonly location: string;
  /** Unix ms by Core's clock, and what it was when Core wrote this. */
  readonly expiresAt: number;
  readonly now: number;
  /** Seconds, as in the grant. */
  readonly stale: number;
  readonly idle: number;
  readonly claim: number;
}

const sessionInfo: Shape<SessionInfo> = object({
  id,
  location: id,
  expiresAt: time,
  now: time,
  stale: count,
  idle: count,
  claim: count,
});

export type StepAnswer =
  | { step: LoginStep }
  | {
      /** The PSK sealed to `kemPublicKey` of the start, purpose "client", transcript { grant: session.id, device, location, login }. */
      granted: string;
      /** `loginDigest(nonce, login)`; recompute it rather than believing it. */
      login: string;
      config: TunnelConfig;
      session: SessionInfo;
      /** For `GET /api/v1/session` as `Authorization: Bearer …`. It can watch the session, nothing else. */
      token: string;
    };
const stepNext = object({ step: loginStep });
const stepGranted = object({
  granted: sealedText,
  login: key32,
  config: tunnelConfig,
  session: sessionInfo,
  token: sessionToken,
});
export const stepAnswer: Shape<StepAnswer> = (value, path) =>
  typeof value === 'object' && value !== null && 'step' in value
    ? stepNext(value, path)
    : stepGranted(value, path);

/** Extend and logout. `proof` is `makeProof(key, 'extend' | 'logout', { location, device, time, nonce, details: [session] })`. */
export const sessionRequest: Shape<SessionRequest> = object({
  location: id,
  device: key32,
  session: id,
  time,
  nonce: key32,
  proof: key32,
});
export type SessionRequest = {
  location: string;
  device: string;
  session: string;
  time: number;
  nonce: string;
  proof: string;
};

export type ExtendAnswer = { session: SessionInfo };
export const extendAnswer: Shape<ExtendAnswer> = object({ session: sessionInfo });
export type LogoutAnswer = { ended: boolean };
export const logoutAnswer: Shape<LogoutAnswer> = object({ ended: boolean });

/** Events of `GET /api/v1/session` (server-sent events; `data` is this JSON, `event` its `event`). */
export type SessionEvent =
  | { event: 'state'; session: SessionInfo; confirmed: boolean }
  | { event: 'warn'; secondsLeft: number }
  | { event: 'extended'; session: SessionInfo }
  | { event: 'ended'; reason: EndReason };

export const sessionEvent: Shape<SessionEvent> = (value, path) => {
  const { event } = object({ event: literal('state', 'warn', 'extended', 'ended') })(value, path);
  switch (event) {
    case 'state':
      return object({ event: literal('state'), session: sessionInfo, confirmed: boolean })(value, path);
    case 'warn':
      return object({ event: literal('warn'), secondsLeft: count })(value, path);
    case 'extended':
      return object({ event: literal('extended'), session: sessionInfo })(value, path);
    case 'ended':
      return object({ event: literal('ended'), reason: endReason })(value, path);
    default:
      return event satisfies never;
  }
};

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

// --- reading frames -----------------------------------------------------------------------------------------------------

type FrameShapes<F extends { readonly type: string }> = {
  readonly [T in F['type']]: Shape<Extract<F, { type: T }>>;
};

export type FrameRead<F> =
  | { readonly kind: 'frame'; readonly frame: F }
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'malformed'; readonly error: string };

export type FrameReader<F> = (text: string) => FrameRead<F>;

export const readCoreFrame: FrameReader<CoreFrame> = reader(coreFrames);
export const readAgentFrame: FrameReader<AgentFrame> = reader(agentFrames);
export const readRelayRequest: FrameReader<RelayRequest> = reader(relayRequests);
export const readRelayAnswer: FrameReader<RelayAnswer> = reader(relayAnswers);

function reader<F extends { readonly type: string }>(shapes: FrameShapes<F>): FrameReader<F> {
  return text => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return { kind: 'malformed', error: 'not JSON' };
    }
    const type = typeof value === 'object' && value !== null && 'type' in value ? value.type : undefined;
    if (typeof type !== 'string') return { kind: 'malformed', error: 'type must be a string' };
    if (!Object.hasOwn(shapes, type)) return { kind: 'unknown', type: type.slice(0, 32) };
    const result = check(shapes[type as F['type']] as Shape<F>, value);
    return result.ok
      ? { kind: 'frame', frame: result.value }
      : { kind: 'malformed', error: `${type}: ${result.error}` };
  };
}
