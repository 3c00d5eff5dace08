// BLAKE2s (RFC 7693) and the key pads of HMAC over it: one state, HMAC pads hashed once, compression in WebAssembly. A handshake takes
// about ninety compressions; figures are in docs/decisions/0009-blake2s-in-webassembly.md. Sequential: nothing may await between start
// and finish.

import { newMemory } from '../../util/memory.ts';
import { assemble, type Code, Func, get, i32, i32Type, seq, set } from '../../util/assembler.ts';

export const hashBytes = 32;
const blockBytes = 64;

const iv = Int32Array.of(
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
); // prettier-ignore

/** Message word order of the ten rounds (RFC 7693 §2.7). */
// prettier-ignore
const sigma = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
  14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
  11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
  7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
  9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
  2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
  12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
  13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
  6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
  10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
];

// One small memory: the block, the state, and the states after the two pads of an HMAC key.
const stateAt = blockBytes;
const memory = newMemory(1, false);
const block = new Uint8Array(memory.buffer, 0, blockBytes);
const words = new Int32Array(memory.buffer, 0, 16);
const state = new Int32Array(memory.buffer, stateAt, 8);
const digest = new Uint8Array(memory.buffer, stateAt, hashBytes);
const inner = new Int32Array(memory.buffer, stateAt + 32, 8);
const outer = new Int32Array(memory.buffer, stateAt + 64, 8);
const everything = new Int32Array(memory.buffer, 0, (stateAt + 96) / 4);

let filled = 0; // bytes waiting in `block`
let length = 0; // bytes hashed before them

/** Starts a hash of `bytes` (1..32) output bytes, keyed when `key` (0..32 bytes) is not empty. */
export function start(bytes: number, key: Uint8Array | null = null): void {
  const keyBytes = key === null ? 0 : key.length;
  for (let i = 0; i < 8; i++) state[i] = iv[i]!;
  state[0]! ^= 0x01010000 ^ (keyBytes << 8) ^ bytes;
  filled = length = 0;
  if (key !== null && keyBytes > 0) fillBlock(key);
}

export function update(input: Uint8Array): void {
  const size = input.length;
  let at = 0;
  // A full block is compressed only when more follows: the last one carries the final flag.
  while (at < size) {
    if (filled === blockBytes) compressBlock(false);
    const take = Math.min(blockBytes - filled, size - at);
    for (let i = 0; i < take; i++) block[filled + i] = input[at + i]!;
    filled += take;
    at += take;
  }
}

/** Writes the first `bytes` bytes of the digest to the start of `out`, which may be an input. */
export function finish(out: Uint8Array, bytes: number): void {
  const end = filled;
  compressBlock(true, end);
  for (let i = 0; i < bytes; i++) out[i] = digest[i]!;
}

/** Hashes the two pads of an HMAC key (RFC 2104) of at most one block. */
export function hmacKey(key: Uint8Array): void {
  fillBlock(key);
  for (let i = 0; i < 16; i++) words[i]! ^= 0x36363636;
  padState(inner);
  for (let i = 0; i < 16; i++) words[i]! ^= 0x36363636 ^ 0x5c5c5c5c;
  padState(outer);
}

/** Starts HMAC's inner hash under the last `hmacKey`. At least one byte of message must follow. */
export function hmacStart(): void {
  resume(inner);
}

/** The same for an empty message, directly after `hmacKey`: the pad is the last block then and must be hashed as such. */
export function hmacStartEmpty(): void {
  for (let i = 0; i < 16; i++) words[i]! ^= 0x36363636 ^ 0x5c5c5c5c;
  start(hashBytes);
  filled = blockBytes;
}

/** Ends the inner hash and writes the MAC, 32 bytes. */
export function hmacFinish(out: Uint8Array): void {
  compressBlock(true, filled);
  for (let i = 0; i < 8; i++) words[i] = state[i]!;
  resume(outer);
  filled = hashBytes;
  finish(out, hashBytes);
}

/** Forgets what the last hash left behind (best effort). */
export function forget(): void {
  for (let i = 0; i < everything.length; i++) everything[i] = 0;
}

function fillBlock(bytes: Uint8Array): void {
  for (let i = 0; i < 16; i++) words[i] = 0;
  for (let i = 0; i < bytes.length; i++) block[i] = bytes[i]!;
  filled = blockBytes;
}

function padState(to: Int32Array): void {
  start(hashBytes);
  filled = blockBytes;
  compressBlock(false);
  for (let i = 0; i < 8; i++) to[i] = state[i]!;
}

function resume(from: Int32Array): void {
  for (let i = 0; i < 8; i++) state[i] = from[i]!;
  filled = 0;
  length = blockBytes;
}

/** Takes `bytes` bytes of the block into the state; fewer than all only at the end. */
function compressBlock(last: boolean, bytes = blockBytes): void {
  for (let i = bytes; i < blockBytes; i++) block[i] = 0;
  length += bytes;
  filled = 0;
  compress(length, last ? -1 : 0);
}

type Compress = (length: number, lastMask: number) => void;

/** Compiles itself at first use. */
let compress: Compress = (length, lastMask) => {
  const module = new WebAssembly.Module(assemble([compressFunction()], { compress: 0 }, false));
  compress = new WebAssembly.Instance(module, { env: { memory } }).exports['compress'] as Compress;
  compress(length, lastMask);
};

/** RFC 7693 §3.2: state = F(state, block). Messages here stay below 4 GiB: the high word of the counter is zero. */
function compressFunction(): Func {
  const f = new Func([i32Type, i32Type]);
  const v = f.locals(16, i32Type);
  const here = i32.const(0);
  const mix = (a: number, b: number, c: number, d: number, first: number, second: number): Code => {
    const half = (word: number, right1: number, right2: number): Code =>
      seq(
        set(v[a]!, i32.add(i32.add(get(v[a]!), get(v[b]!)), i32.load(here, 4 * word))),
        set(v[d]!, i32.rotl(i32.xor(get(v[d]!), get(v[a]!)), i32.const(32 - right1))),
        set(v[c]!, i32.add(get(v[c]!), get(v[d]!))),
        set(v[b]!, i32.rotl(i32.xor(get(v[b]!), get(v[c]!)), i32.const(32 - right2))),
      );
    return seq(half(first, 16, 12), half(second, 8, 7));
  };
  const rounds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(round => {
    const m = sigma.slice(16 * round, 16 * round + 16) as [number, ...number[]];
    const four = [0, 1, 2, 3];
    return seq(
      ...four.map(i => mix(i, 4 + i, 8 + i, 12 + i, m[2 * i]!, m[2 * i + 1]!)),
      ...four.map(i =>
        mix(i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3), m[8 + 2 * i]!, m[9 + 2 * i]!),
      ),
    );
  });
  const counter = [get(0), i32.const(0), get(1), i32.const(0)]; // into words 12..15
  return f.body(
    ...[0, 1, 2, 3, 4, 5, 6, 7].map(i => set(v[i]!, i32.load(here, stateAt + 4 * i))),
    ...[0, 1, 2, 3].map(i => set(v[8 + i]!, i32.const(iv[i]!))),
    ...[0, 1, 2, 3].map(i => set(v[12 + i]!, i32.xor(i32.const(iv[4 + i]!), counter[i]!))),
    ...rounds,
    ...[0, 1, 2, 3, 4, 5, 6, 7].map(i => {
      const at = stateAt + 4 * i;
      return i32.store(here, i32.xor(i32.load(here, at), i32.xor(get(v[i]!), get(v[8 + i]!))), at);
    }),
  );
}
