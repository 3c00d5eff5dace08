import t from 'tap';
import { join } from 'node:path';
import { createLog, silentLog } from '../../src/control/log.ts';
import { Core } from '../../src/core/core.ts';
import { Database } from '../../src/core/store/database.ts';
import { openStore } from '../../src/core/store/store.ts';

t.test('starts, sweeps and stops', async t => {
  let now = 1e12;
  const store = openStore(t.testdir());
  const core = new Core({ store, log: silentLog, clock: () => now });
  const { port } = await core.listen({ host: '127.0.0.1', port: 0 });
  t.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200);
  store.logins.useNonce('n', now + 1000);
  now += 61_000;
  core.tick();
  t.equal(store.logins.useNonce('n', now), true, 'swept');
  t.equal(core.random(4).length, 4);
  await core.close();
});

t.test('a locked database: Core stays up, says so once, and once that it is over', async t => {
  let now = 1e12;
  const directory = t.testdir();
  const lines: string[] = [];
  const log = createLog({ level: 'info', area: 'core', write: line => lines.push(line) });
  const core = new Core({ store: openStore(directory), log, clock: () => now });
  core.store.db.waitForLock(1);
  const pass = (): void => {
    now += 61_000;
    core.tick();
  };
  pass();
  const other = new Database(join(directory, 'core.db'));
  other.transaction(() => {
    pass();
    pass();
    t.match(core.notReady(), /locked by another process/);
  });
  t.equal(lines.filter(line => line.includes('no logins')).length, 1);
  t.match(lines.join(''), /store-locked/);
  pass();
  pass();
  t.equal(lines.filter(line => line.includes('info: core: the database works again')).length, 1);
  t.equal(core.notReady(), null);
  other.close();
  await core.close();
});
