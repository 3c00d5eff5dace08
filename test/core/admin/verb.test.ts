import t from 'tap';
import { date, endedText, groupNames, named, table } from '../../../src/core/admin/verb.ts';

t.test('answers for people', async t => {
  t.equal(table(['A', 'LONG'], [['wide cell', 'x']]), 'A          LONG\nwide cell  x');
  t.equal(date(0), '1970-01-01T00:00:00Z');
  t.same([endedText(0), endedText(1), endedText(2)], ['', '; 1 session ended', '; 2 sessions ended']);
});

t.test('names', async t => {
  t.equal(named('ada', 'a user name'), 'ada');
  for (const bad of ['', '-x', 'a\u0007b', 'x'.repeat(101)])
    t.throws(() => named(bad, 'a user name'), { code: 'bad-name' });
  t.same(groupNames(['dev']), ['dev']);
  t.throws(() => groupNames(['a b']), { code: 'bad-name' });
});
