// The README's own words: the commands of "Core, Proxy, a gateway and a login" are taken out of it and run as they stand, each on
// the machine it is for. Only what a reader has to have is put in: names, certificates, tokens, and a code.

import { chmodSync, existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { selfSigned } from '../../scripts/lib/certificate.ts';
import { stepNow, totp } from '../../scripts/lib/totp.ts';
import { address, Stage } from '../../scripts/lib/stage.ts';
import { run, until } from '../../scripts/lib/world.ts';
import type { Actor } from '../../scripts/lib/world.ts';
import { cannotStage, program } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(180_000);

const skip = await cannotStage();
const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');

/** The commands under each comment of the block that follows `title`, whole lines, without comments; `first` names those in front. */
function chapters(title: string, first = ''): Map<string, string[]> {
  const block = readme.slice(readme.indexOf(title)).split('```')[1]!;
  let commands: string[] = [];
  const found = new Map<string, string[]>(first === '' ? [] : [[first, commands]]);
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
  const follow = async (space: string, command: string): Promise<string> => {
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
  for (const command of core!.slice(1)) said.push(await follow('server', command));
  const found = (what: RegExp): string => what.exec(said.join('\n'))![0];
  stage.write('join-token', found(/spj_[\w-]{32}/));
  stage.write('device-token', found(/spe_[\w-]{32}/));
  const seed = /secret=([A-Z2-7]+)/.exec(said.join('\n'))![1]!;

  for (const command of gateway!.slice(0, -1)) await follow('gateway', command);
  await start('gateway', 'gateway', gateway!.at(-1)!, /connected|joined/);
  await until('the gateway at Core', 20_000, async () =>
    / yes|connected/.test(await follow('server', 'sallyport core agent list')),
  );

  t.match(
    await follow('gateway', 'sallyport status'),
    /wg0/,
    'on a machine that is no client, the gateway answers',
  );

  const [enrol, login, status, logout] = laptop!;
  t.match(await follow('client', enrol!), /enrolled as ada; locations: office/);
  stage.write('code', totp(seed, stepNow()));
  t.match(
    await follow('client', `${login} --code-file code --tun-device '${stage.tunDevice}'`),
    /logged in to office/,
  );
  t.match(await follow('client', status!), /office: up on sp-office, logged in since/);
  await follow('client', 'ping -c 1 -W 2 10.8.0.1');
  t.match(await follow('client', logout!), /logged out of office/);
  await follow('client', 'sallyport down');
});

const agent = fileURLToPath(new URL('../../dist/agent.mjs', import.meta.url));

async function cannotTunnel(): Promise<string | false> {
  if (!existsSync(agent)) return 'needs dist/agent.mjs: npm run build';
  return (await run(['wg', '--version'])).code === 0 ? skip : 'needs wg (wireguard-tools)';
}

t.test('a plain tunnel', { skip: await cannotTunnel() }, async t => {
  const stage = await Stage.build({ staleAfter: 180, program, prefix: 'sr' });
  t.teardown(() => stage.close());
  const key = Buffer.alloc(32, 9).toString('base64');
  stage.write('wg0.conf', `[Interface]\nPrivateKey = ${key}\nListenPort = 51871\n`);
  const commands = [...chapters('**A plain tunnel**', 'commands').values()].flat();
  t.equal(commands.length, 2);
  const [tunnel, configure] = commands.map(command =>
    command
      .replace('node dist/agent.mjs', `'${process.execPath}' '${agent}'`)
      .replace('/etc/wireguard', stage.path('').replace(/\/$/, '')),
  );
  // A private /run, so that the socket is where wg looks and this machine keeps its own.
  const script = [
    'mount -t tmpfs tmpfs /run',
    `${tunnel} --tun-device '${stage.tunDevice}'`,
    configure,
    'wg show wg0 listen-port',
    'ip -o link show wg0',
    'ip link del wg0',
  ].join(' && ');
  const { code, stdout, stderr } = await stage.world.exec(
    'gateway',
    ['unshare', '-m', 'sh', '-c', script],
    {},
  );
  t.equal(code, 0, stderr);
  t.match(stdout, /^51871\n/);
  t.match(stdout, /wg0: <[^>]*\bUP\b/);
});
