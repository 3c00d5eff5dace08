// A location that is the way to everywhere (0.0.0.0/0), on a client that reaches the Proxy by its default route. Before a login
// and after a logout the network is as it always was; in a session everything goes through the tunnel, but for the talk with
// the Proxy; and when a session ends unasked nothing leaks past the tunnel until the person acts.

import t from 'tap';
import { address } from '../../scripts/lib/stage.ts';
import { until } from '../../scripts/lib/world.ts';
import { cannotStage, openHouse } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();

t.test('the way to everywhere', { skip }, async t => {
  const stage = await openHouse({ fullTunnel: true });
  t.teardown(() => stage.close());
  const { world } = stage;
  /** Which way a packet for `to` takes, and whether it is answered. */
  const way = async (to: string): Promise<'tunnel' | 'past the tunnel'> =>
    (await world.ip('client', 'route', 'get', to)).includes(` dev ${stage.clientInterface} `)
      ? 'tunnel'
      : 'past the tunnel';
  const answers = async (): Promise<boolean> =>
    (await world.exec('client', ['ping', '-c', '1', '-W', '1', address.far])).code === 0;
  const login = async (): Promise<string> => {
    const { code, stdout, stderr } = await stage.login(stage.code());
    t.equal(code, 0, stdout + stderr);
    return (JSON.parse(stdout) as { session: string }).session;
  };

  const up = await stage.client(['up', ...stage.tunnelOptions]);
  t.equal(up.code, 0, up.stderr);
  t.equal(await way(address.far), 'past the tunnel', 'up, but nobody is logged in');
  t.ok(await answers());

  const first = await login();
  t.equal(await way('2001:db8::1'), 'tunnel', 'IPv6 as well');
  t.equal(await way(address.far), 'tunnel');
  t.equal(
    await way(address.farProxy),
    'past the tunnel',
    'the Proxy, so that its word comes through whatever happens',
  );
  t.ok(await answers(), 'through the tunnel');
  await until('news from Core', 10_000, async () => (await stage.clientStatus()).session.following);

  await stage.revoke(first);
  await until(
    'the client to hear of it',
    10_000,
    async () => (await stage.clientStatus()).session.phase === 'ended',
  );
  t.equal(await way(address.far), 'tunnel', 'ended unasked: nothing goes past the tunnel');
  t.notOk(await answers());

  await login();
  t.ok(await answers(), 'the next login gets through');
  t.equal(await way(address.far), 'tunnel');

  const logout = await stage.client(['logout']);
  t.equal(logout.code, 0, logout.stderr);
  t.equal(await way(address.far), 'past the tunnel', 'logged out');
  t.ok(await answers());

  await login();
  const down = await stage.client(['down']);
  t.equal(down.code, 0, down.stderr);
  t.ok(await answers());
  t.notMatch(await world.ip('client', 'rule'), /29[0-9]{3}:/, 'no rule is left behind');
});
