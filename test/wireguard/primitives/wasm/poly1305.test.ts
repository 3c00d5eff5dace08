import t from 'tap';
import { toHex } from '../../../../src/util/bytes.ts';
import { absorb, absorbFours, begin, finish } from '../../../../src/wireguard/primitives/wasm/poly1305.ts';
import { hex, vectors } from '../../../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../../../fixtures/rng.ts';
import { slowPoly1305 } from '../../../fixtures/twins/slow-poly1305.ts';
import { runWasm } from '../../../fixtures/twins/wasm.ts';

const layout = { r: 64, h: 112, powers: 160, pad: 240, tag: 256 };
const keyAt = 272;
const textAt = 1027;

const { u8, calls } = runWasm([begin(layout, keyAt), absorb(layout), absorbFours(layout), finish(layout)]);

/** `fours` groups of four blocks by the vector form, the rest one by one. */
function tag(key: Uint8Array, message: Uint8Array, fours: number): string {
  u8.set(key, keyAt);
  u8.set(message, textAt);
  calls[0]!();
  if (fours > 0) calls[2]!(textAt, fours);
  calls[1]!(textAt + 64 * fours, message.length / 16 - 4 * fours);
  calls[3]!();
  return toHex(u8.slice(layout.tag, layout.tag + 16));
}

t.test('RFC 8439 vectors of whole blocks', async t => {
  for (const v of vectors<{ section: string; key: string; message: string; tag: string }[]>(
    'rfc8439-poly1305.json',
  )) {
    const message = hex(v.message);
    t.equal(toHex(slowPoly1305(hex(v.key), message)), v.tag, `${v.section}, the slow twin`);
    if (message.length % 16 > 0) continue; // the AEAD pads every message to whole blocks
    for (let fours = 0; 64 * fours <= message.length; fours++)
      t.equal(tag(hex(v.key), message, fours), v.tag, `${v.section}, ${fours} fours`);
  }
});

t.test('the largest limbs everywhere: carries and the final reduction', async t => {
  const wrong: string[] = [];
  for (const keyByte of [0xff, 0x0f, 0x01, 0x00])
    for (const byte of [0xff, 0xfe, 0xfb, 0x00, 0x01])
      for (const blocks of [1, 2, 3, 4, 5, 7, 8, 9, 12, 64]) {
        const key = new Uint8Array(32).fill(keyByte);
        const message = new Uint8Array(16 * blocks).fill(byte);
        const want = toHex(slowPoly1305(key, message));
        for (const fours of new Set([0, Math.min(1, blocks >> 2), blocks >> 2]))
          if (tag(key, message, fours) !== want) wrong.push(`${keyByte} ${byte} ${blocks} ${fours}`);
      }
  t.same(wrong, []);
});

const seed = seedOf(1305);
t.test(`agrees with the slow twin (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const wrong: string[] = [];
  for (let i = 0; i < 1500; i++) {
    const key = rng.bytes(32);
    const message = rng.bytes(16 * rng.below(i % 10 === 0 ? 100 : 14));
    // Runs of ones and zeros reach the corners that random bytes do not.
    for (let n = rng.below(4); n > 0; n--) {
      const from = rng.below(message.length + 1);
      message.fill(rng.chance(0.5) ? 0xff : 0, from, from + rng.below(40));
    }
    if (rng.chance(0.2)) key.fill(0xff, 0, 16);
    const fours = rng.below((message.length >> 6) + 1);
    if (tag(key, message, fours) !== toHex(slowPoly1305(key, message)))
      wrong.push(`${toHex(key)} ${message.length} bytes, ${fours} fours`);
  }
  t.same(wrong, []);
});
