import t from 'tap';
import { BLAKE2s } from '@stablelib/blake2s';
import { createHash, createHmac } from 'node:crypto';
import { toHex } from '../../../src/util/bytes.ts';
import {
  finish,
  forget,
  hashBytes,
  hmacFinish,
  hmacKey,
  hmacStart,
  hmacStartEmpty,
  start,
  update,
} from '../../../src/wireguard/primitives/blake2s.ts';
import { vectors } from '../../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

function digest(bytes: number, key: Uint8Array | null, ...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(bytes);
  start(bytes, key);
  for (const part of parts) update(part);
  finish(out, bytes);
  return out;
}

const known = vectors<{ abc: string; selftest: string }>('rfc7693.json');

t.test('RFC 7693 appendix B: "abc"', async t => {
  t.equal(toHex(digest(32, null, Uint8Array.from([97, 98, 99]))), known.abc);
});

t.test('RFC 7693 appendix E: lengths around the block, four output sizes, keyed and not', async t => {
  /** The deterministic filler of the appendix: a Fibonacci generator. */
  const sequence = (length: number, seed: number): Uint8Array => {
    let a = Math.imul(0xdead4bad, seed);
    let b = 1;
    return Uint8Array.from({ length }, () => {
      const next = (a + b) | 0;
      a = b;
      b = next;
      return next >>> 24;
    });
  };
  const all: number[] = [];
  for (const outBytes of [16, 20, 28, 32])
    for (const inBytes of [0, 3, 64, 65, 255, 1024]) {
      const input = sequence(inBytes, inBytes);
      all.push(...digest(outBytes, null, input));
      all.push(...digest(outBytes, sequence(outBytes, outBytes), input));
    }
  t.equal(toHex(digest(32, null, Uint8Array.from(all))), known.selftest);
});

const seed = seedOf(7693);
t.test(`agrees with StableLib and OpenSSL however the input is cut (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const wrong: string[] = [];
  for (let i = 0; i < 1500; i++) {
    const input = rng.bytes(i < 300 ? i : rng.below(1000));
    const key = rng.chance(0.5) ? rng.bytes(rng.below(33)) : null;
    const bytes = 1 + rng.below(32);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < input.length;) {
      const take = 1 + rng.below(rng.chance(0.5) ? 200 : 65);
      parts.push(input.subarray(at, at + take));
      at += take;
    }
    const want = new BLAKE2s(bytes, key === null || key.length === 0 ? undefined : { key })
      .update(input)
      .digest();
    if (toHex(digest(bytes, key, ...parts)) !== toHex(want)) wrong.push(`${input.length} bytes to ${bytes}`);
    if (toHex(digest(32, null, ...parts)) !== createHash('blake2s256').update(input).digest('hex'))
      wrong.push(`${input.length} bytes, OpenSSL`);
  }
  t.same(wrong, []);
});

t.test('HMAC: one key, many messages, the empty one too', async t => {
  for (const keyBytes of [0, 1, 32, 64]) {
    const key = new Uint8Array(keyBytes).fill(0x5a);
    const out = new Uint8Array(hashBytes);
    hmacKey(key);
    for (const size of [1, 32, 33, 63, 64, 65, 200]) {
      const message = new Uint8Array(size).fill(size);
      hmacStart();
      update(message);
      hmacFinish(out);
      t.equal(
        toHex(out),
        createHmac('blake2s256', key).update(message).digest('hex'),
        `${keyBytes}, ${size}`,
      );
    }
    hmacKey(key);
    hmacStartEmpty();
    hmacFinish(out);
    t.equal(toHex(out), createHmac('blake2s256', key).digest('hex'), `${keyBytes}, empty`);
  }
});

t.test('forget leaves nothing that changes the next hash', async t => {
  const before = toHex(digest(32, null, Uint8Array.of(1)));
  forget();
  t.equal(toHex(digest(32, null, Uint8Array.of(1))), before);
});

t.test('the output may be the input', async t => {
  const buffer = new Uint8Array(32).fill(5);
  const want = toHex(digest(32, null, buffer));
  start(32);
  update(buffer);
  finish(buffer, 32);
  t.equal(toHex(buffer), want);
});
