// Chooses the crypto provider of this thread: the first, in order of preference, that agrees with the portable one and with
// RFC 7748 on a set of fixed inputs. The order was measured (raw ChaCha before EVP before WebAssembly before script: on every
// machine each is well ahead of the next), so nothing is timed at start-up; `compareCrypto` times all of them for a report.
// The portable provider is an argument, as this folder may not know the protocol's.

import { fromHex, toHex } from '../util/bytes.ts';
import { errorText, usageError } from '../util/errors.ts';
import type { Arena } from '../util/arena.ts';
import type { Libc } from './libc.ts';
import type { CryptoLike } from './openssl.ts';
import { opensslProviders } from './openssl.ts';

export type CryptoCandidate = {
  readonly name: string;
  /** Nanoseconds to seal 64 and 1440 bytes; NaN when the self-test failed. */
  readonly seal64: number;
  readonly seal1440: number;
  /** Null when it passed. */
  readonly failure: string | null;
};
/** Where packets lie; without FFI that is all there is, and OpenSSL is not among the providers. */
export type Ground = Libc | { readonly arena: Arena };
export type CryptoChoice = { readonly provider: CryptoLike; readonly candidates: readonly CryptoCandidate[] };

/**
 * `wanted`: 'auto' takes the first that is right; a name ('openssl-raw', 'openssl-evp', the fallback's) that one.
 * `portable` makes other providers on the same arena (WebAssembly). They are tested alike, but made only when OpenSSL offers
 * nothing that works, or when `wanted` is not one of its names: making them costs start-up time.
 */
export function chooseCrypto(
  libc: Ground,
  fallback: CryptoLike,
  wanted = 'auto',
  portable: () => readonly CryptoLike[] = () => [],
): CryptoLike {
  if (wanted === fallback.name) return fallback;
  let why = 'this process has no libcrypto that exports it';
  for (const offer of [() => native(libc), portable]) {
    for (const provider of offer()) {
      if (wanted !== 'auto' && provider.name !== wanted) continue;
      const failure = selfTest(libc, provider, fallback);
      if (failure === null) return provider;
      why = failure;
    }
  }
  if (wanted === 'auto') return fallback;
  throw usageError(
    'crypto',
    `crypto '${wanted}' cannot be used: ${why}; choose 'auto' or '${fallback.name}'`,
  );
}

/** Every provider there is with its test and its speed, and the one that `chooseCrypto` takes. */
export function compareCrypto(
  libc: Ground,
  fallback: CryptoLike,
  portable: () => readonly CryptoLike[] = () => [],
): CryptoChoice {
  const candidates = [...native(libc), ...portable(), fallback].map(provider => {
    const failure = provider === fallback ? null : selfTest(libc, provider, fallback);
    const time = (bytes: number): number => (failure === null ? measure(libc, provider, bytes) : NaN);
    return { name: provider.name, seal64: time(64), seal1440: time(1440), failure };
  });
  return { provider: chooseCrypto(libc, fallback, 'auto', portable), candidates };
}

function native(libc: Ground): CryptoLike[] {
  return 'ffi' in libc ? opensslProviders(libc) : [];
}

const lengths = [0, 1, 15, 16, 17, 64, 1420, 1440];
const counters = [0, 1, 0xffff_ffff, 2 ** 32 + 5, 2 ** 52 + 3];
const tagBytes = 16;

/** What is wrong with `tested`, or null. Compares with `trusted` byte for byte, and refuses what must be refused. */
export function selfTest(libc: Ground, tested: CryptoLike, trusted: CryptoLike): string | null {
  try {
    return testTransport(libc, tested, trusted) ?? testHandshake(tested, trusted) ?? testCurve(tested);
  } catch (error) {
    return `fails: ${errorText(error)}`; // a FIPS build has the functions and refuses to run them
  }
}

