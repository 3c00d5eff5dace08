import t from 'tap';
import { toHex } from '../../../src/util/bytes.ts';
import { compareTimestamps, TimestampClock, writeTimestamp } from '../../../src/wireguard/noise/tai64n.ts';

const stamp = (wallMs: number): string => {
  const out = new Uint8Array(12);
  writeTimestamp(out, wallMs);
  return toHex(out);
};

t.test('N1 layout, offset and rounding', async t => {
  t.equal(stamp(0), '400000000000000a' + '00000000');
  t.equal(stamp(1000), '400000000000000b' + '00000000');
  t.equal(stamp(16), '400000000000000a' + '00000000', 'below 16.8 ms');
  t.equal(stamp(17), '400000000000000a' + '01000000', '2^24 ns');
  t.equal(stamp(999.999), '400000000000000a' + '3b000000');
  t.equal(stamp(1_700_000_000_500), '400000006553f10a' + '1d000000');
  t.equal(stamp((2 ** 32 + 5) * 1000), '400000010000000f' + '00000000', 'beyond 2106');
});

t.test('N5 two within 16.8 ms are equal, as the kernel has it', async t => {
  const clock = new TimestampClock();
  const a = new Uint8Array(12);
  const b = new Uint8Array(12);
  clock.next(a, 1_700_000_000_000);
  clock.next(b, 1_700_000_000_010);
  t.equal(compareTimestamps(a, b), 0);
  clock.next(b, 1_700_000_000_020);
  t.equal(compareTimestamps(a, b), -1);
  t.equal(compareTimestamps(b, a), 1);
});

t.test('N6 a wall clock that fell back is stepped over', async t => {
  const before = new TimestampClock();
  const last = new Uint8Array(12);
  before.next(last, 1_700_000_000_990);
  const clock = new TimestampClock(before.last);
  let previous = last;
  for (let i = 0; i < 100; i++) {
    const next = new Uint8Array(12);
    clock.next(next, i * 5000);
    if (compareTimestamps(next, previous) !== 1) t.fail(`step ${i}`);
    previous = next;
  }
  t.equal(toHex(clock.last), toHex(previous));
  t.ok(toHex(previous).startsWith('400000006553f10'), 'steps are small');
  const now = new Uint8Array(12);
  clock.next(now, 1_800_000_000_000);
  t.equal(toHex(now), stamp(1_800_000_000_000), 'and the real time is used again once it has caught up');
});
