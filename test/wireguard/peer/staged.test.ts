import t from 'tap';
import { StagedBlocks, StagedQueue } from '../../../src/wireguard/peer/staged.ts';

const memory = new Uint8Array(1 << 16);
const pushMarked = (queue: StagedQueue, mark: number, bytes = 100): number => {
  memory.fill(mark, 64, 64 + bytes);
  return queue.push(memory, 64, bytes);
};
const shift = (queue: StagedQueue): [number, number] => {
  const bytes = queue.nextBytes;
  memory.fill(0, 0, 32);
  queue.shift(memory, 0);
  return [memory[0]!, bytes];
};

t.test('D3 the newest 128 are kept, in order', async t => {
  const queue = new StagedQueue(new StagedBlocks(1 << 20));
  let dropped = 0;
  for (let i = 0; i < 200; i++) dropped += pushMarked(queue, i, 40 + i);
  t.equal(dropped, 72);
  t.equal(queue.size, 128);
  for (let i = 72; i < 200; i++) t.same(shift(queue), [i, 40 + i]);
  t.equal(queue.size, 0);
});

t.test('all peers together stay within the bound', async t => {
  const blocks = new StagedBlocks(10 * 2048);
  const a = new StagedQueue(blocks);
  const b = new StagedQueue(blocks);
  for (let i = 0; i < 10; i++) t.equal(pushMarked(a, i), 0);
  t.equal(blocks.used, 10 * 2048);
  t.equal(pushMarked(b, 1), 1, 'nothing of its own to drop: the packet itself goes');
  t.equal(pushMarked(a, 10), 1, 'else its own oldest');
  t.same(shift(a), [1, 100]);
  t.equal(pushMarked(b, 2), 0, 'and a block set free serves anybody');
  t.equal(a.clear(), 9);
  t.equal(b.clear(), 1);
  t.equal(blocks.used, 0);
});

t.test('jumbo packets and empty ones', async t => {
  const blocks = new StagedBlocks(20_000);
  const queue = new StagedQueue(blocks);
  t.equal(pushMarked(queue, 9, 9000), 0);
  t.equal(queue.push(memory, 0, 0), 0, 'a keepalive needs no memory');
  t.equal(blocks.used, 9000);
  t.equal(pushMarked(queue, 8, 60_000), 3, 'larger than the bound: all go, and so does it');
  t.equal(blocks.used, 0);
  pushMarked(queue, 7, 9000);
  t.same(shift(queue), [7, 9000]);
});
