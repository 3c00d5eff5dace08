// The two key encapsulation mechanisms that keys are sealed with: X-Wing (draft-connolly-cfrg-xwing-kem: ML-KEM-768 and X25519,
// joined by SHA3-256) and DHKEM(X25519, HKDF-SHA256) of RFC 9180 §4.1. The primitives are mlkem.ts (ML-KEM, SHA-3) and
// OpenSSL's (X25519, HMAC); what stands here is how the two documents put them together.

import { createHmac, randomBytes } from 'node:crypto';
import { concatBytes, wipe, utf8 } from '../../util/bytes.ts';
import { generateX25519KeyPair, sharedSecret, x25519PublicKey } from './keys.ts';
import { mlKem, sha3, shake } from './mlkem.ts';

export interface Kem {
  /** The KEM's number in HPKE's registry. */
  readonly id: number;
  readonly publicKeyBytes: number;
  readonly encBytes: number;
  /** Of a 32-byte private key (X-Wing's is a seed). */
  publicKey(privateKey: Uint8Array): Uint8Array;
  /** A secret for the owner of `publicKey`, and what tells it to him. Null for a key that cannot be one. */
  encapsulate(publicKey: Uint8Array): { readonly secret: Uint8Array; readonly enc: Uint8Array } | null;
  decapsulate(privateKey: Uint8Array, enc: Uint8Array): Uint8Array | null;
}

const latticeKeyBytes = 1184;
const latticeTextBytes = 1088;
const xwingLabel = utf8('\\.//^\\');

export const xwing: Kem = {
  id: 0x647a,
  publicKeyBytes: latticeKeyBytes + 32,
  encBytes: latticeTextBytes + 32,

  publicKey(privateKey) {
    const { lattice, curve } = expand(privateKey);
    return concatBytes(mlKem().publicKey(lattice), x25519PublicKey(curve));
  },

  encapsulate(publicKey) {
    const curveKey = publicKey.subarray(latticeKeyBytes);
    const ephemeral = generateX25519KeyPair();
    const curveSecret = sharedSecret(ephemeral.privateKey, curveKey);
    if (curveSecret === null) return null;
    const lattice = mlKem().encapsulate(publicKey.subarray(0, latticeKeyBytes));
    const secret = combine(lattice.secret, curveSecret, ephemeral.publicKey, curveKey);
    wipe(ephemeral.privateKey);
    return { secret, enc: concatBytes(lattice.text, ephemeral.publicKey) };
  },

  decapsulate(privateKey, enc) {
    const { lattice, curve } = expand(privateKey);
    const ephemeral = enc.subarray(latticeTextBytes);
    const curveSecret = sharedSecret(curve, ephemeral);
    if (curveSecret === null) return null;
    const latticeSecret = mlKem().decapsulate(lattice, enc.subarray(0, latticeTextBytes));
    const secret = combine(latticeSecret, curveSecret, ephemeral, x25519PublicKey(curve));
    wipe(lattice);
    wipe(curve);
    return secret;
  },
};

/** expandDecapsulationKey: both private keys out of one seed. */
function expand(seed: Uint8Array) {
  const stream = shake(seed, 96);
  return { lattice: stream.subarray(0, 64), curve: stream.subarray(64) };
}

function combine(
  latticeSecret: Uint8Array,
  curveSecret: Uint8Array,
  ephemeral: Uint8Array,
  curveKey: Uint8Array,
): Uint8Array {
  const secret = sha3(concatBytes(latticeSecret, curveSecret, ephemeral, curveKey, xwingLabel));
  wipe(latticeSecret);
  wipe(curveSecret);
  return secret;
}

export const x25519: Kem = {
  id: 0x0020,
  publicKeyBytes: 32,
  encBytes: 32,

  publicKey: x25519PublicKey,

  encapsulate(publicKey) {
    const { privateKey, publicKey: enc } = generateX25519KeyPair();
    const exchanged = sharedSecret(privateKey, publicKey);
    wipe(privateKey);
    return exchanged === null ? null : { secret: extractAndExpand(exchanged, enc, publicKey), enc };
  },

  decapsulate(privateKey, enc) {
    const exchanged = sharedSecret(privateKey, enc);
    return exchanged === null ? null : extractAndExpand(exchanged, enc, x25519PublicKey(privateKey));
  },
};

function extractAndExpand(exchanged: Uint8Array, enc: Uint8Array, publicKey: Uint8Array): Uint8Array {
  const suite = concatBytes(utf8('KEM'), uint16(x25519.id));
  const key = labeledExtract(suite, new Uint8Array(0), 'eae_prk', exchanged);
  wipe(exchanged);
  return labeledExpand(suite, key, 'shared_secret', concatBytes(enc, publicKey), 32);
}

/** A private key for either KEM. */
export function randomPrivateKey(): Uint8Array {
  return new Uint8Array(randomBytes(32));
}

// HKDF-SHA256 with the labels of RFC 9180 §4.

export function labeledExtract(
  suite: Uint8Array,
  salt: Uint8Array,
  label: string,
  input: Uint8Array,
): Uint8Array {
  return hmac(salt, concatBytes(utf8('HPKE-v1'), suite, utf8(label), input));
}

/** `bytes` is at most 32: one block. */
export function labeledExpand(
  suite: Uint8Array,
  key: Uint8Array,
  label: string,
  info: Uint8Array,
  bytes: number,
): Uint8Array {
  const labeled = concatBytes(uint16(bytes), utf8('HPKE-v1'), suite, utf8(label), info);
  return hmac(key, concatBytes(labeled, Uint8Array.of(1))).subarray(0, bytes);
}

function hmac(key: Uint8Array, input: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', key).update(input).digest());
}

export const uint16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 255);
