// Cryptography of the protocol in TypeScript: the portable provider (StableLib), and the hash constructions of whitepaper
// §5.4 that every provider shares. The only file of the product that imports @stablelib. Outputs go to arrays the caller
// owns and may be the same arrays as the inputs, so a handshake reads like the paper: `hash(h, h, sealed)`.

import { ChaCha20Poly1305 } from '@stablelib/chacha20poly1305';
import { scalarMult, scalarMultBase } from '@stablelib/x25519';
import type { Arena } from '../util/arena.ts';
import { isZero, wipe } from '../util/bytes.ts';
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
  updateByte,
} from './blake2s.ts';
import type { Aead, CryptoProvider } from './provider.ts';

export const tagBytes = 16;
const macBytes = 16;

/** out = BLAKE2s-256(a ‖ b). */
export function hash(out: Uint8Array, a: Uint8Array, b: Uint8Array | null = null): void {
  start(hashBytes);
  update(a);
  if (b !== null) update(b);
  finish(out, hashBytes);
}

/** out = keyed BLAKE2s-128(key, input): mac1, mac2 and the cookie itself. Writes 16 bytes. */
export function mac(out: Uint8Array, key: Uint8Array, input: Uint8Array): void {
  start(macBytes, key);
  update(input);
  finish(out, macBytes);
}

/** out = HMAC-BLAKE2s-256(key, a ‖ b). The key is at most one block: all of WireGuard's are 32 bytes. */
export function hmac(out: Uint8Array, key: Uint8Array, a: Uint8Array, b: Uint8Array | null = null): void {
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

/** HKDF (RFC 5869): leaves the key pads of HMAC(key, input) for `expand`. */
function extract(key: Uint8Array, input: Uint8Array): void {
  hmac(extracted, key, input);
  hmacKey(extracted);
}

/** Output number `n` is HMAC(extracted, output n − 1 ‖ n). */
function expand(out: Uint8Array, previous: Uint8Array | null, n: number): void {
  hmacStart();
  if (previous !== null) update(previous);
  updateByte(n);
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

const hchachaState = new Int32Array(16);

/** out (32 bytes) = HChaCha20(key, nonce16): the sub-key of draft-irtf-cfrg-xchacha §2.2. */
export function hchacha20(out: Uint8Array, key: Uint8Array, nonce: Uint8Array): void {
  const x = hchachaState;
  x[0] = 0x61707865;
  x[1] = 0x3320646e;
  x[2] = 0x79622d32;
  x[3] = 0x6b206574;
  for (let i = 0; i < 8; i++) x[4 + i] = littleEndian(key, 4 * i);
  for (let i = 0; i < 4; i++) x[12 + i] = littleEndian(nonce, 4 * i);
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 4; i++) quarter(x, i, 4 + i, 8 + i, 12 + i);
    for (let i = 0; i < 4; i++) quarter(x, i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3));
  }
  for (let i = 0; i < 16; i++) out[i] = x[i >> 2]! >>> (8 * (i & 3));
  for (let i = 0; i < 16; i++) out[16 + i] = x[12 + (i >> 2)]! >>> (8 * (i & 3));
  x.fill(0);
}

function littleEndian(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function quarter(x: Int32Array, a: number, b: number, c: number, d: number): void {
  for (let half = 0; half < 2; half++) {
    const left = half === 0 ? 16 : 8;
    const right = half === 0 ? 12 : 7;
    x[a]! += x[b]!;
    x[d] = rotate(x[d]! ^ x[a]!, left);
    x[c]! += x[d];
    x[b] = rotate(x[b]! ^ x[c]!, right);
  }
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** XChaCha20-Poly1305 (cookie replies only): `out` is `plain.length + 16` long, `nonce` is 24 bytes. */
export function xchachaSeal(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  additional: Uint8Array,
): void {
  const cipher = xchacha(key, nonce);
  out.set(cipher.seal(xchachaNonce(nonce), plain, additional));
  cipher.clean();
}

/** The reverse; false leaves `out` untouched. */
export function xchachaOpen(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  additional: Uint8Array,
): boolean {
  const cipher = xchacha(key, nonce);
  const plain = cipher.open(xchachaNonce(nonce), sealed, additional);
  cipher.clean();
  if (plain === null) return false;
  out.set(plain);
  wipe(plain);
  return true;
}

function xchacha(key: Uint8Array, nonce: Uint8Array): ChaCha20Poly1305 {
  const subkey = new Uint8Array(32);
  hchacha20(subkey, key, nonce);
  const cipher = new ChaCha20Poly1305(subkey);
  wipe(subkey);
  return cipher;
}

function xchachaNonce(nonce: Uint8Array): Uint8Array {
  const rest = new Uint8Array(12);
  rest.set(nonce.subarray(16, 24), 4);
  return rest;
}

/** The portable provider. `arena` is where its transport ciphers work. */
export function stablelibProvider(arena: Arena): CryptoProvider {
  return {
    name: 'stablelib',
    sharedSecret(out, privateKey, publicKey) {
      const shared = scalarMult(privateKey, publicKey);
      out.set(shared);
      wipe(shared);
      return !isZero(out.subarray(0, 32));
    },
    publicKey(out, privateKey) {
      out.set(scalarMultBase(privateKey));
    },
    aead: key => new StablelibAead(arena, key),
    seal(out, key, plain, additional) {
      const cipher = new ChaCha20Poly1305(key);
      out.set(cipher.seal(zeroNonce, plain, additional));
      cipher.clean();
    },
    open(out, key, sealed, additional) {
      const cipher = new ChaCha20Poly1305(key);
      const plain = cipher.open(zeroNonce, sealed, additional);
      cipher.clean();
      if (plain === null) {
        out.fill(0);
        return false;
      }
      out.set(plain);
      wipe(plain);
      return true;
    },
  };
}

const zeroNonce = new Uint8Array(12);

class StablelibAead implements Aead {
  readonly #arena: Arena;
  readonly #cipher: ChaCha20Poly1305;
  readonly #nonce = new Uint8Array(12);
  readonly #nonceView = new DataView(this.#nonce.buffer);

  constructor(arena: Arena, key: Uint8Array) {
    this.#arena = arena;
    this.#cipher = new ChaCha20Poly1305(key);
  }

  seal(at: number, bytes: number, counter: number): void {
    this.#nonceView.setUint32(4, counter, true);
    this.#nonceView.setUint32(8, counter / 0x1_0000_0000, true);
    const memory = this.#arena.u8;
    memory.set(this.#cipher.seal(this.#nonce, memory.subarray(at, at + bytes)), at);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    this.#nonceView.setUint32(4, counterLow, true);
    this.#nonceView.setUint32(8, counterHigh, true);
    const memory = this.#arena.u8;
    const plain = this.#cipher.open(this.#nonce, memory.subarray(at, at + bytes));
    if (plain === null) return false;
    memory.set(plain, at);
    return true;
  }

  destroy(): void {
    this.#cipher.clean();
  }
}
