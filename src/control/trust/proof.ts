// Device proof: the sender holds the device's WireGuard private key. A MAC over the request under the X25519 secret of the device key
// and the location's proof key, which is Core's alone. The same key authenticates a granted login, so that the Proxy in between cannot
// choose the gateway. docs/protocol.md.

import { createHmac, hkdfSync } from 'node:crypto';
import { equalBytes, fromBase64, toBase64, wipe } from '../../util/bytes.ts';
import { configFields, locationFields } from '../clientapi/bodies.ts';
import type { Granted } from '../clientapi/bodies.ts';
import { sharedSecret } from './keys.ts';

/** What the proof is for. A proof for one purpose is worth nothing for another. */
export type ProofPurpose = 'start' | 'extend' | 'logout' | 'granted';

/** The fields under the MAC, in this order. All are in the request, so Core can recompute it. */
export interface ProofRequest {
  /** Location id. */
  readonly location: string;
  /** WireGuard public key of the device, base64. */
  readonly device: string;
  /** Unix milliseconds by the client's clock. */
  readonly time: number;
  /** 32 random bytes, base64; Core accepts each one once. */
  readonly nonce: string;
  /** `start`: the ephemeral KEM public key, then the methods asked for. `extend`, `logout`: the session id. `granted`: below. */
  readonly details: readonly string[];
}

/** How far the client's clock may be off. Nonces are remembered for twice as long. */
export const proofWindowMs = 120_000;

/** The key for all proofs between one device and one location; null for a low-order public key. */
export function proofKey(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  const secret = sharedSecret(privateKey, publicKey);
  if (secret === null) return null;
  const key = hkdfSync('sha256', secret, new Uint8Array(0), 'sallyport device proof v1', 32);
  wipe(secret);
  return new Uint8Array(key);
}

export function makeProof(key: Uint8Array, purpose: ProofPurpose, request: ProofRequest): string {
  return toBase64(mac(key, purpose, request));
}

export function verifyProof(
  key: Uint8Array,
  purpose: ProofPurpose,
  request: ProofRequest,
  proof: string,
): boolean {
  const given = fromBase64(proof);
  return given !== null && equalBytes(given, mac(key, purpose, request));
}

/** What Core's MAC on a granted login covers: all of the answer, for this login of this device and no other. */
export function grantedRequest(
  device: string,
  loginDigest: string,
  granted: Omit<Granted, 'proof'>,
): ProofRequest {
  const { granted: sealed, config, locations, session, token } = granted;
  const { id, location, expiresAt, now, stale, idle, claim, ...rest } = session;
  rest satisfies Record<string, never>; // a new field has to come under the MAC
  const rights = [configFields(config), locations?.map(locationFields) ?? null];
  const details = [sealed, JSON.stringify([rights, id, expiresAt, stale, idle, claim, token])];
  return { location, device, time: now, nonce: loginDigest, details };
}

function mac(key: Uint8Array, purpose: ProofPurpose, request: ProofRequest): Uint8Array {
  const fields = [purpose, request.location, request.device, request.time, request.nonce, request.details];
  return new Uint8Array(createHmac('sha256', key).update(JSON.stringify(fields)).digest());
}
