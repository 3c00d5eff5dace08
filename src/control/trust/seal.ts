// Sealing a pre-shared key to one reader: HPKE (RFC 9180) base mode with HKDF-SHA256 and ChaCha20Poly1305. The KEM is X-Wing
// (ML-KEM-768 + X25519), so a recorded exchange stays closed even to a later quantum computer; plain X25519 is spoken only
// where both sides were told to accept it. Keys and sealed texts name their KEM, so one cannot be taken for the other.

import { utf8 } from '../../util/bytes.ts';
import { createHash } from 'node:crypto';
import { openBase, sealBase } from './hpke.ts';
import { randomPrivateKey, x25519, xwing } from './kem.ts';
import { pattern } from '../validate.ts';
import type { Shape } from '../validate.ts';

export type KemName = 'xwing' | 'x25519';

/** The reader a text is sealed to. It goes into HPKE's `info`, so a text for the agent never opens as one for the client. */
export type SealPurpose = 'agent' | 'client';

/** What the sealed key belongs to. It is authenticated (`aad`), not sent: both sides know it from elsewhere. */
export interface SealTranscript {
  /** Grant (= session) id. */
  readonly grant: string;
  /** WireGuard public key of the device, base64. */
  readonly device: string;
  /** Location id. */
  readonly location: string;
  /** Digest of the login's nonces, base64: `login` in the grant and in the answer to the client. */
  readonly login: string;
}

export interface KemKeyPair {
  readonly kem: KemName;
  /** `xwing.BASE64URL` or `x25519.BASE64URL`: what travels. */
  readonly publicKey: string;
  /** 32 bytes for either KEM (X-Wing keeps a seed). */
  readonly privateKey: Uint8Array;
}

export interface SealOptions {
  /** Accept plain X25519 from the other side. Off unless the location says so: it gives up post-quantum secrecy. */
  readonly allowX25519?: boolean;
}

const kems = { xwing, x25519 };
const sealedBytes = 32 + 16; // the key and the Poly1305 tag

export const kemPublicKeyText: Shape<string> = pattern(
  /^(xwing\.[A-Za-z0-9_-]{1622}|x25519\.[A-Za-z0-9_-]{43})$/,
  'a KEM public key ("xwing." or "x25519." and base64url)',
  1700,
);

export const sealedText: Shape<string> = pattern(
  /^(xwing\.[A-Za-z0-9_-]{1494}|x25519\.[A-Za-z0-9_-]{43})\.[A-Za-z0-9_-]{64}$/,
  'a sealed key',
  1700,
);

export function generateKemKeyPair(kem: KemName = 'xwing'): KemKeyPair {
  const privateKey = randomPrivateKey();
  return { kem, publicKey: `${kem}.${base64url(kems[kem].publicKey(privateKey))}`, privateKey };
}

/** Which KEM a public key or sealed text speaks, or null when it is neither. */
export function kemOf(text: string): KemName | null {
  const name = text.slice(0, text.indexOf('.'));
  return name === 'xwing' || name === 'x25519' ? name : null;
}

/** Seals 32 bytes. Null when the public key is malformed or its KEM is not allowed here. */
export function seal(
  publicKey: string,
  purpose: SealPurpose,
  transcript: SealTranscript,
  secret: Uint8Array,
  options: SealOptions = {},
): string | null {
  if (secret.length !== 32) throw new Error(`only a 32-byte key is sealed, not ${secret.length} bytes`);
  const name = kemOf(publicKey);
  if (name === null || (name === 'x25519' && options.allowX25519 !== true)) return null;
  const kem = kems[name];
  const raw = fromBase64url(publicKey.slice(name.length + 1), kem.publicKeyBytes);
  if (raw === null) return null;
  let sealed;
  try {
    sealed = sealBase(kem, raw, info(name, purpose), aad(transcript), secret);
  } catch {
    return null; // ML-KEM's check of the key (FIPS 203 §7.2) failed
  }
  return sealed && `${name}.${base64url(sealed.enc)}.${base64url(sealed.ciphertext)}`;
}

/** Opens what `seal` made. Null for anything else: wrong key, purpose, transcript, KEM or form. */
export function open(
  keyPair: Pick<KemKeyPair, 'kem' | 'privateKey'>,
  purpose: SealPurpose,
  transcript: SealTranscript,
  sealed: string,
  options: SealOptions = {},
): Uint8Array | null {
  const name = kemOf(sealed);
  if (name === null || name !== keyPair.kem || (name === 'x25519' && options.allowX25519 !== true))
    return null;
  const kem = kems[name];
  const parts = sealed.split('.');
  if (parts.length !== 3) return null;
  const enc = fromBase64url(parts[1]!, kem.encBytes);
  const ciphertext = fromBase64url(parts[2]!, sealedBytes);
  if (enc === null || ciphertext === null) return null;
  return openBase(kem, keyPair.privateKey, info(name, purpose), aad(transcript), { enc, ciphertext });
}

/** The digest of both sides' login nonces that ties a sealed key to one login. */
export function loginDigest(clientNonce: string, loginId: string): string {
  return createHash('sha256')
    .update('sallyport login v1\0' + JSON.stringify([clientNonce, loginId]))
    .digest('base64');
}

function info(kem: KemName, purpose: SealPurpose): Uint8Array {
  return utf8(`sallyport psk v1 ${kem} ${purpose}`);
}

// JSON of an array of strings is unambiguous, so no field can slide into its neighbour.
function aad(transcript: SealTranscript): Uint8Array {
  const fields = [transcript.grant, transcript.device, transcript.location, transcript.login];
  return new Uint8Array(
    createHash('sha256')
      .update('sallyport psk transcript v1\0' + JSON.stringify(fields))
      .digest(),
  );
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}

/** Exactly `bytes` bytes in canonical base64url, or null. */
function fromBase64url(text: string, bytes: number): Uint8Array | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return null;
  const decoded = Buffer.from(text, 'base64url');
  return decoded.length === bytes && decoded.toString('base64url') === text ? new Uint8Array(decoded) : null;
}
