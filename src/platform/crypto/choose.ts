// Chooses the crypto provider of this thread: the first, in order of preference, that passes the self-test. The order was measured
// once (docs/decisions/0007-order-of-ciphers.md), so nothing is timed at start. The portable providers are an argument, because this
// folder does not know the protocol's.

import { usageError } from '../../util/errors.ts';
import type { CryptoLike } from './openssl.ts';
import { opensslProviders } from './openssl.ts';
import { type Ground, pattern, selfTest, workspace } from './selftest.ts';

export type CryptoCandidate = {
  readonly name: string;
  /** Nanoseconds to seal 64 and 1440 bytes; NaN when the self-test failed. */
  readonly seal64: number;
  readonly seal1440: number;
  /** Null when it passed. */
  readonly failure: string | null;
};
/** `provider` is null when none is right. */
export type CryptoChoice = {
  readonly provider: CryptoLike | null;
  readonly candidates: readonly CryptoCandidate[];
};

/** Makes the providers that need nothing of this folder, the best first. */
export type Portable = () => Iterable<CryptoLike>;

/**
 * `wanted`: 'auto' takes the first that is right; a name ('openssl-raw', 'openssl-evp', one of the portable) that one. The
 * portable are made only when OpenSSL offers nothing that works or `wanted` is not one of its names.
 */
export function chooseCrypto(libc: Ground, portable: Portable, wanted = 'auto'): CryptoLike {
  let why = 'this process has no such provider';
  for (const provider of offers(libc, portable)) {
    if (wanted !== 'auto' && provider.name !== wanted) continue;
    const failure = selfTest(libc, provider);
    if (failure === null) return provider;
    why = failure;
  }
  const repair = wanted === 'auto' ? 'run sallyport doctor' : "choose 'auto'";
  throw usageError('crypto', `crypto '${wanted}' cannot be used: ${why}; ${repair}`);
}

/** Every provider there is with its test and its speed, and the one that `chooseCrypto` takes. */
export function compareCrypto(libc: Ground, portable: Portable): CryptoChoice {
  const providers = [...offers(libc, portable)];
  const candidates = providers.map(provider => {
    const failure = selfTest(libc, provider);
    const time = (bytes: number): number => (failure === null ? measure(libc, provider, bytes) : NaN);
    return { name: provider.name, seal64: time(64), seal1440: time(1440), failure };
  });
  const best = providers.find((_, i) => candidates[i]!.failure === null) ?? null;
  return { provider: best, candidates };
}

function* offers(libc: Ground, portable: Portable): Generator<CryptoLike> {
  if ('ffi' in libc) yield* opensslProviders(libc);
  yield* portable();
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
