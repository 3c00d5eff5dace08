// The README's own words: the commands of "Core, Proxy, a gateway and a login" are taken out of it and run as they stand, each on
// the machine it is for. Only what a reader has to have is put in: names, certificates, tokens, and a code.

import { chmodSync, readFileSync } from 'node:fs';
import t from 'tap';
import { selfSigned } from '../../scripts/lib/certificate.ts';
import { stepNow, totp } from '../../scripts/lib/totp.ts';
import { address, Stage } from '../../scripts/lib/stage.ts';
import { until } from '../../scripts/lib/world.ts';
import type { Actor } from '../../scripts/lib/world.ts';
import { cannotStage, program } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The commands under each comment of the block that follows `title`, whole lines, without comments. */
function chapters(title: string): Map<string, string[]> {
  const block = readme.slice(readme.indexOf(title)).split('```')[1]!;
  const found = new Map<string, string[]>();
  let commands: string[] = [];
  for (const line of block.replaceAll('\\\n', ' ').split('\n').slice(1)) {
    const heading = /^# ([^:,]+)/.exec(line)?.[1];
    if (heading !== undefined) found.set(heading, (commands = []));
    else if (line.trim() !== '') commands.push(line.replace(/ +# .*$/, '').replace(/ +/g, ' '));
  }
  return found;
}

/** Names of the README, and what they are here. */
const names: readonly [string, string][] = [
  ['https://proxy.example', `https://${address.proxy}`],
  ['wss://proxy.example', `wss://${address.core}`],
  ['core.example', address.core],
  ['gw.example', address.gateway],
  ['/run/join-token', 'join-token'],
];

t.test('Core, Proxy, a gateway and a login', { skip }, async t => {
  const stage = await Stage.build({ staleAfter: 180, program, prefix: 'sr' });
  t.teardown(() => stage.close());
  const { world } = stage;
  const { cert, key } = selfSigned([address.proxy, address.core]);
  const authority = stage.write('authority.crt', cert);
  for (const name of ['proxy', 'core']) {
    stage.write(`${name}.crt`, cert);
    stage.write(`${name}.key`, key);
  }
  stage.write('core.token', Buffer.alloc(32, 7).toString('base64url'));
  chmodSync(stage.write('sallyport', `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`), 0o755);
  const env = {
    PATH: `${stage.path('')}:${process.env['PATH']}`,
    NODE_EXTRA_CA_CERTS: authority,
    SALLYPORT_DATA: stage.path('core-data'),
    SALLYPORT_STATE: stage.path('laptop'),
    SALLYPORT_STATE_DIR: stage.path('gateway-state'),
    SALLYPORT_RUN_DIR: stage.path('gateway-run'),
    SALLYPORT_UAPI_DIR: stage.path('gateway-uapi'),
    SALLYPORT_TUN_DEVICE: stage.tunDevice,
  };
  const here = (command: string): string[] => {
    const text = names.reduce((all, [from, to]) => all.replaceAll(from, to), command);
    return ['sh', '-c', `cd '${stage.path('')}' && ${text}`];
  };
  const run = async (space: string, command: string): Promise<string> => {
    const { code, stdout, stderr } = await world.exec(space, here(command), {
      env: { ...process.env, ...env },
    });
    t.equal(code, 0, `${command}\n${stdout}${stderr}`);
    return stdout;
  };
  const start = async (name: string, space: string, command: string, word: RegExp): Promise<Actor> => {
    const actor = world.actor(name, space, here(`exec ${command}`), env);
    await until(`${name} to say ${word}`, 20_000, () => word.test(readFileSync(actor.logFile, 'utf8')));
    return actor;
  };

  const [proxy, core, gateway, laptop] = [...chapters('**Core, Proxy, a gateway and a login**').values()];
  await start('proxy', 'server', proxy![0]!, /proxy ready/);
  await start('core', 'server', core![0]!, /proxy connected/);
  const said: string[] = [];
  for (const command of core!.slice(1)) said.push(await run('server', command));
  const found = (what: RegExp): string => what.exec(said.join('\n'))![0];
  stage.write('join-token', found(/spj_[\w-]{32}/));
  stage.write('device-token', found(/spe_[\w-]{32}/));
  const seed = /secret=([A-Z2-7]+)/.exec(said.join('\n'))![1]!;

  for (const command of gateway!.slice(0, -1)) await run('gateway', command);
  await start('gateway', 'gateway', gateway!.at(-1)!, /connected|joined/);
  await until('the gateway at Core', 20_000, async () =>
    / yes|connected/.test(await run('server', 'sallyport core agent list')),
  );

  t.match(await run('gateway', 'sallyport status'), /wg0/, 'where nobody is a client, the gateway speaks');

  const [enrol, login, status, logout] = laptop!;
  t.match(await run('client', enrol!), /enrolled as ada; locations: office/);
  stage.write('code', totp(seed, stepNow()));
  t.match(
    await run('client', `${login} --code-file code --tun-device '${stage.tunDevice}'`),
    /logged in to office/,
  );
  t.match(await run('client', status!), /office: up on sp-office, logged in since/);
  await run('client', 'ping -c 1 -W 2 10.8.0.1');
  t.match(await run('client', logout!), /logged out of office/);
  await run('client', 'sallyport down');
});
