// Secrets: every source, never two, never in a message.

import t from 'tap';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSecret, readSecretFile } from '../../src/control/secrets.ts';

const folder = mkdtempSync(join(tmpdir(), 'plt-'));
function file(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}
const name = 'SALLYPORT_TOKEN';

t.test('the sources', async t => {
  const path = file('token', 'from a file\n');
  t.equal(readSecret(name, { environment: {} }), null);
  const environment: Record<string, string | undefined> = { [name]: 'plain' };
  t.equal(readSecret(name, { environment }), 'plain');
  t.equal(environment[name], undefined, 'gone from the environment');
  t.equal(readSecret(name, { environment: { [name]: `file:${path}` } }), 'from a file');
  t.equal(readSecret(name, { environment: { [`${name}_FILE`]: path } }), 'from a file');
  t.equal(readSecret(name, { environment: {}, option: 'configured' }), 'configured');
  t.equal(readSecret(name, { environment: {}, option: `file:${path}` }), 'from a file');
  t.equal(
    readSecret(name, { environment: { [name]: 'env' }, option: 'configured' }),
    'env',
    'environment first',
  );
  t.equal(
    readSecret(name, { environment: { CREDENTIALS_DIRECTORY: folder }, credential: 'token' }),
    'from a file',
  );
  t.equal(readSecret(name, { environment: { CREDENTIALS_DIRECTORY: folder }, credential: 'none' }), null);
  t.equal(readSecret(name, { environment: { [name]: '', [`${name}_FILE`]: '' }, option: '' }), null);
});

t.test('two at once', async t => {
  const path = file('one', 'x');
  t.throws(() => readSecret(name, { environment: { [name]: 'a', [`${name}_FILE`]: path } }), {
    code: 'secret-twice',
    exit: 2,
    message: 'SALLYPORT_TOKEN is given twice, by SALLYPORT_TOKEN and by SALLYPORT_TOKEN_FILE; keep one',
  });
  const environment = { [`${name}_FILE`]: path, CREDENTIALS_DIRECTORY: folder };
  t.throws(() => readSecret(name, { environment, credential: 'one' }), { code: 'secret-twice' });
});

t.test('one newline is trimmed, no more', async t => {
  t.equal(readSecretFile('x', file('a', 'secret\n\n')), 'secret\n');
  t.equal(readSecretFile('x', file('b', ' secret \r\n')), ' secret ');
});

t.test('bad files say what is wrong, not what is in them', async t => {
  t.throws(() => readSecretFile('token', join(folder, 'missing')), { code: 'secret-file', exit: 2 });
  t.throws(() => readSecretFile('token', file('empty', '\n')), { code: 'secret-empty' });
  t.throws(() => readSecretFile('token', file('huge', 'q'.repeat(70_000))), {
    code: 'secret-file',
    message: /larger than 65536 bytes/,
  });
});

t.test('a file open to others is worth a warning', async t => {
  const warnings: string[] = [];
  const warn = (message: string): void => void warnings.push(message);
  const path = file('open', 'hush', 0o640);
  readSecret(name, { environment: { [`${name}_FILE`]: path }, warn });
  t.strictSame(warnings, [`SALLYPORT_TOKEN_FILE: ${path} is open to other users (mode 640); chmod 600 it`]);
  readSecretFile('x', file('closed', 'hush'), warn);
  t.equal(warnings.length, 1);
});
