// Key memory: at fixed addresses, reused, wiped.

import t from 'tap';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import { KeyPool } from '../../../src/platform/crypto/keymemory.ts';

t.test('a thousand keys and back', async t => {
  const ffi = await loadFfi();
  const pool = new KeyPool(ffi);
  const keys = Array.from({ length: 1000 }, (_, i) => pool.take(new Uint8Array(32).fill(i)));
  t.equal(new Set(keys.map(key => key.word)).size, 1000);
  t.ok(keys.every((key, i) => key.bytes[31] === (i & 255)));
  const memcmp = ffi.symbol('memcmp', 3)!;
  t.equal(ffi.int(memcmp.raw(keys[0]!.word, keys[256]!.word, ffi.word(32))), 0, 'the addresses are real');
  t.not(ffi.int(memcmp.raw(keys[0]!.word, keys[1]!.word, ffi.word(32))), 0);
  const last = keys.at(-1)!;
  pool.give(last);
  t.ok(last.bytes.every(byte => byte === 0));
  t.equal(pool.take(new Uint8Array(32)), last);
  t.throws(() => pool.take(new Uint8Array(16)), /32 bytes, not 16/);
});
