// Transactions, migrations and the promise of synchronous=FULL: what was committed is there after SIGKILL, what was not is not.

import t from 'tap';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { Database } from '../../../src/core/store/database.ts';
import { migrations } from '../../../src/core/store/schema.ts';

t.test('all or nothing', async t => {
  const db = new Database(':memory:');
  const add = (nonce: string): number =>
    db.run('INSERT INTO nonces (nonce, expires_at) VALUES (?, 1)', nonce);
  const names = (): unknown[] => db.all('SELECT nonce FROM nonces ORDER BY nonce').map(row => row['nonce']);
  t.equal(
    db.transaction(() => {
      db.transaction(() => add('inner'));
      return add('outer');
    }),
    1,
  );
  t.throws(
    () =>
      db.transaction(() => {
        add('lost');
        throw new Error('no');
      }),
    /no/,
  );
  t.throws(() => db.transaction(async () => add('async')), /asynchronous/);
  t.same(names(), ['inner', 'outer']);
  t.equal(db.get('SELECT 1 AS one FROM nonces WHERE nonce = ?', 'lost'), undefined);
  db.close();
});

t.test('migrates once, and refuses a newer store', async t => {
  const path = join(t.testdir(), 'core.db');
  new Database(path).close();
  const again = new Database(path);
  t.equal(Number(again.get('PRAGMA user_version')!['user_version']), migrations.length);
  t.equal(again.get('PRAGMA journal_mode')!['journal_mode'], 'wal');
  t.equal(Number(again.get('PRAGMA synchronous')!['synchronous']), 2, 'FULL');
  t.equal(Number(again.get('PRAGMA foreign_keys')!['foreign_keys']), 1);
  again.run('PRAGMA user_version = 99');
  again.close();
  t.throws(() => new Database(path), { code: 'store-newer', message: /version 99/ });
});

t.test('killed in the middle of a transaction', async t => {
  const path = join(t.testdir(), 'core.db');
  const script = `
    import { Database } from ${JSON.stringify(new URL('../../../src/core/store/database.ts', import.meta.url).href)};
    const db = new Database(${JSON.stringify(path)});
    db.run("INSERT INTO nonces (nonce, expires_at) VALUES ('kept', 1)");
    db.transaction(() => {
      db.run("INSERT INTO nonces (nonce, expires_at) VALUES ('half', 1)");
      process.kill(process.pid, 'SIGKILL');
      for (;;);
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
  const signal = await new Promise(resolve => child.on('exit', (_code, name) => resolve(name)));
  t.equal(signal, 'SIGKILL');
  const db = new Database(path);
  t.same(
    db.all('SELECT nonce FROM nonces').map(row => row['nonce']),
    ['kept'],
  );
  db.close();
});
