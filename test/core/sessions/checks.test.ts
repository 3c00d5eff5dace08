import t from 'tap';
import { Checks } from '../../../src/core/sessions/checks.ts';

const ids = (due: readonly [string, unknown][]): string[] => due.map(([id]) => id);

t.test('a session is due when planned, and scans keep their distance', async t => {
  const checks = new Checks();
  checks.plan('s1', 5000);
  checks.plan('s2', 12_000);
  checks.plan('s2', 20_000); // later than planned changes nothing
  t.strictSame(ids(checks.due(4999)), []);
  t.strictSame(ids(checks.due(6000)), [], 'the last scan was a second ago');
  t.strictSame(ids(checks.due(7000)), ['s1']);
  t.strictSame(ids(checks.due(12_000)), ['s1', 's2'], 'until it is answered, it stays due');
  checks.plan('s2', 10);
  t.ok(checks.has('s2'));
  checks.forget('s2');
  t.notOk(checks.has('s2'));
});

t.test('done says when the next look is, at most a minute away', async t => {
  const checks = new Checks();
  checks.plan('s1', 0);
  const [first] = checks.due(10_000);
  t.equal(first![1].last, 0, 'never looked at');
  checks.done(first![1], 10_000, 15_000);
  t.equal(first![1].last, 10_000);
  t.strictSame(checks.due(14_000), []);
  t.equal(checks.due(16_000).length, 1);
  checks.done(first![1], 16_000, Infinity);
  t.strictSame(checks.due(75_000), []);
  t.equal(checks.due(77_000).length, 1);
});

t.test('a clock that was set back makes everything due', async t => {
  const checks = new Checks();
  checks.plan('s1', 0);
  for (const [, check] of checks.due(1_000_000)) checks.done(check, 1_000_000, Infinity);
  t.strictSame(ids(checks.due(500_000)), ['s1']);
});

t.test('one scan takes a thousand, the next the rest', async t => {
  const checks = new Checks();
  for (let i = 0; i < 1500; i++) checks.plan(`s${i}`, 0);
  const first = checks.due(2000);
  t.equal(first.length, 1000);
  for (const [, check] of first) checks.done(check, 2000, Infinity);
  t.equal(checks.due(4000).length, 500);
});
