// A location with two gateways, of which Core believes both to be there and the client's first choice is not: the login takes the
// other one, whose grant it was given as well.

import t from 'tap';
import { address } from '../../scripts/lib/stage.ts';
import { until } from '../../scripts/lib/world.ts';
import { cannotStage, openHouse } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();

t.test('a gateway that answers nothing does not stand in the way of the next', { skip }, async t => {
  const stage = await openHouse();
  t.teardown(() => stage.close());
  const second = await stage.startSecondAgent();
  await until('both gateways', 20_000, async () => {
    const agents = (await stage.admin('agent', 'list')) as { connected: boolean }[];
    return agents.filter(agent => agent.connected).length === 2;
  });
  // Both are on one machine here, whose way back to the client has to be the second's.
  await stage.world.ip('gateway', 'route', 'add', stage.innerClient, 'dev', `${stage.gatewayInterface}2`);
  process.kill(stage.agent!.pid, 'SIGSTOP'); // its connections stay, as those of a machine that has just lost its way
  t.teardown(() => process.kill(stage.agent!.pid, 'SIGCONT'));

  const { code, stdout, stderr } = await stage.login(stage.code());
  t.equal(code, 0, stdout + stderr);
  const { endpoint, session } = await stage.clientStatus();
  t.equal(endpoint, `${address.gateway}:51821`);
  t.match(session, { phase: 'live' });
  t.match(await stage.ping(3, 100), { sent: 3, answered: 3 });
  t.ok(second.isRunning);
});
