// StableLib as a provider and as what hashes and cookies use without WebAssembly: the vectors, and the same results as WebAssembly.

import t from 'tap';
import { selfTest } from '../../../src/platform/crypto/selftest.ts';
import { toHex } from '../../../src/util/bytes.ts';
import { hash, hmac, kdf1, kdf2, kdf3, mac } from '../../../src/wireguard/primitives/crypto.ts';
import { useFallback } from '../../../src/wireguard/primitives/fallback.ts';
import { stablelibFallback, stablelibProvider } from '../../../src/wireguard/primitives/stablelib.ts';
import { xchachaOpen, xchachaSeal } from '../../../src/wireguard/primitives/xchacha.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';
import { cryptoSuite, sharedArena } from '../../fixtures/twins/crypto-suite.ts';

const arena = sharedArena();
cryptoSuite(t, stablelibProvider(arena), arena);

t.test('it passes the test that chooses providers', async t => {
  t.equal(selfTest({ arena }, stablelibProvider(arena)), null);
});

/** Every hash, key derivation and cookie that `seed` leads to, as text. */
function results(seed: number): string[] {
  const rng = seeded(seed);
  const all: string[] = [];
  for (let i = 0; i < 200; i++) {
    const [a, b, key] = [rng.bytes(rng.below(200)), rng.bytes(rng.below(100)), rng.bytes(32)];
    const [one, two, three] = [new Uint8Array(32), new Uint8Array(32), new Uint8Array(32)];
    hash(one, a, i % 2 === 0 ? b : null);
    mac(two, i % 3 === 0 ? new Uint8Array(0) : key, a);
    hmac(three, key, a.subarray(i % 5 === 0 ? a.length : 0), i % 2 === 0 ? b : null);
    all.push(toHex(one), toHex(two), toHex(three));
    kdf1(one, key, a);
    kdf2(one, two, one, b);
    kdf3(one, two, three, two, a);
    all.push(toHex(one), toHex(two), toHex(three));
    const nonce = rng.bytes(24);
    const sealed = new Uint8Array(a.length + 16);
    xchachaSeal(sealed, key, nonce, a, b);
    const opened = new Uint8Array(a.length);
    const isRight = xchachaOpen(opened, key, nonce, sealed, b);
    all.push(toHex(sealed), `${isRight}`, toHex(opened));
    sealed[rng.below(sealed.length)]! ^= 1;
    all.push(`${xchachaOpen(opened, key, nonce, sealed, b)}`);
  }
  return all;
}

const seed = seedOf(1939);
t.test(`the same results with and without WebAssembly (seed ${seed})`, async t => {
  const expected = results(seed);
  useFallback(stablelibFallback);
  try {
    t.strictSame(results(seed), expected);
  } finally {
    useFallback(null);
  }
});
