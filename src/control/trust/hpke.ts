// HPKE (RFC 9180) as far as a sealed key needs it: base mode, one message, HKDF-SHA256 and ChaCha20Poly1305, over either KEM.
// Own code: docs/decisions/0040-hpke-and-native-ml-kem.md. Tests hold it against the RFC's vectors and against a kept library in
// both directions.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concatBytes, utf8, wipe } from '../../util/bytes.ts';
import { labeledExpand, labeledExtract, uint16 } from './kem.ts';
import type { Kem } from './kem.ts';

const kdfId = 1; // HKDF-SHA256
const aeadId = 3; // ChaCha20Poly1305
const tagBytes = 16;
const cipher = 'chacha20-poly1305';
const empty = new Uint8Array(0);

export interface Sealed {
  readonly enc: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Null where `publicKey` cannot be a key. */
export function sealBase(
  kem: Kem,
  publicKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Sealed | null {
  const encapsulated = kem.encapsulate(publicKey);
  if (encapsulated === null) return null;
  const { key, nonce } = keySchedule(kem, encapsulated.secret, info);
  const seal = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes });
  seal.setAAD(aad, { plaintextLength: plaintext.length });
  const ciphertext = concatBytes(seal.update(plaintext), seal.final(), seal.getAuthTag());
  wipe(key);
  return { enc: encapsulated.enc, ciphertext };
}

/** Null for anything that was not sealed to this key under this `info` and `aad`. */
export function openBase(
  kem: Kem,
  privateKey: Uint8Array,
  info: Uint8Array,
  aad: Uint8Array,
  { enc, ciphertext }: Sealed,
): Uint8Array | null {
  if (ciphertext.length < tagBytes) return null;
  const secret = kem.decapsulate(privateKey, enc);
  if (secret === null) return null;
  const { key, nonce } = keySchedule(kem, secret, info);
  const plaintextLength = ciphertext.length - tagBytes;
  const open = createDecipheriv(cipher, key, nonce, { authTagLength: tagBytes });
  open.setAAD(aad, { plaintextLength });
  open.setAuthTag(ciphertext.subarray(plaintextLength));
  wipe(key);
  try {
    return concatBytes(open.update(ciphertext.subarray(0, plaintextLength)), open.final());
  } catch {
    return null; // a wrong tag
  }
}

/** RFC 9180 §5.1 with mode_base and no PSK. Only the first nonce is ever used. Wipes `secret`. */
function keySchedule(
  kem: Kem,
  secret: Uint8Array,
  info: Uint8Array,
): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const suite = concatBytes(utf8('HPKE'), uint16(kem.id), uint16(kdfId), uint16(aeadId));
  const context = concatBytes(
    Uint8Array.of(0),
    labeledExtract(suite, empty, 'psk_id_hash', empty),
    labeledExtract(suite, empty, 'info_hash', info),
  );
  const scheduled = labeledExtract(suite, secret, 'secret', empty);
  wipe(secret);
  const key = labeledExpand(suite, scheduled, 'key', context, 32);
  const nonce = labeledExpand(suite, scheduled, 'base_nonce', context, 12);
  wipe(scheduled);
  return { key, nonce };
}
