// Chooses the crypto provider of this thread. Every native candidate must first agree with the portable one on a set of
// fixed inputs; of those that do, a benchmark of a few milliseconds takes the fastest. The portable provider is an
// argument, as this folder may not know the protocol's.

import { errorText, usageError } from '../util/errors.ts';
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
export type CryptoChoice = { readonly provider: CryptoLike; readonly candidates: readonly CryptoCandidate[] };

/**
 * `wanted`: 'auto' takes the fastest that is right; a name ('openssl-raw', 'openssl-evp', the fallback's) that one.
 * `portable` makes other providers on the same arena (WebAssembly). They are tested alike, but made only when OpenSSL offers
 * nothing that works, or when `wanted` is not one of its names: making them costs start-up time.
 */
export function chooseCrypto(
  libc: Libc,
  fallback: CryptoLike,
  wanted = 'auto',
  portable: () => readonly CryptoLike[] = () => [],
): CryptoLike {
  return compareCrypto(libc, fallback, wanted, portable).provider;
}

/** The same with the reasons, for reports. */
export function compareCrypto(
  libc: Libc,
  fallback: CryptoLike,
  wanted = 'auto',
  portable: () => readonly CryptoLike[] = () => [],
): CryptoChoice {
  const candidates: CryptoCandidate[] = [];
  let best: CryptoLike | null = null;
  let bestCost = Infinity;
  for (const offer of [() => opensslProviders(libc), portable]) {
    if (best !== null || wanted === fallback.name) break;
    for (const provider of offer()) {
      if (wanted !== 'auto' && provider.name !== wanted) continue;
      const failure = selfTest(libc, provider, fallback);
      const seal64 = failure === null ? measure(libc, provider, 64) : NaN;
      const seal1440 = failure === null ? measure(libc, provider, 1440) : NaN;
      candidates.push({ name: provider.name, seal64, seal1440, failure });
      // The first is the likely best: a busy machine must not let a later one win by chance.
      if (seal64 + seal1440 < bestCost * 0.9) {
        best = provider;
        bestCost = seal64 + seal1440;
      }
    }
  }
  if (best === null && wanted !== 'auto' && wanted !== fallback.name) {
    const why = candidates[0]?.failure ?? 'this process has no libcrypto that exports it';
    throw usageError(
      'crypto',
      `crypto '${wanted}' cannot be used: ${why}; choose 'auto' or '${fallback.name}'`,
    );
  }
  return { provider: best ?? fallback, candidates };
}

const lengths = [0, 1, 15, 16, 17, 64, 1420, 1440];
const counters = [0, 1, 0xffff_ffff, 2 ** 32 + 5, 2 ** 52 + 3];
const tagBytes = 16;

/** What is wrong with `tested`, or null. Compares with `trusted` byte for byte, and refuses what must be refused. */
export function selfTest(libc: Libc, tested: CryptoLike, trusted: CryptoLike): string | null {
  try {
    return (
      testTransport(libc, tested, trusted) ?? testHandshake(tested, trusted) ?? testCurve(tested, trusted)
    );
  } catch (error) {
    return `fails: ${errorText(error)}`; // a FIPS build has the functions and refuses to run them
  }
}

function testTransport(libc: Libc, tested: CryptoLike, trusted: CryptoLike): string | null {
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

function testCurve(tested: CryptoLike, trusted: CryptoLike): string | null {
  const secret = pattern(32, 5);
  secret[0] = secret[0]! & 248;
  secret[31] = (secret[31]! & 127) | 64;
  const ours = new Uint8Array(32);
  const expected = new Uint8Array(32);
  tested.publicKey(ours, secret);
  trusted.publicKey(expected, secret);
  if (!same(ours, expected)) return 'derives a wrong public key';
  const ok = tested.sharedSecret(ours, secret, pattern(32, 6));
  trusted.sharedSecret(expected, secret, pattern(32, 6));
  if (!ok || !same(ours, expected)) return 'computes a wrong shared secret';
  if (tested.sharedSecret(ours, secret, new Uint8Array(32))) return 'accepts a low-order point';
  return null;
}

/** Nanoseconds per seal: the best of a few rounds after a warm-up, for a busy machine must not decide. */
function measure(libc: Libc, provider: CryptoLike, bytes: number): number {
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

const workspaces = new WeakMap<Libc, number>();

function workspace(libc: Libc): number {
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
