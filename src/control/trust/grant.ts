// The grant: Core's signed statement that a device may be a peer until a time, with its PSK sealed to one agent; `sp1.PAYLOAD.SIGNATURE`,
// Ed25519 over the payload bytes as received (docs/protocol.md). Pure: keys, clock and what the agent holds are arguments. A refusal is
// a code, never a throw; nothing may change before `verifyGrant` said ok.

import { utf8 } from '../../util/bytes.ts';
import { contains, type IpPrefix, parsePrefixOrAddress } from '../../util/inet.ts';
import { signBytes, verifyBytes } from './keys.ts';
import { sealedText } from './seal.ts';
import { id, integer, key32, list, literal, object, prefixText, read, time } from '../validate.ts';
import type { Shape } from '../validate.ts';

export const grantMaxBytes = 8192;

/** Absolute times are unix milliseconds by Core's clock; durations are seconds. */
export interface Grant {
  readonly v: 1;
  /** Grant id, also the session id. All agents of a location get the same one. */
  readonly id: string;
  /** Grows with every grant of a device at a location. */
  readonly epoch: number;
  /** Agent id, or location id for all its agents. */
  readonly aud: string;
  readonly location: string;
  /** WireGuard public key, base64. */
  readonly device: string;
  readonly user: string;
  /** Inner prefixes of the peer: its allowed IPs. */
  readonly ips: readonly string[];
  /** The PSK, sealed to the agent's enrolment KEM key with `transcriptOf(grant)`. There is no grant without one. */
  readonly psk: string;
  /** Digest of the login's nonces, base64: part of the seal's transcript. */
  readonly login: string;
  readonly iat: number;
  readonly nbf: number;
  /** The end of the session, whatever happens. */
  readonly exp: number;
  /** Seconds until a renewal must have come; 0 is off. */
  readonly lease: number;
  /** Seconds since the last completed handshake after which the session is over. */
  readonly stale: number;
  /** Seconds without data from the peer; 0 is off. */
  readonly idle: number;
  /** Seconds within which the first handshake must come. */
  readonly claim: number;
  /** Seconds a session outlives its lease while Core is away; 0 is none. */
  readonly grace: number;
  readonly onRoam: 'ignore' | 'reauth';
  /** Methods that were proved, in order, e.g. ["totp"]. */
  readonly aal: readonly string[];
}

const seconds = integer(0, 31_622_400); // a leap year

export const grantShape: Shape<Grant> = object({
  v: integer(0, 255) as Shape<1>, // compared in its own step, so that a newer version has its own code
  id,
  epoch: integer(1, Number.MAX_SAFE_INTEGER),
  aud: id,
  location: id,
  device: key32,
  user: id,
  ips: list(prefixText, 64, 1),
  psk: sealedText,
  login: key32,
  iat: time,
  nbf: time,
  exp: time,
  lease: seconds,
  stale: integer(1, 31_622_400),
  idle: seconds,
  claim: integer(1, 31_622_400),
  grace: seconds,
  onRoam: literal('ignore', 'reauth'),
  aal: list(id, 8),
});

/** In the order of the checks. `seal` and `busy` come from the agent's later steps, `ended` from its memory. */
export const grantRefusals = [
  'size',
  'form',
  'signature',
  'audience',
  'version',
  'clock',
  'not-yet',
  'expired',
  'epoch',
  'ended',
  'policy-life',
  'policy-stale',
  'policy-ips',
  'policy-peers',
  'seal',
  'busy',
] as const;

export type GrantRefusal = (typeof grantRefusals)[number];

/** What the agent will not exceed, whatever Core asks for. */
export interface LocalPolicy {
  readonly maxLifeMs: number;
  /** Lowest `stale` accepted, seconds. 180 outside demonstrations: WireGuard itself needs that long between handshakes. */
  readonly minStale: number;
  /** The peer's prefixes must lie in these; empty means anything. */
  readonly ranges: readonly IpPrefix[];
  readonly maxPeers: number;
}

/** What the agent knows of a device: the highest epoch seen, and the grant it holds or has ended. */
export interface HeldGrant {
  readonly epoch: number;
  readonly id: string;
  /** False after a revoke or a local end; the epoch is still remembered. */
  readonly live: boolean;
}

