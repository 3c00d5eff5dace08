// The EVP back end: failures it must survive. What it computes is judged in openssl.test.ts.

import t from 'tap';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import type { Ffi } from '../../../src/platform/ffi/ffi.ts';
import { EvpAead, findEvp } from '../../../src/platform/crypto/evp.ts';
import { opensslSeal } from '../../fixtures/twins/crypto-suite.ts';
import { libcOver } from '../../fixtures/native.ts';

const ffi = await loadFfi();
const libc = libcOver(ffi);
const secret = new Uint8Array(32).fill(3);
const word = (value: number): number | bigint => ffi.word(value);

/** The process's symbols with one replaced. */
function with_(name: string, value: number): Pick<Ffi, 'symbol'> {
  const fake = Object.assign(() => value, { raw: () => ffi.word(value) });
  return {
    symbol: (symbol, parameters, result) => (symbol === name ? fake : ffi.symbol(symbol, parameters, result)),
  };
}

t.test('libraries that cannot', async t => {
  t.equal(findEvp(libc, { symbol: () => null }), null);
  t.equal(findEvp(libc, with_('EVP_chacha20_poly1305', 0)), null, 'built without ChaCha20');
  const noContext = findEvp(libc, with_('EVP_CIPHER_CTX_new', 0))!;
  t.throws(() => noContext.context(secret, true), /cannot allocate/);
  const refusing = findEvp(libc, with_('EVP_CipherInit_ex', 0))!;
  t.throws(() => refusing.context(secret, true), /refuses/);
  const evp = findEvp(libc, with_('EVP_CIPHER_CTX_ctrl', 0))!;
  t.throws(() => new EvpAead(evp, secret, word).seal(4096, 16, 1), /failed to seal/);
  t.throws(() => evp.context(new Uint8Array(31), true), /32 bytes/);
});

t.test('a handshake field, both ways', async t => {
  const evp = findEvp(libc, ffi)!;
  const { u8 } = libc.arena;
  const at = libc.arena.alloc(128);
  const [additional, text] = [
    { at, bytes: 16 },
    { at: at + 32, bytes: 32 },
  ];
  u8.fill(5, at, at + 64);
  t.ok(evp.handshake(secret, true, additional, text));
  const sealed = u8.slice(at + 32, at + 80);
  const expected = opensslSeal(
    secret,
    new Uint8Array(12),
    new Uint8Array(32).fill(5),
    new Uint8Array(16).fill(5),
  );
  t.strictSame(sealed, expected);
  t.ok(evp.handshake(secret, false, additional, text));
  t.equal(u8[at + 32], 5);
  u8.set(sealed, at + 32);
  u8[at] = 4;
  t.notOk(evp.handshake(secret, false, additional, text));
});

t.test('a forged packet leaves nothing behind, a destroyed key works no more', async t => {
  const aead = new EvpAead(findEvp(libc, ffi)!, secret, word);
  const at = libc.arena.alloc(256);
  libc.arena.u8.fill(7, at, at + 100);
  aead.seal(at, 100, 1);
  t.equal(aead.open(at, 116, 2, 0), false);
  t.ok(libc.arena.u8.subarray(at, at + 100).every(byte => byte === 0));
  t.equal(aead.open(at, 15, 2, 0), false);
  aead.destroy();
  aead.destroy();
  t.throws(() => aead.seal(at, 16, 0), /destroyed/);
  t.equal(aead.open(at, 32, 0, 0), false);
});
