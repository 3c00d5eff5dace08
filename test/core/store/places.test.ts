import t from 'tap';
import { seeded, seedOf } from '../../fixtures/rng.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

t.test('locations, proof keys and agents', async t => {
  const desk = new Desk();
  const { places } = desk.store;
  const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  const location = places.location(id!)!;
  t.equal(places.locationNamed('office')!.id, id);
  t.equal(places.proofPrivate(id!)!.length, 32);
  t.equal(places.proofPrivate('none'), null);
  t.equal(places.location('none'), undefined);
  places.changeLocation(id!, { ...location.settings, mtu: 1300 });
  t.equal(places.locations()[0]!.settings.mtu, 1300);
  const agent = await desk.agent(id!);
  t.equal(places.agentWithKey(agent.wgPublic)!.id, agent.id);
  t.equal(places.agents(id).length, 1);
  t.equal(places.agents().length, 1);
  places.removeAgent(agent.id);
  t.equal(places.agent(agent.id), undefined);
  places.removeLocation(id!);
  t.same(places.locations(), []);
});

const seed = seedOf(21);
t.test(`addresses are unique, stable and reused (seed ${seed})`, async t => {
  const desk = new Desk();
  const rng = seeded(seed);
  desk.store.people.addUser('u_1', 'ada', [], 1);
  const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/28');
  const location = desk.store.places.location(id!)!;
  const hosts = new Map<string, number>();
  for (let i = 0; i < 300; i++) {
    if (rng.chance(0.6)) {
      const device = desk.device('u_1').id;
      const host = desk.store.places.allocate(location, device);
      t.equal(host === null, hosts.size === 13, 'full at 13 devices: 16 less network, gateway and broadcast');
      if (host === null) desk.store.people.removeDevice(device);
      else {
        t.notOk([...hosts.values()].includes(host));
        t.ok(host >= 2 && host <= 14);
        hosts.set(device, host);
      }
    } else if (hosts.size > 0) {
      const device = rng.pick([...hosts.keys()]);
      t.equal(desk.store.places.allocate(location, device), hosts.get(device), 'the same again');
      desk.store.people.removeDevice(device);
      hosts.delete(device);
    }
  }
});
