// XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha §2) for cookie replies, the only ones to use it (whitepaper §5.4.7). OpenSSL has none,
// so every provider shares this one: HChaCha20 here, the rest by the WebAssembly cipher on a small memory of its own, made
// when the first cookie comes or goes. Plain instructions do: a cookie is sixteen bytes.

import { Arena } from '../../util/arena.ts';
import { wipe } from '../../util/bytes.ts';
import { newMemory } from '../../util/memory.ts';
import { fallback } from './fallback.ts';
import { ChachaPoly } from './wasm/chachapoly.ts';

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

/** `out` is `plain.length + 16` long, `nonce` is 24 bytes. */
export function xchachaSeal(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  additional: Uint8Array,
): void {
  derive(key, nonce);
  cipher().seal(out, subkey, rest, plain, additional);
  wipe(subkey);
}

/** The reverse; false leaves `out` untouched. */
export function xchachaOpen(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  additional: Uint8Array,
): boolean {
  derive(key, nonce);
  const ok = cipher().open(out, subkey, rest, sealed, additional);
  wipe(subkey);
  return ok;
}

const subkey = new Uint8Array(32);
/** The nonce under the sub-key: four zero bytes and the last eight of the long one. */
const rest = new Uint8Array(12);

function derive(key: Uint8Array, nonce: Uint8Array): void {
  hchacha20(subkey, key, nonce);
  for (let i = 0; i < 8; i++) rest[4 + i] = nonce[16 + i]!;
}

let made: ChachaPoly | undefined;

function cipher(): Pick<ChachaPoly, 'seal' | 'open'> {
  if (fallback !== null) return fallback;
  if (made === undefined) {
    const memory = newMemory(1, false);
    made = new ChachaPoly(new Arena(memory.buffer), memory, false);
  }
  return made;
}
