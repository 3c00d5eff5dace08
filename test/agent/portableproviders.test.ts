// The providers as the data plane gets them: the suite of vectors (X25519's of RFC 7748 and the low-order points among them) on
// each, and the curve against StableLib.

import t from 'tap';
import { nodeCurve, portableProviders } from '../../src/agent/portableproviders.ts';
import { selfTest } from '../../src/platform/crypto/selftest.ts';
import { Arena } from '../../src/util/arena.ts';
import { isZero, toHex } from '../../src/util/bytes.ts';
import { cryptoSuite, hex, vectors } from '../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';
import { stablelibProvider } from '../../src/wireguard/primitives/stablelib.ts';

const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
const arena = new Arena(memory.buffer);
const providers = [...portableProviders(arena, memory)];

t.test('vector instructions first', async t => {
  t.strictSame(
    providers.map(provider => provider.name),
    ['wasm-simd', 'wasm'],
  );
  for (const provider of providers) t.equal(selfTest({ arena }, provider), null, provider.name);
});

for (const provider of providers) cryptoSuite(t, provider, arena);

t.test('a low-order point leaves zeros, whatever was there', async t => {
  for (const point of vectors<string[]>('low-order-points.json')) {
    const out = new Uint8Array(32).fill(9);
    t.equal(nodeCurve.sharedSecret(out, new Uint8Array(32).fill(8), hex(point)), false, point);
    t.ok(isZero(out));
  }
  const out = new Uint8Array(32).fill(9);
  t.equal(
    nodeCurve.sharedSecret(out, new Uint8Array(32).fill(8), new Uint8Array(31)),
    false,
    'no point at all',
  );
  t.ok(isZero(out));
});

const seed = seedOf(7748);
t.test(`X25519 agrees with StableLib, keys clamped or not (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const twin = stablelibProvider(arena);
  const [out, want] = [new Uint8Array(32), new Uint8Array(32)];
  const wrong: string[] = [];
  for (let i = 0; i < 40; i++) {
    const [key, point] = [rng.bytes(32), rng.bytes(32)];
    if (nodeCurve.sharedSecret(out, key, point) !== twin.sharedSecret(want, key, point)) wrong.push(`${i}`);
    if (toHex(out) !== toHex(want)) wrong.push(`secret ${toHex(key)} ${toHex(point)}`);
    nodeCurve.publicKey(out, key);
    twin.publicKey(want, key);
    if (toHex(out) !== toHex(want)) wrong.push(`public key ${toHex(key)}`);
  }
  t.same(wrong, []);
});
