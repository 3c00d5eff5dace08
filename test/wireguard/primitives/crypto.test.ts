import t from 'tap';
import { BLAKE2s } from '@stablelib/blake2s';
import { ChaCha20Poly1305 } from '@stablelib/chacha20poly1305';
import { createHmac } from 'node:crypto';
import { toHex } from '../../../src/util/bytes.ts';
import { hash, hmac, kdf1, kdf2, kdf3, mac } from '../../../src/wireguard/primitives/crypto.ts';
import {
  cryptoSuite,
  hex,
  type SealedVector,
  sharedArena,
  vectors,
} from '../../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';
import { stablelibProvider } from '../../../src/wireguard/primitives/stablelib.ts';

const arena = sharedArena();
// The slow twin has to pass what the product's ciphers pass.
cryptoSuite(t, stablelibProvider(arena), arena);

t.test('RFC 8439 ChaCha20-Poly1305, the library itself', async t => {
  for (const v of vectors<SealedVector[]>('rfc8439-aead.json')) {
    const cipher = new ChaCha20Poly1305(hex(v.key));
    t.equal(toHex(cipher.seal(hex(v.nonce), hex(v.plain), hex(v.additional))), v.sealed, v.section);
  }
});

t.test('H2–H7 KDF known answers', async t => {
  for (const row of vectors<{ key: string; input: string; t0: string; t1: string; t2: string }[]>(
    'kdf.json',
  )) {
    const [t0, t1, t2] = [new Uint8Array(32), new Uint8Array(32), new Uint8Array(32)];
    const [key, input] = [hex(row.key), hex(row.input)];
    kdf3(t0, t1, t2, key, input);
    t.same([t0, t1, t2].map(toHex), [row.t0, row.t1, row.t2], 'KDF3');
    kdf2(t0, t2, key, input);
    t.same([t0, t2].map(toHex), [row.t0, row.t1], 'KDF2');
    kdf1(t1, key, input);
    t.equal(toHex(t1), row.t0, 'KDF1');
  }
});

t.test('KDF outputs may be the key and the input: ck = KDF(ck, x)', async t => {
  const row = vectors<{ key: string; input: string; t0: string; t1: string; t2: string }[]>('kdf.json')[0]!;
  const ck = hex(row.key);
  const wide = new Uint8Array(32);
  kdf1(wide, ck, hex(row.input));
  t.equal(toHex(wide), row.t0);

  const rng = seeded(5);
  const [key, input] = [rng.bytes(32), rng.bytes(32)];
  const want = [0, 1, 2].map(() => new Uint8Array(32)) as [Uint8Array, Uint8Array, Uint8Array];
  kdf3(...want, key, input);
  const [a, b, c] = [key.slice(), input.slice(), new Uint8Array(32)];
  kdf3(a, b, c, a, b);
  t.same([a, b, c].map(toHex), want.map(toHex));
  const [d, e] = [key.slice(), input.slice()];
  kdf2(e, d, d, e);
  t.same([e, d].map(toHex), want.slice(0, 2).map(toHex));
});

const seed = seedOf(2104);
t.test(`hash, mac and hmac against other implementations (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const wrong: string[] = [];
  for (let i = 0; i < 400; i++) {
    const [a, b, key] = [
      rng.bytes(rng.below(i % 8 === 0 ? 1 : 200)),
      rng.bytes(rng.below(i % 3 === 0 ? 1 : 100)),
      rng.bytes(rng.below(33)),
    ];
    const out = new Uint8Array(32);
    hash(out, a, b);
    if (toHex(out) !== toHex(new BLAKE2s(32).update(a).update(b).digest())) wrong.push(`hash ${i}`);
    hash(out, a);
    if (toHex(out) !== toHex(new BLAKE2s(32).update(a).digest())) wrong.push(`hash of one ${i}`);
    hmac(out, key, a, b);
    if (toHex(out) !== createHmac('blake2s256', key).update(a).update(b).digest('hex'))
      wrong.push(`hmac ${i}`);
    hmac(out, key, a);
    if (toHex(out) !== createHmac('blake2s256', key).update(a).digest('hex')) wrong.push(`hmac of one ${i}`);
    const tag = new Uint8Array(16);
    mac(tag, key, a);
    const want = new BLAKE2s(16, key.length > 0 ? { key } : undefined).update(a).digest();
    if (toHex(tag) !== toHex(want)) wrong.push(`mac ${i}`);
  }
  t.same(wrong, []);
});

t.test('h = H(h ‖ x) in place', async t => {
  const h = new Uint8Array(32).fill(1);
  const x = new Uint8Array(48).fill(2);
  const want = toHex(new BLAKE2s(32).update(h).update(x).digest());
  hash(h, h, x);
  t.equal(toHex(h), want);
});
