import t from 'tap';
import { Arena } from '../../src/util/arena.ts';

t.test('allocations are aligned, in order and do not overlap', async t => {
  const arena = new Arena(new ArrayBuffer(4096));
  t.equal(arena.alloc(10), 0);
  t.equal(arena.alloc(1), 64);
  t.equal(arena.alloc(7, 1), 65);
  t.equal(arena.alloc(8, 8), 72);
  t.equal(arena.alloc(0, 1), 80);
  t.equal(arena.alloc(100, 1024), 1024);
});

t.test('the start can be reserved', async t => {
  t.equal(new Arena(new ArrayBuffer(1024), 100).alloc(4, 4), 100);
});

t.test('the last byte can be used and no more', async t => {
  const arena = new Arena(new ArrayBuffer(128));
  t.equal(arena.alloc(64), 0);
  t.equal(arena.alloc(64), 64);
  t.throws(() => arena.alloc(1), /arena of 128 bytes is full: 1 more wanted/);
  t.throws(() => new Arena(new ArrayBuffer(64)).alloc(65), /full/);
});

t.test('a refused allocation takes nothing', async t => {
  const arena = new Arena(new ArrayBuffer(128));
  t.throws(() => arena.alloc(1000), /full/);
  t.equal(arena.alloc(128), 0);
});

t.test('all views see the same shared memory', async t => {
  const arena = new Arena(new SharedArrayBuffer(64));
  arena.view.setUint32(8, 0x01020304, true);
  t.equal(arena.u32[2], 0x01020304);
  t.equal(arena.u8[8], 4);
  t.equal(new Arena(arena.buffer).u8[8], 4);
});

t.test('an array of numbers lies in the arena', async t => {
  const arena = new Arena(new SharedArrayBuffer(192));
  arena.alloc(1);
  const list = arena.int32(16);
  t.strictSame([list.byteOffset, list.length, list[15]], [64, 16, 0]);
  list[1] = -2;
  t.equal(arena.view.getInt32(68, true), -2);
  t.equal(arena.alloc(4), 128, 'which nobody else gets');
  t.throws(() => arena.int32(17), /full/);
});
