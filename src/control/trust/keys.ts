// Raw Ed25519 and X25519 keys through node:crypto: 32 bytes in, 32 bytes out, no PEM. Ed25519 (RFC 8032) signs grants and
// hellos; X25519 (RFC 7748) carries the device proof, and WireGuard's own handshake where OpenSSL cannot be called directly.
// What held a secret on the way is wiped; key objects are wiped by OpenSSL.

import { createPrivateKey, createPublicKey, diffieHellman, randomBytes, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { fromHex, isZero, wipe } from '../../util/bytes.ts';
import { wipeAtEnd } from '../../util/scope.ts';

// The fixed DER that precedes the 32 raw bytes (RFC 8410). DER and not JWK: importing it is the cheaper of the two.
const privatePrefix = {
  ed25519: fromHex('302e020100300506032b657004220420')!,
  x25519: fromHex('302e020100300506032b656e04220420')!,
};
const publicPrefix = {
  ed25519: fromHex('302a300506032b6570032100')!,
  x25519: fromHex('302a300506032b656e032100')!,
};

type Curve = keyof typeof privatePrefix;

export interface RawKeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: Uint8Array;
}

export function generateSignKeyPair(): RawKeyPair {
  return keyPair('ed25519');
}

/** A WireGuard-style key pair; the private key is clamped as `wg genkey` does. */
export function generateX25519KeyPair(): RawKeyPair {
  return keyPair('x25519');
}

export function x25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return rawPublic(privateObject('x25519', privateKey));
}

export function ed25519PublicKey(privateKey: Uint8Array): Uint8Array {
  return rawPublic(privateObject('ed25519', privateKey));
}

export function signBytes(privateKey: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(sign(null, message, privateObject('ed25519', privateKey)));
}

/** False for anything that is not a valid signature, whatever the bytes are. */
export function verifyBytes(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false;
  try {
    return verify(null, message, publicObject('ed25519', publicKey), signature);
  } catch {
    return false;
  }
}

/** The X25519 secret, or null where the other side sent a low-order point (all-zero result) or rubbish. */
export function sharedSecret(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  if (publicKey.length !== 32) return null;
  try {
    const derived = diffieHellman({
      privateKey: privateObject('x25519', privateKey),
      publicKey: publicObject('x25519', publicKey),
    });
    const secret = new Uint8Array(derived);
    wipe(derived);
    return isZero(secret) ? null : secret;
  } catch {
    return null; // OpenSSL refuses low-order points itself
  }
}

function keyPair(curve: Curve): RawKeyPair {
  const privateKey = new Uint8Array(randomBytes(32));
  if (curve === 'x25519') {
    privateKey[0]! &= 248;
    privateKey[31] = (privateKey[31]! & 127) | 64;
  }
  return { privateKey, publicKey: rawPublic(privateObject(curve, privateKey)) };
}

function privateObject(curve: Curve, raw: Uint8Array): KeyObject {
  const der = join(privatePrefix[curve], raw);
  using _wiped = wipeAtEnd(der);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

function publicObject(curve: Curve, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: join(publicPrefix[curve], raw), format: 'der', type: 'spki' });
}

function rawPublic(privateKey: KeyObject): Uint8Array {
  const der = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return new Uint8Array(der.subarray(der.length - 32));
}

function join(prefix: Uint8Array, raw: Uint8Array): Buffer {
  if (raw.length !== 32) throw new Error(`a raw key has 32 bytes, not ${raw.length}`);
  return Buffer.concat([prefix, raw]);
}
