import t from 'tap';
import { RequestCounts } from '../../../src/control/wire/requestcounts.ts';

t.test('counts by path and status, and how long', async t => {
  const counts = new RequestCounts();
  t.same(counts.samples(), []);
  for (const [status, seconds] of [
    ['200', 0.005],
    ['200', 0.006],
    ['503', 60],
  ] as const)
    counts.add('/a', status, seconds);
  t.same(counts.samples(), [
    { labels: { path: '/a', status: '200' }, value: 2 },
    { labels: { path: '/a', status: '503' }, value: 1 },
  ]);
  const seconds = counts.seconds();
  t.same(
    seconds.filter(({ suffix }) => suffix === '_bucket').map(({ value }) => value),
    [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3],
  );
  t.match(seconds.slice(-2), [
    { suffix: '_sum', value: 60.011 },
    { suffix: '_count', value: 3 },
  ]);
});
