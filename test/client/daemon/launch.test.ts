import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { interfaceName, launch } from '../../../src/client/daemon/launch.ts';
import { Store } from '../../../src/client/state.ts';
import { clientState, location } from '../../fixtures/system/client.ts';

t.test('an interface is named after its location, as far as the kernel allows', t => {
  t.equal(interfaceName('Office'), 'sp-office');
  t.equal(interfaceName('Head Office, Room 42'), 'sp-headofficero');
  t.equal(interfaceName('Büro'), 'sp-bro');
  t.equal(interfaceName('本社'), 'sp-vpn');
  t.ok(interfaceName('x'.repeat(100)).length <= 15);
  t.end();
});

t.test('what stops the background process is the error of the one who started it', async t => {
  const dir = mkdtempSync(join(tmpdir(), 'sp-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const store = new Store(dir);
  // It has nothing to load, and says so in its own words.
  await t.rejects(launch(store, location(), { debug: false }), { code: 'not-enrolled', exit: 2 });
  store.save(clientState());
  await t.rejects(
    launch(store, location(), { debug: true, tunDevice: '/nonexistent/tun', ifname: 'sptest0' }),
    {
      message: /\/nonexistent\/tun/,
    },
  );
});
