// A new login of a device that is logged in: nothing on the way is lost, because the new session is made before the old one
// is broken.

import t from 'tap';
import { address } from '../../scripts/lib/stage.ts';
import { until } from '../../scripts/lib/world.ts';
import { cannotStage, openHouse } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();

t.test('logging in again loses no packet', { skip }, async t => {
  const stage = await openHouse();
  t.teardown(() => stage.close());
  const login = async (): Promise<string> => {
    const { code, stdout, stderr } = await stage.login(stage.code());
    t.equal(code, 0, stdout + stderr);
    return (JSON.parse(stdout) as { session: string }).session;
  };
  const first = await login();
  const flow = stage.ping(600, 10);
  const second = await login();
  const { sent, answered } = await flow;
  t.equal(answered, sent, 'every packet was answered');
  t.not(second, first);
  await until('Core to have ended the first', 5000, async () => (await stage.session(first))?.live === false);
  t.match(await stage.session(first), { reason: 'superseded' });
  t.match(await stage.session(second), { live: true });
  t.match((await stage.clientStatus()).session, { phase: 'live', id: second });
  t.equal(await stage.gatewayPeers(), 1);
  const six = await stage.world.exec('client', ['ping', '-c', '2', '-i', '0.1', '-W', '2', address.inner6]);
  t.equal(six.code, 0, `IPv6 inside: ${six.stdout}`);
});
