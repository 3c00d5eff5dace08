import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { interfaceNames, launch } from '../../../src/client/daemon/launch.ts';
import { Store } from '../../../src/client/state.ts';
import { clientState, location } from '../../fixtures/system/client.ts';

const interfaceName = (name: string): string => interfaceNames([{ id: 'l_1', name }]).get('l_1')!;

t.test('locations of one device never share an interface name', async t => {
  const named = ['Headquarters North', 'Headquarters South', '東京', '大阪', 'Office'];
  const locations = named.map((name, n) => ({ id: `l_${n}`, name }));
  const names = interfaceNames(locations);
  t.equal(new Set(names.values()).size, named.length);
  t.equal(names.get('l_4'), 'sp-office', 'a name that is not shared stays plain');
  t.match(names.get('l_0'), /^sp-headqua-[0-9a-f]{4}$/);
  t.strictSame([...interfaceNames(locations.toReversed())].sort(), [...names].sort(), 'in any order');
  const many = Array.from({ length: 2000 }, (_, n) => ({ id: `l_${n}`, name: '本社' }));
  const all = [...interfaceNames(many).values()];
  t.equal(new Set(all).size, many.length);
  t.ok(all.every(name => name.length <= 15));
});

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
