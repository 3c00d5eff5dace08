import t from 'tap';
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { openStore } from '../../../src/core/store/store.ts';
import { toHex } from '../../../src/util/bytes.ts';

t.test('makes its keys once, and keeps them to itself', async t => {
  const directory = join(t.testdir(), 'core');
  const first = openStore(directory);
  const key = toHex(first.signKey.publicKey);
  first.people.addUser('u', 'ada', [], 1);
  first.people.setTotp('u', new Uint8Array(20).fill(0x5a));
  first.close();
  const again = openStore(directory);
  t.equal(toHex(again.signKey.publicKey), key);
  t.same(again.people.totpSeed('u'), new Uint8Array(20).fill(0x5a));
  again.close();
  t.equal(statSync(directory).mode & 0o777, 0o700);
  for (const file of ['core.db', 'store.key'])
    t.equal(statSync(join(directory, file)).mode & 0o777, 0o600, file);
  t.equal(
    readFileSync(join(directory, 'core.db')).includes(Buffer.alloc(20, 0x5a)),
    false,
    'no seed in the clear',
  );
});

t.test('a lost or wrong key file is said so, not replaced', async t => {
  const directory = join(t.testdir(), 'core');
  openStore(directory).close();
  const key = join(directory, 'store.key');
  writeFileSync(key, `${Buffer.alloc(32, 1).toString('base64')}\n`);
  t.throws(() => openStore(directory), { code: 'wrong-store-key' });
  writeFileSync(key, 'short');
  t.throws(() => openStore(directory), { code: 'bad-store-key', exit: 2 });
  rmSync(key);
  t.throws(() => openStore(directory), { code: 'no-store-key', exit: 2 });
});

t.test('nothing in a directory that others made is open to them, whatever the umask', async t => {
  const directory = join(t.testdir(), 'core');
  mkdirSync(directory, { mode: 0o755 });
  const before = process.umask(0o000);
  t.teardown(() => void process.umask(before));
  const store = openStore(directory);
  store.people.addUser('u', 'ada', [], 1);
  for (const file of ['core.db', 'core.db-wal', 'core.db-shm', 'store.key'])
    t.equal(statSync(join(directory, file)).mode & 0o077, 0, file);
  store.close();
});

t.test('a store of schema 1 opens, with what it holds', async t => {
  const directory = t.testdir();
  const kept = (name: string): Buffer =>
    readFileSync(new URL(`../../fixtures/stores/${name}`, import.meta.url));
  writeFileSync(join(directory, 'core.db'), gunzipSync(kept('schema1.db.gz')));
  writeFileSync(join(directory, 'store.key'), kept('schema1.key'));
  const store = openStore(directory);
  const ada = store.people.userNamed('ada')!;
  t.same(ada.groups, ['dev']);
  t.equal(store.people.totpSeed(ada.id)?.length, 20, 'its secrets can be read');
  t.ok(store.people.unusedRecoveryCodes(ada.id).length > 0);
  t.same(
    store.places.locations().map(({ name }) => name),
    ['office'],
  );
  t.equal(store.audit.verify().ok, true);
  store.close();
});
