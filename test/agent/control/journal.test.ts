import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { appendJournal, journalLine, parseJournal, readJournal } from '../../../src/agent/control/journal.ts';
import { count, object } from '../../../src/control/validate.ts';

const shape = object({ n: count });
const line = (n: number): string => journalLine({ n });
const silent = (): void => {};

t.test('what is appended is read', async t => {
  const path = join(t.testdir(), 'x.journal');
  t.strictSame(readJournal(path, shape, silent).entries, [], 'no file yet');
  await appendJournal(path, line(1), true);
  await appendJournal(path, line(2), false);
  t.strictSame(readJournal(path, shape, silent), {
    entries: [{ n: 1 }, { n: 2 }],
    trusted: 0,
    damaged: false,
  });
  await appendJournal(path, line(3), true);
  t.equal(readFileSync(path, 'utf8'), line(3));
});

t.test('torn at the end, damaged before', async t => {
  const bad = line(2).replace('2}', '3}');
  t.strictSame(parseJournal(line(1) + bad, shape), { entries: [{ n: 1 }], trusted: 0, damaged: false });
  t.strictSame(parseJournal(line(1) + bad + line(4), shape), {
    entries: [{ n: 1 }, { n: 4 }],
    trusted: 1,
    damaged: true,
  });
  t.equal(
    parseJournal(journalLine({ n: -1 }) + line(1), shape).damaged,
    true,
    'a shape that does not fit is damage',
  );
});

t.test('a full disk is named', async t => {
  await t.rejects(appendJournal('/dev/full', line(1), false), {
    message: /^\/dev\/full: cannot be written: .*ENOSPC/,
  });
});