export interface GrantContext {
  /** Pinned Ed25519 keys of Core; more than one while Core rotates. */
  readonly coreKeys: readonly Uint8Array[];
  /** This agent's id and its location's id. */
  readonly audiences: readonly string[];
  /** Core's wall clock as learnt by the agent, unix ms; null when the time is not sane yet. */
  readonly wallMs: number | null;
  readonly held: (device: string) => HeldGrant | undefined;
  /** Peers that exist now. */
  readonly peers: number;
  readonly policy: LocalPolicy;
}

export type GrantVerdict =
  | {
      readonly ok: true;
      readonly grant: Grant;
      readonly ips: readonly IpPrefix[];
      /** Held already: only acknowledge. */ readonly again: boolean;
    }
  | { readonly ok: false; readonly code: GrantRefusal };

const domain = utf8('sallyport grant v1\0');

/** How far Core's and the agent's idea of now may differ when a grant is fresh. */
const clockSlackMs = 30_000;

export function signGrant(privateKey: Uint8Array, grant: Grant): string {
  const payload = utf8(JSON.stringify(grant));
  const signature = signBytes(privateKey, signedBytes(payload));
  return `sp1.${Buffer.from(payload).toString('base64url')}.${Buffer.from(signature).toString('base64url')}`;
}

/** Size, form, signature, audience, version, time, epoch, local policy; the caller then opens the seal. */
export function verifyGrant(text: string, context: GrantContext): GrantVerdict {
  if (text.length > grantMaxBytes) return refuse('size');
  const parts = /^sp1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/.exec(text);
  if (parts === null) return refuse('form');
  const payload = new Uint8Array(Buffer.from(parts[1]!, 'base64url'));
  const signature = new Uint8Array(Buffer.from(parts[2]!, 'base64url'));
  const message = signedBytes(payload);
  if (!context.coreKeys.some(key => verifyBytes(key, message, signature))) return refuse('signature');
  const parsed = read(grantShape, fromUtf8(payload));
  if (!parsed.ok) return refuse('form');
  const grant = parsed.value;
  if (!context.audiences.includes(grant.aud)) return refuse('audience');
  if (grant.v !== 1) return refuse('version');
  const untimely = checkTime(grant, context.wallMs);
  if (untimely !== null) return refuse(untimely);
  const held = context.held(grant.device);
  const again = held !== undefined && held.epoch === grant.epoch && held.id === grant.id;
  if (again && !held.live) return refuse('ended');
  if (!again && held !== undefined && grant.epoch <= held.epoch) return refuse('epoch');
  const ips = grant.ips.map(ip => parsePrefixOrAddress(ip)!);
  const forbidden = checkPolicy(grant, ips, held?.live === true, context);
  return forbidden === null ? { ok: true, grant, ips, again } : refuse(forbidden);
}

/** The transcript under which a grant's PSK is sealed to the agent. The client's copy uses the same. */
export function transcriptOf(grant: Pick<Grant, 'id' | 'device' | 'location' | 'login'>): {
  grant: string;
  device: string;
  location: string;
  login: string;
} {
  return { grant: grant.id, device: grant.device, location: grant.location, login: grant.login };
}

/** A grant without its seal and signature: the only form that may be logged. */
export function grantForLog(grant: Grant): Record<string, unknown> {
  const { psk: _sealed, login: _login, ...rest } = grant;
  return rest;
}

function checkTime(grant: Grant, wallMs: number | null): GrantRefusal | null {
  if (wallMs === null) return 'clock';
  if (grant.nbf > wallMs + clockSlackMs || grant.iat > wallMs + clockSlackMs) return 'not-yet';
  if (grant.exp <= wallMs || grant.exp <= grant.nbf) return 'expired';
  return null;
}

function checkPolicy(
  grant: Grant,
  ips: readonly IpPrefix[],
  replaces: boolean,
  context: GrantContext,
): GrantRefusal | null {
  const { policy } = context;
  if (grant.exp - grant.iat > policy.maxLifeMs) return 'policy-life';
  if (grant.stale < policy.minStale) return 'policy-stale';
  if (policy.ranges.length > 0 && !ips.every(ip => policy.ranges.some(range => contains(range, ip))))
    return 'policy-ips';
  if (!replaces && context.peers >= policy.maxPeers) return 'policy-peers';
  return null;
}

function refuse(code: GrantRefusal): { ok: false; code: GrantRefusal } {
  return { ok: false, code };
}

function signedBytes(payload: Uint8Array): Uint8Array {
  const message = new Uint8Array(domain.length + payload.length);
  message.set(domain);
  message.set(payload, domain.length);
  return message;
}

function fromUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return '';
  }
}
