import t from 'tap';
import { Deadlines } from '../../src/util/deadlines.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

t.test('empty', async t => {
  const deadlines = new Deadlines();
  t.equal(deadlines.earliest, Infinity);
  t.equal(deadlines.first, -1);
  t.equal(deadlines.of(3), Infinity);
  t.equal(deadlines.of(100_000), Infinity);
});

t.test('the earliest comes first, whatever the order of setting', async t => {
  const deadlines = new Deadlines(4);
  deadlines.set(2, 300);
  deadlines.set(0, 100);
  deadlines.set(1, 200);
  const order: number[] = [];
  while (deadlines.first >= 0) {
    order.push(deadlines.first);
    deadlines.set(deadlines.first, Infinity);
  }
  t.same(order, [0, 1, 2]);
  t.equal(deadlines.earliest, Infinity);
});

t.test('moving, clearing, clearing again', async t => {
  const deadlines = new Deadlines();
  deadlines.set(5, 50);
  deadlines.set(6, 60);
  deadlines.set(5, 70);
  t.equal(deadlines.first, 6);
  deadlines.set(6, Infinity);
  deadlines.set(6, Infinity);
  t.equal(deadlines.first, 5);
  t.equal(deadlines.earliest, 70);
  deadlines.set(5, 70);
  t.equal(deadlines.of(5), 70);
});

t.test('negative and zero times are times', async t => {
  const deadlines = new Deadlines();
  deadlines.set(0, 0);
  deadlines.set(1, -5);
  t.equal(deadlines.first, 1);
  deadlines.set(2, -Infinity);
  t.equal(deadlines.first, 2);
});

t.test('grows past its capacity, also from zero', async t => {
  for (const capacity of [0, 1, 64]) {
    const deadlines = new Deadlines(capacity);
    for (let slot = 999; slot >= 0; slot--) deadlines.set(slot, 1000 + slot);
    t.equal(deadlines.first, 0);
    t.equal(deadlines.of(999), 1999);
    deadlines.set(5000, 1);
    t.equal(deadlines.first, 5000);
  }
});

t.test('clearing a slot beyond the capacity is nothing', async t => {
  const deadlines = new Deadlines(2);
  deadlines.set(10, Infinity);
  t.equal(deadlines.first, -1);
});

const seed = seedOf(3);
t.test(`agrees with a sorted twin (seed ${seed})`, async t => {
  const rng = seeded(seed);
  for (let round = 0; round < 20; round++) {
    const deadlines = new Deadlines(1 + rng.below(20));
    const twin = new Map<number, number>();
    const slots = 1 + rng.below(200);
    for (let step = 0; step < 2000; step++) {
      // Few distinct times make many ties; now and then the earliest is served, as a loop does.
      const slot = rng.chance(0.2) && deadlines.first >= 0 ? deadlines.first : rng.below(slots);
      const time = rng.chance(0.3) ? Infinity : rng.below(round % 2 === 0 ? 30 : 1e6);
      deadlines.set(slot, time);
      if (time === Infinity) twin.delete(slot);
      else twin.set(slot, time);

      const earliest = [...twin.values()].sort((a, b) => a - b)[0] ?? Infinity;
      if (deadlines.earliest !== earliest) return void t.fail(`round ${round} step ${step}: earliest`);
      if ((twin.get(deadlines.first) ?? Infinity) !== earliest)
        return void t.fail(`round ${round} step ${step}: first`);
      if (deadlines.of(slot) !== time) return void t.fail(`round ${round} step ${step}: of`);
    }
    const drained: number[] = [];
    while (deadlines.first >= 0) {
      drained.push(deadlines.earliest);
      deadlines.set(deadlines.first, Infinity);
    }
    t.same(
      drained,
      [...twin.values()].sort((a, b) => a - b),
    );
  }
});
