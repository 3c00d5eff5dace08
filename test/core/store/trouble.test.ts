// Faults of the database by their names, and that it works again afterwards.

import t from 'tap';
import { join } from 'node:path';
import { Database } from '../../../src/core/store/database.ts';
import { StoreTrouble, troubleOf, withoutTrouble } from '../../../src/core/store/trouble.ts';

function add(db: Database, nonce: string): number {
  return db.run('INSERT INTO nonces (nonce, expires_at) VALUES (?, 1)', nonce);
}

t.test('locked by another process', async t => {
  const path = join(t.testdir(), 'core.db');
  const db = new Database(path);
  const other = new Database(path);
  db.waitForLock(1);
  other.transaction(() => {
    t.throws(() => add(db, 'single'), { code: 'store-locked', name: 'StoreTrouble' });
    t.throws(() => db.transaction(() => add(db, 'whole')), { code: 'store-locked' });
    t.notOk(withoutTrouble(() => db.probe()));
    t.equal(db.trouble?.code, 'store-locked');
    t.equal(db.get('SELECT count(*) AS n FROM nonces')!['n'], 0, 'reading works');
  });
  t.ok(withoutTrouble(() => db.probe()));
  t.equal(db.trouble, null);
  t.equal(add(db, 'after'), 1);
  other.close();
  db.close();
});

t.test('full: nothing is half there', async t => {
  const db = new Database(join(t.testdir(), 'core.db'));
  const pages = Number(db.get('PRAGMA page_count')!['page_count']);
  db.get(`PRAGMA max_page_count = ${pages}`);
  const fill = (): void => {
    for (let i = 0; i < 500; i++) add(db, `${i}`.padEnd(1000, '.'));
  };
  t.throws(() => db.transaction(fill), { code: 'store-full' });
  t.equal(db.get('SELECT count(*) AS n FROM nonces')!['n'], 0);
  db.get('PRAGMA max_page_count = 100000');
  db.transaction(fill);
  t.equal(db.trouble, null);
  t.equal(db.get('SELECT count(*) AS n FROM nonces')!['n'], 500);
  db.close();
});

t.test('read-only', async t => {
  const db = new Database(':memory:');
  db.get('PRAGMA query_only = 1');
  t.throws(() => add(db, 'a'), { code: 'store-read-only' });
  t.throws(() => db.probe(), { code: 'store-read-only' }, 'the probe writes');
  db.get('PRAGMA query_only = 0');
  db.probe();
  t.equal(db.trouble, null);
  db.close();
});

t.test('other errors stay what they are', async t => {
  const db = new Database(':memory:');
  add(db, 'once');
  t.throws(() => add(db, 'once'), /UNIQUE/);
  t.equal(db.trouble, null);
  t.equal(troubleOf(new Error('no')), null);
  t.equal(troubleOf('text'), null);
  t.equal(troubleOf(Object.assign(new Error('disk'), { errcode: 10 | (3 << 8) }))?.code, 'store-unreadable');
  const trouble = new StoreTrouble('store-full', null);
  t.equal(troubleOf(trouble), trouble);
  t.throws(() => withoutTrouble(() => add(db, 'once')), /UNIQUE/);
  db.close();
});
