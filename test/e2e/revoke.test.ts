// Logout is real: 100 packets/s flow in each direction through a session, it is ended, and from then on the gateway lets
// none pass, although the client, cut off from the news, goes on sending with keys that a moment ago were good.

import t from 'tap';
import type { Test } from 'tap';
import { sleep, until } from '../../scripts/lib/world.ts';
import { cannotStage, openHouse } from '../fixtures/system/house.ts';

// The tests run real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();

t.test('nothing passes after the end of a session', { skip }, async t => {
  const stage = await openHouse();
  t.teardown(() => stage.close());
  const { world } = stage;

  async function ends(t: Test, end: (session: string) => Promise<void>, isBlind: boolean): Promise<void> {
    const login = await stage.login(stage.code());
    t.equal(login.code, 0, login.stdout + login.stderr);
    const { session } = JSON.parse(login.stdout) as { session: string };
    await stage.streamToLan(10);
    await stage.streamToClient(10);
    const atLan = world.watch('lan', 'to-gateway', 'rxPackets');
    const toClient = world.watch('gateway', 'to-client', 'txPackets');
    await until('both streams to flow', 10_000, () => atLan.packets > 50 && toClient.packets > 50);
    // Cut off from Core, the client does not learn that its session is over.
    if (isBlind) await world.ip('client', 'link', 'set', 'to-server', 'down');
    const knocksBefore = world.counters('client', 'to-gateway').txPackets;
    await end(session);
    await until('the gateway to drop its peer', 5000, async () => (await stage.gatewayPeers()) === 0, 2);
    const [lan, client] = [atLan.packets, toClient.packets];
    await sleep(1500);
    t.equal(atLan.stop() - lan, 0, 'no packet reached the LAN host after the end');
    t.equal(toClient.stop() - client, 0, 'no packet left the gateway for the client after the end');
    const knocks = world.counters('client', 'to-gateway').txPackets - knocksBefore;
    if (isBlind) t.ok(knocks > 100, `the client went on sending: ${knocks} datagrams`);
    await stage.streamsStop();
    if (isBlind) {
      await world.ip('client', 'link', 'set', 'to-server', 'up');
      await until(
        'the client to learn of it',
        20_000,
        async () => (await stage.clientStatus()).session.phase === 'ended',
      );
    }
  }

  await t.test('an administrator revokes', t =>
    ends(t, async session => void (await stage.revoke(session)), true),
  );
  await t.test('the user logs out', t =>
    ends(
      t,
      async () => {
        const { code, stderr } = await stage.client(['logout']);
        t.equal(code, 0, stderr);
      },
      false,
    ),
  );
  await t.test('the client knows why', async t => {
    const { session } = await stage.clientStatus();
    t.match(session, { phase: 'ended', reason: 'logout-user' });
  });
});
