import t from 'tap';
import { rejectLow, ReplayWindow, windowBits } from '../../../src/wireguard/noise/replay.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';
import { SlowReplay } from '../../fixtures/twins/slow-replay.ts';

const split = (counter: bigint): [number, number] => [Number(counter & 0xffffffffn), Number(counter >> 32n)];

/** Feeds counters in order; `want` says which are fresh. */
function feed(window: ReplayWindow, steps: readonly (readonly [bigint | number, boolean])[]): string[] {
  const wrong: string[] = [];
  steps.forEach(([counter, want], i) => {
    if (window.accept(...split(BigInt(counter))) !== want)
      wrong.push(`step ${i}: ${counter} should be ${want}`);
  });
  return wrong;
}

t.test('R2 window is 8192 - 64 and the limit is 2^64 - 1 - window - 1', async t => {
  t.equal(windowBits, 8128);
  t.equal((0xffffffffn << 32n) | BigInt(rejectLow), 2n ** 64n - 1n - 8128n - 1n);
});

t.test('R2 each counter once, in any order within the window', async t => {
  const w = windowBits;
  t.same(
    feed(new ReplayWindow(), [
      [0, true],
      [1, true],
      [1, false],
      [9, true],
      [8, true],
      [7, true],
      [7, false],
      [w, true],
      [w - 1, true],
      [w - 1, false],
      [w - 2, true],
      [2, true],
      [2, false],
      [w + 16, true],
      [3, false], // behind the window now
      [w + 16, false],
      [w * 4, true],
      [w * 4 - (w - 1), true],
      [10, false],
      [w * 4 - w, true],
      [w * 4 - (w + 1), false],
      [w * 4 - (w - 2), true],
      [w * 4 + 1 - w, false],
      [0, false],
    ]),
    [],
  );
});

t.test('R2 the exact edge of the window', async t => {
  const newest = 100_000;
  const window = new ReplayWindow();
  t.same(
    feed(window, [
      [newest, true],
      [newest - windowBits - 1, false],
      [newest - windowBits, true],
      [newest - windowBits, false],
    ]),
    [],
  );
});

t.test('R2 runs up and down across the whole ring', async t => {
  for (const base of [0n, 1n, 2n ** 32n - 5000n, 2n ** 53n - 4000n, 2n ** 63n]) {
    const up = new ReplayWindow();
    const down = new ReplayWindow();
    let fresh = 0;
    let again = 0;
    for (let i = 0n; i < 9000n; i++) if (up.accept(...split(base + i))) fresh++;
    for (let i = 0n; i < 9000n; i++) if (up.accept(...split(base + i))) again++;
    t.equal(fresh, 9000, `up from ${base}`);
    t.equal(again, 0);
    fresh = 0;
    for (let i = 8999n; i >= 0n; i--) if (down.accept(...split(base + i))) fresh++;
    t.equal(fresh, windowBits + 1, `down to ${base}: what is left of the window`);
  }
});

t.test('R2 a jump of exactly the ring, less, and more leaves no stale bits', async t => {
  for (const jump of [
    31,
    32,
    33,
    8127,
    8128,
    8129,
    8160,
    8191,
    8192,
    8193,
    2 ** 32,
    2 ** 32 + 8192,
    2 ** 45,
  ]) {
    const window = new ReplayWindow();
    for (let i = 0; i < 8192; i++) window.accept(i, 0);
    const top = BigInt(8191 + jump);
    const slow = new SlowReplay();
    for (let i = 0n; i < 8192n; i++) slow.accept(i);
    t.equal(window.accept(...split(top)), slow.accept(top));
    let differences = 0;
    for (let back = 0n; back < 8300n && back <= top; back++)
      if (window.accept(...split(top - back)) !== slow.accept(top - back)) differences++;
    t.equal(differences, 0, `jump ${jump}`);
  }
});

t.test('T2 counters at the limit are refused for ever', async t => {
  const limit = 2n ** 64n - 1n - 8128n - 1n;
  t.same(
    feed(new ReplayWindow(), [
      [2n ** 64n - 1n, false],
      [limit + 1n, false],
      [limit, false],
      [limit - 1n, true],
      [limit - 1n, false],
      [limit - 2n, true],
      [limit, false],
      [limit - 1n - 8128n, true],
      [limit - 2n - 8128n, false],
    ]),
    [],
  );
});

t.test('R1 a refused counter does not move the window', async t => {
  const window = new ReplayWindow();
  window.accept(5, 0);
  window.accept(0xffffffff, 0xffffffff);
  t.equal(window.accept(6, 0), true);
});

t.test('reset forgets', async t => {
  const window = new ReplayWindow();
  window.accept(7, 3);
  window.reset();
  t.equal(window.accept(0, 0), true);
  t.equal(window.accept(7, 3), true);
});

const seed = seedOf(61);
t.test(`R2 agrees with the slow twin (seed ${seed})`, async t => {
  const rng = seeded(seed);
  for (const start of [0n, 2n ** 32n - 20_000n, 2n ** 53n - 20_000n, 2n ** 64n - 60_000n]) {
    const fast = new ReplayWindow();
    const slow = new SlowReplay();
    let newest = start;
    for (let i = 0; i < 20_000; i++) {
      const back = BigInt(rng.below(rng.chance(0.1) ? 10_000 : 40));
      let counter = newest - back + BigInt(rng.below(rng.chance(0.02) ? 9000 : 8));
      if (counter < 0n) counter = 0n;
      if (counter >= 2n ** 64n) counter = 2n ** 64n - 1n;
      if (counter > newest) newest = counter;
      const got = fast.accept(...split(counter));
      if (got !== slow.accept(counter)) return void t.fail(`step ${i}: counter ${counter} gave ${got}`);
    }
  }
  t.pass('80000 counters');
});
