import t from 'tap';
import { ChaCha20Poly1305 } from '@stablelib/chacha20poly1305';
import { toHex } from '../../../src/util/bytes.ts';
import { hchacha20, xchachaOpen, xchachaSeal } from '../../../src/wireguard/primitives/xchacha.ts';
import { hex, type SealedVector, vectors } from '../../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

t.test('M5 HChaCha20 and XChaCha20-Poly1305 of the draft', async t => {
  const known = vectors<{
    hchacha20: { section: string; key: string; nonce: string; out: string }[];
    aead: SealedVector[];
  }>('xchacha.json');
  for (const { section, key, nonce, out } of known.hchacha20) {
    const subkey = new Uint8Array(32);
    hchacha20(subkey, hex(key), hex(nonce));
    t.equal(toHex(subkey), out, section);
  }
  for (const v of known.aead) {
    const sealed = new Uint8Array(v.sealed.length / 2);
    xchachaSeal(sealed, hex(v.key), hex(v.nonce), hex(v.plain), hex(v.additional));
    t.equal(toHex(sealed), v.sealed, v.section);
    const plain = new Uint8Array(v.plain.length / 2);
    t.equal(xchachaOpen(plain, hex(v.key), hex(v.nonce), sealed, hex(v.additional)), true);
    t.equal(toHex(plain), v.plain);
    sealed[3]! ^= 1;
    plain.fill(7);
    t.equal(xchachaOpen(plain, hex(v.key), hex(v.nonce), sealed, hex(v.additional)), false);
    t.ok(
      plain.every(byte => byte === 7),
      'a forgery leaves the output untouched',
    );
  }
});

const seed = seedOf(24);
t.test(`agrees with StableLib under the derived key, at the size of a cookie too (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const wrong: string[] = [];
  for (let i = 0; i < 200; i++) {
    const [key, nonce] = [rng.bytes(32), rng.bytes(24)];
    const [plain, additional] = [
      rng.bytes(i % 2 ? 16 : rng.below(100)),
      rng.bytes(i % 2 ? 16 : rng.below(65)),
    ];
    const subkey = new Uint8Array(32);
    hchacha20(subkey, key, nonce);
    const short = new Uint8Array(12);
    short.set(nonce.subarray(16), 4);
    const sealed = new Uint8Array(plain.length + 16);
    xchachaSeal(sealed, key, nonce, plain, additional);
    const want = new ChaCha20Poly1305(subkey).seal(short, plain, additional);
    if (toHex(sealed) !== toHex(want)) wrong.push(`seal ${i}`);
    const opened = new Uint8Array(plain.length);
    if (!xchachaOpen(opened, key, nonce, sealed, additional)) wrong.push(`open ${i}`);
    if (toHex(opened) !== toHex(plain)) wrong.push(`plain ${i}`);
    nonce[rng.below(24)]! ^= 1;
    if (xchachaOpen(opened, key, nonce, sealed, additional)) wrong.push(`nonce ${i}`);
  }
  t.same(wrong, []);
});