function testTransport(libc: Ground, tested: CryptoLike, trusted: CryptoLike): string | null {
  const { u8 } = libc.arena;
  const at = workspace(libc) + 77; // no alignment to lean on
  const key = pattern(32, 1);
  const one = tested.aead(key);
  const other = trusted.aead(key);
  try {
    for (const bytes of lengths) {
      const plain = pattern(bytes, bytes);
      const around = pattern(bytes + 160, 99);
      for (const counter of counters) {
        u8.set(plain, at);
        other.seal(at, bytes, counter);
        const expected = u8.slice(at, at + bytes + tagBytes);
        u8.set(around, at - 77);
        u8.set(plain, at);
        one.seal(at, bytes, counter);
        if (!same(u8.subarray(at, at + bytes + tagBytes), expected)) return `seals ${bytes} bytes wrongly`;
        if (!same(u8.subarray(at - 77, at), around.subarray(0, 77)))
          return 'damages the bytes before a packet';
        const after = u8.subarray(at + bytes + tagBytes, at - 77 + around.length);
        if (!same(after, around.subarray(77 + bytes + tagBytes))) return 'damages the bytes after a packet';
        const low = counter >>> 0;
        const high = Math.floor(counter / 2 ** 32);
        if (!one.open(at, bytes + tagBytes, low, high)) return `does not open ${bytes} bytes`;
        if (!same(u8.subarray(at, at + bytes), plain)) return `opens ${bytes} bytes wrongly`;
        u8.set(expected, at);
        u8[at + bytes] = u8[at + bytes]! ^ 1;
        if (one.open(at, bytes + tagBytes, low, high)) return 'accepts a forged tag';
      }
    }
    return null;
  } finally {
    one.destroy();
    other.destroy();
  }
}

function testHandshake(tested: CryptoLike, trusted: CryptoLike): string | null {
  const key = pattern(32, 2);
  for (const bytes of [0, 12, 32]) {
    const plain = pattern(bytes, 3);
    const additional = pattern(32, 4);
    const sealed = new Uint8Array(bytes + tagBytes);
    const expected = new Uint8Array(bytes + tagBytes);
    const opened = new Uint8Array(bytes);
    tested.seal(sealed, key, plain, additional);
    trusted.seal(expected, key, plain, additional);
    if (!same(sealed, expected)) return 'seals a handshake field wrongly';
    if (!tested.open(opened, key, sealed, additional) || !same(opened, plain))
      return 'does not open a handshake field';
    additional[0] = additional[0]! ^ 1;
    if (tested.open(opened, key, sealed, additional)) return 'accepts forged additional data';
  }
  return null;
}

/**
 * Known answers of RFC 7748 (§6.1 Bob, §5.2 first), scalars clamped as WireGuard keeps them. StableLib's curve, still cold at
 * start-up, would take fifty milliseconds to say the same.
 */
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

/** Nanoseconds per seal: the best of a few rounds after a warm-up, for a busy machine must not decide. */
function measure(libc: Ground, provider: CryptoLike, bytes: number): number {
  const at = workspace(libc) + 64;
  const aead = provider.aead(pattern(32, 7));
  let best = Infinity;
  for (let round = -warmUp; round < rounds; round++) {
    const start = performance.now();
    for (let i = 0; i < roundSeals; i++) aead.seal(at, bytes, i);
    const cost = ((performance.now() - start) * 1e6) / roundSeals;
    if (round >= 0 && cost < best) best = cost;
  }
  aead.destroy();
  return best;
}

const warmUp = 16;
const rounds = 8;
const roundSeals = 200;

const workspaces = new WeakMap<Ground, number>();

function workspace(libc: Ground): number {
  let at = workspaces.get(libc);
  if (at === undefined) {
    at = libc.arena.alloc(2048);
    workspaces.set(libc, at);
  }
  return at;
}

function pattern(bytes: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (i * 167 + seed * 31 + (i >> 3)) & 255);
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
