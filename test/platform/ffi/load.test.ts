// Choosing a back end.

import t from 'tap';
import { ffiNames, pointerBytesOf } from '../../../src/platform/ffi/ffi.ts';
import { loadFfi } from '../../../src/platform/ffi/load.ts';

t.test('the first that works, or a reason', async t => {
  t.equal((await loadFfi()).name, 'node:ffi');
  t.equal((await loadFfi('koffi')).name, 'koffi');
  await t.rejects(loadFfi('deno'), { code: 'no-ffi', exit: 1 });
  await t.rejects(loadFfi('other' as 'deno'), /unknown FFI back end other/);
  t.equal(ffiNames.length, 3);
});

t.test('word sizes', async t => {
  t.equal(pointerBytesOf('x64'), 8);
  t.equal(pointerBytesOf('arm64'), 8);
  t.equal(pointerBytesOf('arm'), 4);
});
