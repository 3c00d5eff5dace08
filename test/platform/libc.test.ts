// System calls over the arena: results, errors, and the structures written for both word sizes.

import t from 'tap';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as c from '../../src/platform/constants.ts';
import { isTransient, Libc } from '../../src/platform/libc.ts';
import { loadFfi } from '../../src/platform/ffi/ffi.ts';
import { narrowBase, narrowFfi } from '../fixtures/narrowffi.ts';
import { libcOver, openLibc } from '../fixtures/native.ts';

const libc = await openLibc();
const { arena, ffi } = libc;

t.test('a file, by offsets', async t => {
  const fd = libc.open('/proc/self/stat', 0);
  t.ok(fd > 2);
  const at = arena.alloc(64);
  const bytes = libc.read(ffi.word(fd), at, 16);
  t.equal(bytes, 16);
  t.match(new TextDecoder().decode(arena.u8.slice(at, at + 16)), String(process.pid));
  t.equal(libc.setNonBlocking(fd), 0);
  t.equal(libc.close(fd), 0);
  t.equal(libc.close(fd), -9);
  t.equal(libc.setNonBlocking(fd), -9);
});

t.test('paths that are no C string', async t => {
  t.equal(libc.open('a\0b', 0), -c.EINVAL);
  t.equal(libc.open('x'.repeat(600), 0), -c.EINVAL);
  t.equal(libc.open('/nowhere', 0), -c.ENOENT);
});

t.test('options and addresses report errors', async t => {
  t.equal(libc.setOption(9999, 1, 1, 1), -9);
  t.equal(libc.option(9999, 1, 1), -9);
  t.equal(libc.getsockname(9999, libc.scratch, 16), -9);
  t.equal(libc.socket(c.AF_INET, 77, 0), -c.EINVAL);
});

t.test('errno is that of the call just made, whatever the collector does', async t => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const bad = ffi.word(9999);
  const dir = libc.open('/', 0);
  const directory = ffi.word(dir);
  const at = arena.alloc(8);
  let wrong = 0;
  let litter: unknown[] = [];
  for (let i = 0; i < 5000; i++) {
    if (libc.read(bad, at, 1) !== -9) wrong++;
    litter.push(new Uint8Array(2000));
    if (libc.read(directory, at, 1) !== -21) wrong++;
    if (litter.length > 500) litter = [];
    if (i % 500 === 0) collect();
  }
  t.equal(wrong, 0);
  libc.close(dir);
});

t.test('structures: this machine, and 32 bits', async t => {
  const at = arena.alloc(32);
  libc.setIovec(at, 4096, 77);
  if (ffi.pointerBytes === 8) {
    t.equal(arena.view.getBigUint64(at, true), BigInt(libc.base + 4096));
    t.equal(arena.view.getBigUint64(at + 8, true), 77n);
  }
  const narrow = libcOver(narrowFfi());
  narrow.setIovec(at, 4096, 77);
  t.equal(narrow.arena.view.getUint32(at, true), narrowBase + 4096);
  t.equal(narrow.arena.view.getUint32(at + 4, true), 77);
});

t.test('a libc that lacks a function is a clear error', async t => {
  t.throws(() => new Libc({ ...narrowFfi(), symbol: () => null }, arena), /libc does not export read/);
});

t.test('texts', async t => {
  t.ok(isTransient(-c.EAGAIN) && isTransient(-c.EINTR) && !isTransient(-c.EIO) && !isTransient(11));
  t.equal(c.errnoText(-22), 'EINVAL (invalid argument)');
  t.equal(c.errnoText(1234), 'errno 1234');
});

t.test('every back end this runtime has', async t => {
  for (const name of ['node:ffi', 'koffi'] as const) {
    const own = libcOver(await loadFfi(name));
    t.equal(own.ffi.name, name);
    t.equal(own.read(own.ffi.word(9999), own.scratch, 1), -9);
  }
  await t.rejects(loadFfi('deno'), { code: 'no-ffi', message: /not running under Deno/ });
});
