// The hash constructions of whitepaper §5.4, that every provider shares. Outputs go to arrays the caller owns and may be the
// same arrays as the inputs, so a handshake reads like the paper: `hash(h, h, sealed)`.

import { wipe } from '../../util/bytes.ts';
import { fallback } from './fallback.ts';
import {
  finish,
  forget,
  hashBytes,
  hmacFinish,
  hmacKey,
  hmacStart,
  hmacStartEmpty,
  start,
  update,
} from './blake2s.ts';

export const tagBytes = 16;
const macBytes = 16;

/** out = BLAKE2s-256(a ‖ b). */
export function hash(out: Uint8Array, a: Uint8Array, b: Uint8Array | null = null): void {
  if (fallback !== null) return fallback.hash(out, a, b);
  start(hashBytes);
  update(a);
  if (b !== null) update(b);
  finish(out, hashBytes);
}

/** out = keyed BLAKE2s-128(key, input): mac1, mac2 and the cookie itself. Writes 16 bytes. */
export function mac(out: Uint8Array, key: Uint8Array, input: Uint8Array): void {
  if (fallback !== null) return fallback.mac(out, key, input);
  start(macBytes, key);
  update(input);
  finish(out, macBytes);
}

/** out = HMAC-BLAKE2s-256(key, a ‖ b). The key is at most one block: all of WireGuard's are 32 bytes. */
export function hmac(out: Uint8Array, key: Uint8Array, a: Uint8Array, b: Uint8Array | null = null): void {
  if (fallback !== null) return fallback.hmac(out, key, a, b);
  hmacKey(key);
  if (a.length === 0 && (b === null || b.length === 0)) hmacStartEmpty();
  else {
    hmacStart();
    update(a);
    if (b !== null) update(b);
  }
  hmacFinish(out);
}

const extracted = new Uint8Array(hashBytes);
const number = new Uint8Array(1);

/** HKDF (RFC 5869): leaves the key pads of HMAC(key, input) for `expand`. */
function extract(key: Uint8Array, input: Uint8Array): void {
  hmac(extracted, key, input);
  if (fallback === null) hmacKey(extracted);
}

/** Output number `n` is HMAC(extracted, output n − 1 ‖ n). */
function expand(out: Uint8Array, previous: Uint8Array | null, n: number): void {
  number[0] = n;
  if (fallback !== null)
    return previous === null
      ? fallback.hmac(out, extracted, number, null)
      : fallback.hmac(out, extracted, previous, number);
  hmacStart();
  if (previous !== null) update(previous);
  update(number);
  hmacFinish(out);
}

function forgetKey(): void {
  wipe(extracted);
  forget();
}

/** t0 = KDF1(key, input). Outputs may be the key or the input. */
export function kdf1(t0: Uint8Array, key: Uint8Array, input: Uint8Array): void {
  extract(key, input);
  expand(t0, null, 1);
  forgetKey();
}

/** (t0, t1) = KDF2(key, input). */
export function kdf2(t0: Uint8Array, t1: Uint8Array, key: Uint8Array, input: Uint8Array): void {
  extract(key, input);
  expand(t0, null, 1);
  expand(t1, t0, 2);
  forgetKey();
}

/** (t0, t1, t2) = KDF3(key, input). */
export function kdf3(
  t0: Uint8Array,
  t1: Uint8Array,
  t2: Uint8Array,
  key: Uint8Array,
  input: Uint8Array,
): void {
  extract(key, input);
  expand(t0, null, 1);
  expand(t1, t0, 2);
  expand(t2, t1, 3);
  forgetKey();
}
