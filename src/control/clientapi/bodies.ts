// HTTP bodies between a client and Core, through the Proxy: enrolment, login, the session afterwards.

import type { EndReason } from './reasons.ts';
import { kemPublicKeyText, sealedText } from '../trust/seal.ts';
import {
  boolean,
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
} from '../validate.ts';
import type { Shape } from '../validate.ts';
import { endReason, endpointText, sessionToken } from './words.ts';

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

/** All of it in one order, for a MAC. */
export function configFields(config: TunnelConfig): unknown[] {
  const { addresses, dns, mtu, allowedIps, keepalive, gateways, ...rest } = config;
  rest satisfies Record<string, never>; // a new field has to come under the MAC
  return [addresses, dns, mtu, allowedIps, keepalive, gateways.map(each => [each.publicKey, each.endpoint])];
}

/** `ticket` stands for the token, `proof` shows that the sender has it (enrolment.ts). */
export const enrolRequest: Shape<EnrolRequest> = object({
  ticket: key32,
  devicePublicKey: key32,
  name: label,
  proof: key32,
});
export type EnrolRequest = { ticket: string; devicePublicKey: string; name: string; proof: string };

export interface EnrolledLocation {
  readonly id: string;
  readonly name: string;
  readonly mfa: 'internal';
  readonly methods: readonly string[];
  /** X25519 public key of Core for device proofs at this location, base64. */
  readonly proofKey: string;
  /** Core requires the hybrid KEM here (the default), or accepts plain X25519 too. */
  readonly kem: 'xwing' | 'x25519-allowed';
  readonly config: TunnelConfig;
}

const enrolledLocations: Shape<readonly EnrolledLocation[]> = list(
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
);

/** As `configFields`. */
export function locationFields(location: EnrolledLocation): unknown[] {
  const { id: at, name, mfa, methods, proofKey, kem, config, ...rest } = location;
  rest satisfies Record<string, never>; // a new field has to come under the MAC
  return [at, name, mfa, methods, proofKey, kem, configFields(config)];
}

export type EnrolAnswer = { device: string; user: string; locations: readonly EnrolledLocation[] };
export const enrolAnswer: Shape<EnrolAnswer> = object({
  device: id,
  user: label,
  locations: enrolledLocations,
});

/** What Core sends: the answer and its MAC (enrolment.ts). */
export type EnrolReply = { enrolled: EnrolAnswer; proof: string };
export const enrolReply: Shape<EnrolReply> = object({ enrolled: enrolAnswer, proof: key32 });

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

/** The next step: any one of these methods. */
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

/** What was begun for a method of the step; it waits for a response. `show` is for people, `expiresIn` in seconds. */
export interface StepChallenge {
  readonly method: string;
  readonly show: string;
  readonly expiresIn: number;
}

const stepChallenge: Shape<StepChallenge> = object({
  method: id,
  show: pattern(/^[\x20-\x7e]{1,200}$/, 'a line of printable ASCII', 200),
  expiresIn: integer(1, 86_400),
});

/** `expiresIn` in seconds. */
export type StartAnswer = { login: string; step: LoginStep; expiresIn: number };
export const startAnswer: Shape<StartAnswer> = object({
  login: id,
  step: loginStep,
  expiresIn: integer(1, 86_400),
});

/**
 * An empty response to a method with a challenge begins, or repeats, the challenge.
 * `method` "resume" (no response needed) asks again for the grant of a login whose codes were accepted already.
 */
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
  | { step: LoginStep; challenge?: StepChallenge }
  | {
      /** The PSK sealed to `kemPublicKey` of the start, purpose "client", transcript { grant: session.id, device, location, login }. */
      granted: string;
      /** `loginDigest(nonce, login)`; recompute it rather than believing it. */
      login: string;
      config: TunnelConfig;
      /** Where the user may log in now: more or fewer than at enrolment. Absent when they are too many for one answer. */
      locations?: readonly EnrolledLocation[];
      session: SessionInfo;
      /** For `GET /api/v1/session` as `Authorization: Bearer …`. It can watch the session, nothing else. */
      token: string;
      /** Core's MAC over all of this: `grantedRequest` (proof.ts). */
      proof: string;
    };
export type Granted = Extract<StepAnswer, { granted: string }>;
const stepNext = object({ step: loginStep, challenge: optional(stepChallenge) });
const stepGranted = object({
  granted: sealedText,
  login: key32,
  config: tunnelConfig,
  locations: optional(enrolledLocations),
  session: sessionInfo,
  token: sessionToken,
  proof: key32,
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
