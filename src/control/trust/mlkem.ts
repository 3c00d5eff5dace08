// ML-KEM-768 (FIPS 203) and SHA-3 for X-Wing: the runtime's own where it has them (Node 24.7 and newer, with OpenSSL 3.5), a kept
// library's elsewhere. The library takes 1.4 ms for what OpenSSL does in 0.1: see docs/decisions/0040-hpke-and-native-ml-kem.md.

import * as crypto from 'node:crypto';
import { sha3_256 as librarySha3, shake256 as libraryShake } from '@noble/hashes/sha3.js';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { concatBytes, fromHex } from '../../util/bytes.ts';
import { atEnd } from '../../util/scope.ts';

export interface MlKem {
  readonly name: 'native' | 'library';
  /** The public key, 1184 bytes, of a seed of 64 bytes (d ‖ z). */
  publicKey(seed: Uint8Array): Uint8Array;
  /** Throws for a key that fails the check of FIPS 203 §7.2. */
  encapsulate(publicKey: Uint8Array): { readonly secret: Uint8Array; readonly text: Uint8Array };
  /** `text` has 1088 bytes. A text that was not made for this key gives another secret, not an error (§6.3). */
  decapsulate(seed: Uint8Array, text: Uint8Array): Uint8Array;
}

/** node:crypto's functions of Node 24.7, which the types of older ones lack. */
interface Encapsulation {
  encapsulate(key: crypto.KeyObject): { sharedKey: Uint8Array; ciphertext: Uint8Array };
  decapsulate(key: crypto.KeyObject, ciphertext: Uint8Array): Uint8Array;
}

// What stands before the key in DER: RFC 9935, id-alg-ml-kem-768, the private key as seed.
const privatePrefix = fromHex('3054020100300b06096086480165030404020442' + '8040')!;
const publicPrefix = fromHex('308204b2300b0609608648016503040402038204a100')!;

export const libraryKem: MlKem = {
  name: 'library',
  publicKey: seed => ml_kem768.keygen(seed).publicKey,
  encapsulate(publicKey) {
    const { sharedSecret, cipherText } = ml_kem768.encapsulate(publicKey);
    return { secret: sharedSecret, text: cipherText };
  },
  decapsulate(seed, text) {
    const { secretKey } = ml_kem768.keygen(seed);
    const secret = ml_kem768.decapsulate(text, secretKey);
    secretKey.fill(0);
    return secret;
  },
};

function nativeKem({ encapsulate, decapsulate }: Encapsulation): MlKem {
  const privateKey = (seed: Uint8Array): crypto.KeyObject => {
    const der = Buffer.from(concatBytes(privatePrefix, seed));
    using _end = atEnd(() => der.fill(0));
    return crypto.createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  };
  return {
    name: 'native',
    publicKey(seed) {
      const der = crypto.createPublicKey(privateKey(seed)).export({ format: 'der', type: 'spki' });
      return new Uint8Array(der.subarray(publicPrefix.length));
    },
    encapsulate(publicKey) {
      const der = Buffer.from(concatBytes(publicPrefix, publicKey));
      const key = crypto.createPublicKey({ key: der, format: 'der', type: 'spki' });
      const { sharedKey, ciphertext } = encapsulate(key);
      return { secret: new Uint8Array(sharedKey), text: new Uint8Array(ciphertext) };
    },
    decapsulate: (seed, text) => new Uint8Array(decapsulate(privateKey(seed), text)),
  };
}

/** The runtime's ML-KEM, or null where it has none that agrees with the library on one key. */
export function findNativeKem(
  runtime: Partial<Encapsulation> = crypto as Partial<Encapsulation>,
): MlKem | null {
  if (typeof runtime.encapsulate !== 'function' || typeof runtime.decapsulate !== 'function') return null;
  try {
    const native = nativeKem(runtime as Encapsulation);
    const seed = new Uint8Array(64).fill(7);
    const { secret, text } = native.encapsulate(native.publicKey(seed));
    return Buffer.compare(native.decapsulate(seed, text), secret) === 0 ? native : null;
  } catch {
    return null; // an OpenSSL before 3.5, or another library under the same names
  }
}

let chosen: MlKem | undefined;

/** Chosen at first use, once for each thread. */
export function mlKem(): MlKem {
  return (chosen ??= findNativeKem() ?? libraryKem);
}

const hashes = new Set(crypto.getHashes().map(name => name.toLowerCase()));

export function sha3(input: Uint8Array): Uint8Array {
  if (!hashes.has('sha3-256')) return librarySha3(input);
  return new Uint8Array(crypto.createHash('sha3-256').update(input).digest());
}

export function shake(input: Uint8Array, bytes: number): Uint8Array {
  if (!hashes.has('shake256')) return libraryShake(input, { dkLen: bytes });
  return new Uint8Array(crypto.createHash('shake256', { outputLength: bytes }).update(input).digest());
}
