// Two locations side by side on one client: a tunnel, a session and an end for each. The second is given to the user after the
// enrolment.

import t from 'tap';
import { Stage } from '../../scripts/lib/stage.ts';
import { until } from '../../scripts/lib/world.ts';
import { cannotStage, program } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();

t.test('logged in to two locations at once', { skip }, async t => {
  const stage = await Stage.build({ staleAfter: 180, program, prefix: 'sl' });
  t.teardown(() => stage.close());
  stage.startProxy();
  stage.startCore();
  await stage.untilAnswered();
  await stage.prepare();
  stage.startAgent();
  await stage.enrol();
  // After the enrolment: the client hears of it with its next login.
  await stage.admin('location', 'add', 'Lab', '--network', '10.67.0.0/24');
  await stage.startSecondAgent('Lab');
  await until('both gateways', 20_000, async () => {
    const agents = (await stage.admin('agent', 'list')) as { connected: boolean }[];
    return agents.filter(agent => agent.connected).length === 2;
  });

  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await stage.client(args);
    t.equal(code, 0, `${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  };
  const answers = async (gateway: string): Promise<boolean> =>
    (await stage.world.exec('client', ['ping', '-c', '1', '-W', '1', gateway])).code === 0;
  const login = (...location: string[]): Promise<string> =>
    run(
      'login',
      ...location,
      '--code-file',
      stage.write('code', stage.code()),
      '--tun-device',
      stage.tunDevice,
    );
  await login();
  const which = await stage.client(['login', '--code-file', stage.write('code', '1')]);
  t.match(which, { code: 2, stderr: /name a location: one of Lab, Office/ }, 'which one has to be said now');
  await login('Lab');
  t.ok((await answers('10.66.0.1')) && (await answers('10.67.0.1')), 'both gateways answer');
  t.match(await run('status'), /^Lab: up on sp-lab, logged in.*\nOffice: up on sp-office, logged in/m);

  await run('logout', 'Office');
  t.notOk(await answers('10.66.0.1'));
  t.ok(await answers('10.67.0.1'), 'the end of one is not the end of the other');
  await run('down', 'Office');
  t.match(await run('status'), /Lab: up on sp-lab, logged in.*\nOffice: down/);
  t.ok(await answers('10.67.0.1'));
  await run('down', 'Lab');
});
