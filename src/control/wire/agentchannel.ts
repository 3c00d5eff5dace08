// The channel between Core and an agent, and the enrolment before it: frames, bodies, and what is signed at the start.

import { utf8 } from '../../util/bytes.ts';
import { reader } from './frame.ts';
import type { FrameReader, FrameShapes } from './frame.ts';
import { grantMaxBytes, grantRefusals } from '../trust/grant.ts';
import type { GrantRefusal } from '../trust/grant.ts';
import type { EndReason } from '../clientapi/reasons.ts';
import { kemPublicKeyText } from '../trust/seal.ts';
import {
  base64,
  count,
  id,
  integer,
  key32,
  label,
  list,
  literal,
  object,
  optional,
  prefixText,
  string,
  time,
} from '../validate.ts';
import type { Shape, Shaped } from '../validate.ts';
import { counters, endReason, joinToken } from '../clientapi/words.ts';
import type { Counters } from '../clientapi/words.ts';

export const agentProtocol = 'sallyport.agent.v1';
/** Grants per `snapshot` frame: 16 of at most 3.5 KB stay below the frame limit. */
export const snapshotChunk = 16;

const sequence: Shape<number> = count;
const grantText: Shape<string> = string(grantMaxBytes, 1);

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
  /** In place of `welcome`: this agent was removed. `signature` covers `forgottenTranscript`; the agent lets go all it holds. */
  | { readonly type: 'forgotten'; readonly time: number; readonly signature: string }
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
  forgotten: object({ type: literal('forgotten'), time, signature: base64(64) }),
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
  return utf8('sallyport agent hello v1\0' + JSON.stringify(fields));
}

/** What Core signs in `welcome`. */
export function welcomeTranscript(helloNonce: string, agentId: string, welcomeTime: number): Uint8Array {
  return utf8('sallyport core welcome v1\0' + JSON.stringify([helloNonce, agentId, welcomeTime]));
}

/** What Core signs in `forgotten`: the agent's own nonce, so that an old one cannot be played again. */
export function forgottenTranscript(helloNonce: string, agentId: string, sentAt: number): Uint8Array {
  return utf8('sallyport core forgotten v1\0' + JSON.stringify([helloNonce, agentId, sentAt]));
}

export const readCoreFrame: FrameReader<CoreFrame> = reader(coreFrames);
export const readAgentFrame: FrameReader<AgentFrame> = reader(agentFrames);

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
