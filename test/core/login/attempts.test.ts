import t from 'tap';
import { counted, openGate, succeeded, waitMs } from '../../../src/core/login/attempts.ts';
import type { Gate, GateKind } from '../../../src/core/login/attempts.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

/** How many guesses somebody gets who never waits longer than told. */
function guesses(kind: GateKind, forMs: number): number {
  let gate = openGate;
  let now = 1e12;
  let count = 0;
  for (const end = now + forMs; now < end;) {
    const wait = waitMs(kind, gate, now);
    now += wait;
    if (wait > 0) continue;
    gate = counted(kind, gate, now);
    count++;
  }
  return count;
}

t.test('three free tries, then a growing wait, then a lock that ends', async t => {
  let gate = openGate;
  const waits: number[] = [];
  let now = 1e12;
  for (let i = 0; i < 10; i++) {
    waits.push(waitMs('account', gate, now));
    now += waits.at(-1)!;
    gate = counted('account', gate, now);
  }
  t.same(waits, [0, 0, 0, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000]);
  t.equal(waitMs('account', gate, now), 15 * 60_000);
  t.equal(waitMs('account', gate, now + 15 * 60_000), 0, 'never permanent');
});

t.test('locks grow to an hour and no further', async t => {
  let gate: Gate = { ...openGate, locks: 50, failures: 9, lastAt: 1e12 };
  gate = counted('device', gate, 1e12);
  t.equal(gate.lockedUntil - 1e12, 60 * 60_000);
});

t.test('guessing for a year finds no code', async t => {
  // A six-digit code with a window of three: a guess is right with 3e-6.
  const year = guesses('account', 365 * 86_400_000);
  t.ok(year * 3e-6 < 0.3, `${year} guesses`);
  t.ok(guesses('account', 3600_000) <= 40);
  t.ok(guesses('source', 3600_000) <= 240);
});

t.test('success clears a person, and gives a source its try back', async t => {
  const gate: Gate = { failures: 5, lastAt: 1, lockedUntil: 0, locks: 1 };
  t.same(succeeded('account', gate), openGate);
  t.same(succeeded('device', gate), openGate);
  t.equal(succeeded('source', gate).failures, 3);
  t.equal(succeeded('source', openGate).failures, 0);
});

t.test('a day of quiet is forgotten', async t => {
  const gate: Gate = { failures: 9, lastAt: 1e12, lockedUntil: 0, locks: 3 };
  t.equal(waitMs('account', gate, 1e12 + 25 * 3600_000), 0);
  t.equal(counted('account', gate, 1e12 + 25 * 3600_000).failures, 1);
  t.equal(
    counted('account', gate, 1e12 + 3600_000).lockedUntil > 0,
    true,
    'an hour is not enough for a person',
  );
  t.equal(counted('source', { ...gate, failures: 30 }, 1e12 + 3600_000).failures, 19, 'a source leaks');
});

const seed = seedOf(3);
t.test(`waiting as told is always enough (seed ${seed})`, async t => {
  const rng = seeded(seed);
  let gate = openGate;
  let now = 1e12;
  for (let i = 0; i < 2000; i++) {
    now += rng.below(100_000);
    const wait = waitMs('account', gate, now);
    t.ok(wait >= 0 && wait <= 3600_000) || t.bailout();
    t.equal(waitMs('account', gate, now + wait), 0) || t.bailout();
    if (wait === 0) gate = rng.chance(0.1) ? succeeded('account', gate) : counted('account', gate, now);
  }
});
