import t from 'tap';
import { Limits, publicRule } from '../../src/proxy/limits.ts';

t.test('a burst, then a steady rate, per source', async t => {
  const limits = new Limits({ perSecond: 2, burst: 3, sourcesMax: 10 });
  const taken = (now: number, source = '192.0.2.1'): boolean => limits.take(source, now);
  t.same([taken(0), taken(0), taken(0), taken(0)], [true, true, true, false]);
  t.same([taken(400), taken(500), taken(500)], [false, true, false]);
  t.equal(taken(500, '192.0.2.2'), true, 'others are not affected');
  t.same(
    [taken(1e6), taken(1e6), taken(1e6), taken(1e6)],
    [true, true, true, false],
    'never more than a burst',
  );
  const v6 = Array.from({ length: 5 }, (_, i) => limits.take(`2001:db8::${i}`, 0));
  t.same(v6, [true, true, true, false, false], 'an IPv6 host has one bucket');
});

t.test('the table is bounded', async t => {
  const limits = new Limits({ perSecond: 1, burst: 1, sourcesMax: 10 });
  for (let i = 0; i < 1000; i++) limits.take(`10.0.${i >> 8}.${i & 255}`, 0);
  t.equal(limits.size, 10);
});

t.test('an office of 200 people behind one address logs in within ten seconds', async t => {
  const limits = new Limits(publicRule);
  let taken = 0;
  for (let now = 0; now < 10_000; now += 10) if (limits.take('192.0.2.1', now)) taken++;
  t.ok(taken >= 600, `${taken} requests: three each`);
});
