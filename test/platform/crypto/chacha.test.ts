// The raw back end: neighbours of a packet stay untouched, odd lengths and places work, keys die when told.

import t from 'tap';
import { Chacha, ChachaAead, findChacha } from '../../../src/platform/crypto/chacha.ts';
import { KeyPool } from '../../../src/platform/crypto/keymemory.ts';
import { equalBytes } from '../../../src/util/bytes.ts';
import { opensslSeal } from '../../fixtures/twins/crypto-suite.ts';
import { narrowFfi } from '../../fixtures/fakes/narrowffi.ts';
import { libcOver, openLibc } from '../../fixtures/native.ts';

const libc = await openLibc();
const { u8 } = libc.arena;
const pool = new KeyPool(libc.ffi);
const secret = Uint8Array.from({ length: 32 }, (_, i) => i * 5 + 1);
const chacha = findChacha(libc, libc.ffi);

t.test('a library without the primitives', async t => {
  const narrow = libcOver(narrowFfi());
  t.equal(findChacha(narrow, { symbol: () => null }), null);
});

if (!(chacha instanceof Chacha)) {
  t.pass('raw ChaCha20-Poly1305', { skip: 'this Node does not export it' });
} else {
  const nonce = (low: number, high: number): Uint8Array =>
    new Uint8Array(new Uint32Array([0, low, high]).buffer);
  const none = new Uint8Array(0);

  t.test('a batch of packets sealed one after the other, as the data path has them', async t => {
    const aead = new ChachaAead(chacha, pool, secret);
    for (const [length, stride] of [
      [1420, 1452],
      [1424, 1456],
      [33, 65],
      [0, 32],
    ] as const) {
      const start = libc.arena.alloc(stride * 8 + 200) + 100 + (length & 3);
      const plain: Uint8Array[] = [];
      for (let i = 0; i < 8; i++) {
        for (let j = 0; j < stride; j++) u8[start + i * stride + j] = i * 7 + j;
        plain.push(u8.slice(start + i * stride + 16, start + i * stride + 16 + length));
      }
      for (let i = 0; i < 8; i++) aead.seal(start + i * stride + 16, length, i);
      for (let i = 0; i < 8; i++) {
        const at = start + i * stride;
        const expected = opensslSeal(secret, nonce(i, 0), plain[i]!, none);
        t.ok(equalBytes(u8.slice(at + 16, at + 32 + length), expected), `${length} bytes, packet ${i}`);
        t.equal(u8[at + 15], (i * 7 + 15) & 255, 'its header is as it was');
      }
      for (let i = 0; i < 8; i++) t.ok(aead.open(start + i * stride + 16, length + 16, i, 0));
    }
    aead.destroy();
  });

  t.test('in the first bytes of the arena there is no room in front', async t => {
    const aead = new ChachaAead(chacha, pool, secret);
    const saved = u8.slice(0, 256);
    u8.fill(9, 16, 116);
    aead.seal(16, 100, 5);
    t.ok(equalBytes(u8.slice(16, 132), opensslSeal(secret, nonce(5, 0), new Uint8Array(100).fill(9), none)));
    t.ok(aead.open(16, 116, 5, 0));
    u8.set(saved);
    aead.destroy();
  });

  t.test('a handshake field, both ways', async t => {
    const key = pool.take(secret);
    const at = libc.arena.alloc(128);
    const additional = new Uint8Array(16).fill(1);
    const plain = new Uint8Array(32).fill(2);
    u8.fill(0, at, at + 128);
    u8.set(additional, at);
    u8.set(plain, at + 16);
    u8[at + 48] = 16;
    u8[at + 56] = 32;
    const box = { at, bytes: 64, text: at + 16, textBytes: 32 };
    chacha.handshake(key.word, box, true);
    const sealed = Buffer.concat([u8.slice(at + 16, at + 48), chacha.tag]);
    t.ok(equalBytes(sealed, opensslSeal(secret, new Uint8Array(12), plain, additional)));
    chacha.handshake(key.word, box, false);
    t.ok(equalBytes(u8.slice(at + 16, at + 48), plain));
    t.ok(equalBytes(chacha.tag, sealed.subarray(32)), 'the same tag from the other side');
    pool.give(key);
  });

  t.test('a destroyed key', async t => {
    const aead = new ChachaAead(chacha, pool, secret);
    aead.destroy();
    aead.destroy();
    t.throws(() => aead.seal(4096, 16, 0), /destroyed/);
    t.equal(aead.open(4096, 32, 0, 0), false);
    t.equal(new ChachaAead(chacha, pool, secret).open(4096, 15, 0, 0), false, 'shorter than a tag');
  });
}
