import t from 'tap';
import { silentLog } from '../../src/control/log.ts';
import { Core } from '../../src/core/core.ts';
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
