import t from 'tap';
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readState, writeState } from '../../../src/agent/control/statefile.ts';
import { count, object } from '../../../src/control/validate.ts';

const shape = object({ n: count });
const noWarning = (message: string): void => {
  throw new Error(message);
};

t.test('what is written is read, by its owner only', async t => {
  const path = join(t.testdir(), 'deep', 'state.json');
  t.equal(readState(path, shape, noWarning), null, 'no file yet');
  await writeState(path, { n: 1 });
  await writeState(path, { n: 2 });
  t.strictSame(readState(path, shape, noWarning), { n: 2 });
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(readFileSync(path, 'utf8'), '{"n":2}\n');
  t.notOk(existsSync(`${path}.new`));
});

t.test('a file others may read is told of', async t => {
  const path = join(t.testdir({ 'state.json': '{"n":1}' }), 'state.json');
  chmodSync(path, 0o644);
  const said: string[] = [];
  t.strictSame(
    readState(path, shape, line => said.push(line)),
    { n: 1 },
  );
  t.match(said, [/state\.json is open to other users \(mode 644\): chmod 600/]);
});

t.test('a file we cannot understand is never replaced in silence', async t => {
  const path = join(t.testdir(), 'state.json');
  for (const text of ['', '{', '{"n":-1}', '[]', '{"m":1}']) {
    writeFileSync(path, text, { mode: 0o600 });
    t.throws(
      () => readState(path, shape, noWarning),
      { code: 'state', message: /not a state file of this version/ },
      text,
    );
  }
  t.throws(() => readState(t.testdirName, shape, noWarning), { message: /cannot be read/ });
});

t.test('a write that fails says where', async t => {
  const directory = t.testdir({ file: '' });
  await t.rejects(writeState(join(directory, 'file', 'x.json'), {}), {
    code: 'state',
    message: /x\.json: cannot be written/,
  });
});
