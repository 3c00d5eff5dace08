// Whether a crypto provider is right: known answers to fixed inputs, their inverse, and refusal of forgeries. Comparing with a second
// provider would add 20 ms to every start. The answers were made by StableLib and by node:crypto, which agree; StableLib passes too.

import type { Arena } from '../../util/arena.ts';
import { fromHex, toHex } from '../../util/bytes.ts';
import { errorText } from '../../util/errors.ts';
import { atEnd } from '../../util/scope.ts';
import type { AeadLike } from './chacha.ts';
import type { Libc } from '../libc.ts';
import type { CryptoLike } from './openssl.ts';

/** Where packets lie; without FFI that is all there is, and OpenSSL is not among the providers. */
export type Ground = Libc | { readonly arena: Arena };

/** What sealing packets of so many bytes gives, under each of the counters: a checksum over all of it. */
const transport = new Map([
  [0, 0x8efdb40c],
  [1, 0xc499001b],
  [15, 0xad9bd956],
  [16, 0x2f9aecc7],
  [17, 0x1a1d858f],
  [64, 0x2430ba9c],
  [1420, 0x4a900b4f],
  [1440, 0xe9ef0ad7],
]);
const counters = [0, 1, 0xffff_ffff, 2 ** 32 + 5, 2 ** 52 + 3];
/** The same for fields of a handshake. */
const fields = new Map([
  [0, 0x3348aa7f],
  [12, 0xd31dfcd7],
  [32, 0x69b9f788],
]);
const tagBytes = 16;

/** What is wrong with `tested`, or null. It must give the known answers, undo them, and refuse what must be refused. */
export function selfTest(libc: Ground, tested: CryptoLike): string | null {
  try {
    return testTransport(libc, tested) ?? testHandshake(tested) ?? testCurve(tested);
  } catch (error) {
    return `fails: ${errorText(error)}`; // a FIPS build has the functions and refuses to run them
  }
}

function testTransport(libc: Ground, tested: CryptoLike): string | null {
  const aead = tested.aead(pattern(32, 1));
  using _end = atEnd(() => aead.destroy());
  for (const [bytes, answer] of transport) {
    let sum = 0;
    for (const counter of counters) {
      const sealed = testPacket(libc, aead, bytes, counter);
      if (typeof sealed === 'string') return sealed;
      sum = checksum(sum, sealed);
    }
    if (sum !== answer) return `seals ${bytes} bytes wrongly`;
  }
  return null;
}

/** One packet sealed, or what went wrong with it. */
function testPacket(libc: Ground, aead: AeadLike, bytes: number, counter: number): Uint8Array | string {
  const { u8 } = libc.arena;
  const at = workspace(libc) + 77; // no alignment to lean on
  const plain = pattern(bytes, bytes);
  const around = pattern(bytes + 160, 99);
  u8.set(around, at - 77);
  u8.set(plain, at);
  aead.seal(at, bytes, counter);
  if (!same(u8.subarray(at - 77, at), around.subarray(0, 77))) return 'damages the bytes before a packet';
  const after = u8.subarray(at + bytes + tagBytes, at - 77 + around.length);
  if (!same(after, around.subarray(77 + bytes + tagBytes))) return 'damages the bytes after a packet';
  const sealed = u8.slice(at, at + bytes + tagBytes);
  const low = counter >>> 0;
  const high = Math.floor(counter / 2 ** 32);
  if (!aead.open(at, bytes + tagBytes, low, high)) return `does not open ${bytes} bytes`;
  if (!same(u8.subarray(at, at + bytes), plain)) return `opens ${bytes} bytes wrongly`;
  u8.set(sealed, at);
  u8[at + bytes] = u8[at + bytes]! ^ 1;
  return aead.open(at, bytes + tagBytes, low, high) ? 'accepts a forged tag' : sealed;
}

function testHandshake(tested: CryptoLike): string | null {
  const key = pattern(32, 2);
  for (const [bytes, answer] of fields) {
    const plain = pattern(bytes, 3);
    const additional = pattern(32, 4);
    const sealed = new Uint8Array(bytes + tagBytes);
    const opened = new Uint8Array(bytes);
    tested.seal(sealed, key, plain, additional);
    if (checksum(0, sealed) !== answer) return 'seals a handshake field wrongly';
    if (!tested.open(opened, key, sealed, additional) || !same(opened, plain))
      return 'does not open a handshake field';
    additional[0] = additional[0]! ^ 1;
    if (tested.open(opened, key, sealed, additional)) return 'accepts forged additional data';
  }
  return null;
}

/** Bytes into a word that no plausible fault leaves alone: FNV-1a. Nothing hostile is summed here. */
function checksum(sum: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) sum = Math.imul(sum ^ bytes[i]!, 0x01000193);
  return sum >>> 0;
}

/** Known answers of RFC 7748 (§6.1 Bob, §5.2 first), scalars clamped as WireGuard keeps them. */
const curve = {
  secret: '58ab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e06b',
  publicKey: 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f',
  scalar: 'a046e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449a44',
  point: 'e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c',
  shared: 'c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552',
};

function testCurve(tested: CryptoLike): string | null {
  const out = new Uint8Array(32);
  tested.publicKey(out, fromHex(curve.secret)!);
  if (toHex(out) !== curve.publicKey) return 'derives a wrong public key';
  const ok = tested.sharedSecret(out, fromHex(curve.scalar)!, fromHex(curve.point)!);
  if (!ok || toHex(out) !== curve.shared) return 'computes a wrong shared secret';
  if (tested.sharedSecret(out, fromHex(curve.scalar)!, new Uint8Array(32)))
    return 'accepts a low-order point';
  return null;
}

const workspaces = new WeakMap<Ground, number>();

/** 2 KiB to work in, the same each time. */
export function workspace(libc: Ground): number {
  let at = workspaces.get(libc);
  if (at === undefined) {
    at = libc.arena.alloc(2048);
    workspaces.set(libc, at);
  }
  return at;
}

export function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 167 + seed * 31 + (i >> 3)) & 255);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
