import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { SendBatch } from '../../src/datapath/batch.ts';

const arena = new Arena(new ArrayBuffer(1 << 20));
const groups = (batch: SendBatch): number[][] =>
  Array.from({ length: batch.groups }, (_, g) => [
    batch.groupAt[g]! - batch.at,
    batch.groupBytes[g]!,
    batch.groupSegment[g]!,
    batch.groupCount[g]!,
    batch.groupEcn[g]!,
  ]);

t.test('equal messages and one shorter make a group', t => {
  const batch = new SendBatch(arena);
  t.equal(batch.append(1420, 0), batch.at + 16);
  t.equal(batch.append(1420, 0), batch.at + 1452 + 16);
  batch.append(64, 0);
  batch.append(64, 0); // the shorter one has ended the group
  batch.append(64, 0);
  batch.append(1420, 0); // longer
  batch.append(1420, 2); // other ECN
  t.strictSame(groups(batch), [
    [0, 3000, 1452, 3, 0],
    [3000, 192, 96, 2, 0],
    [3192, 1452, 1452, 1, 0],
    [4644, 1452, 1452, 1, 2],
  ]);
  t.equal(batch.count, 7);
  t.strictSame([...batch.packetBytes.subarray(0, 7)], [1420, 1420, 64, 64, 64, 1420, 1420]);
  batch.reset();
  t.equal(batch.count + batch.groups, 0);
  batch.append(32, 1);
  t.strictSame(groups(batch), [[0, 64, 64, 1, 1]]);
  t.end();
});

t.test('limits of one send', t => {
  const batch = new SendBatch(arena);
  for (let i = 0; i < 50; i++) batch.append(1420, 0);
  t.strictSame(
    groups(batch).map(group => group[3]),
    [45, 5],
    'bytes: 45 messages of 1452 are 65340',
  );
  batch.reset();
  batch.maxSegments = 2;
  for (let i = 0; i < 5; i++) batch.append(32, 0);
  t.strictSame(
    groups(batch).map(group => group[3]),
    [2, 2, 1],
  );
  batch.reset();
  batch.maxSegments = 1;
  batch.append(32, 0);
  batch.append(32, 0);
  t.equal(batch.groups, 2);
  t.end();
});

t.test('says when it is full', t => {
  const batch = new SendBatch(arena, { bytes: 65600, packets: 3 });
  t.equal(batch.append(65536, 0), batch.at + 16);
  t.notOk(batch.fits(16));
  t.equal(batch.append(16, 0), -1);
  t.equal(batch.count, 1);
  batch.reset();
  for (let i = 0; i < 3; i++) t.ok(batch.append(16, 0) > 0);
  t.equal(batch.append(16, 0), -1, 'packets');
  t.ok(batch.holds(batch.at));
  t.notOk(batch.holds(batch.at - 1));
  t.notOk(batch.holds(batch.at + batch.bytes));
  t.throws(() => new SendBatch(arena, { bytes: 65536 }), /64 KiB/);
  t.end();
});

t.test('headers carry index and counter, across 2^32', t => {
  const batch = new SendBatch(arena);
  batch.append(16, 0);
  batch.append(16, 0);
  batch.stamp(-2, 2 ** 32 - 1);
  const header = (i: number): number[] => [...arena.u8.subarray(batch.packetAt[i], batch.packetAt[i]! + 16)];
  t.strictSame(header(0), [4, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]);
  t.strictSame(header(1), [4, 0, 0, 0, 0xfe, 255, 255, 255, 0, 0, 0, 0, 1, 0, 0, 0]);
  t.equal(batch.readAt, batch.at + 2 * 48 + 6);
  t.end();
});
