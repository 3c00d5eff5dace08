// The life of a tunnel process as scripts see it (L1-L6, U11): into the background when the socket is ready, gone
// when its TUN or its socket goes, up and down, and `wg-quick` with us as its userspace implementation.

import t from 'tap';
import { existsSync, readFileSync } from 'node:fs';
import { Lab, run, until, whyNoLab } from '../fixtures/lab/netns.ts';
import {
  Tunnel,
  agentBundle,
  connect,
  node26,
  ours,
  plan,
  scratch,
  wg,
  whyNoPeers,
  wireguardGo,
} from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const standIn = process.env['INTEROP_OURS'];

/** A command of one word, as wg-quick wants it. */
const launcher = (): string =>
  standIn === undefined
    ? `#!/bin/sh\nexec "${node26}" --experimental-ffi --disable-warning=ExperimentalWarning "${agentBundle}" tunnel "$@"\n`
    : `#!/bin/sh\nexec "${standIn}" "$@"\n`;

t.test('the TUN is deleted from outside', { skip, timeout: 30_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const tunnel = await Tunnel.start(lab, ours(), lab.namespace('a'), 51821);
  tunnel.namespace.ip(`link del ${tunnel.ifname}`);
  t.ok(await until(() => !tunnel.process.isAlive, 5000), 'the process ends');
  t.notOk(existsSync(`/var/run/wireguard/${tunnel.ifname}.sock`), 'its socket is gone');
});

t.test('the socket is deleted', { skip, timeout: 30_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const tunnel = await Tunnel.start(lab, ours(), lab.namespace('a'), 51821);
  run('rm', [`/var/run/wireguard/${tunnel.ifname}.sock`]);
  t.ok(await until(() => !tunnel.process.isAlive, 5000), 'the process ends');
  t.not(
    tunnel.namespace.run('ip', ['link', 'show', tunnel.ifname]).status,
    0,
    'and takes its interface along',
  );
});

t.test('TERM', { skip, timeout: 30_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const tunnel = await Tunnel.start(lab, ours(), lab.namespace('a'), 51821);
  tunnel.process.child.kill('SIGTERM');
  t.ok(await until(() => !tunnel.process.isAlive, 5000), 'ends');
  t.notOk(existsSync(`/var/run/wireguard/${tunnel.ifname}.sock`));
});

t.test('down and up again', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, ours(), wireguardGo());
  t.equal(a.namespace.ping(plan.b.inner4, 2), 2);
  a.namespace.ip(`link set ${a.ifname} down`);
  t.equal(b.namespace.ping(plan.a.inner4, 2, { waitS: 1 }), 0, 'down is down');
  a.namespace.ip(`link set ${a.ifname} up`);
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'up works at once');
  t.equal(b.namespace.ping(plan.a.inner4, 3), 3);
});

t.test('into the background when ready', { skip, timeout: 30_000 }, async t => {
  const lab = new Lab('itp-');
  const files = scratch();
  t.teardown(async () => {
    files.done();
    await lab.close();
  });
  const namespace = lab.namespace('a');
  const ifname = lab.interfaceName();
  const program = files.write('sallyport-tunnel', launcher(), 0o755);
  const { status, stderr } = namespace.run(program, [ifname], { timeoutMs: 15_000 });
  t.equal(status, 0, stderr);
  t.equal(run('wg', ['show', ifname]).status, 0, 'the socket answers as soon as the command returns');
  namespace.ip(`link del ${ifname}`);
  t.ok(await until(() => !existsSync(`/var/run/wireguard/${ifname}.sock`), 5000), 'and it ends');
});

t.test('a name too long, a device that exists', { skip, timeout: 30_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const tunnel = await Tunnel.start(lab, ours(), lab.namespace('a'), 51821);
  const [program, ...args] = ours().command;
  for (const [name, what] of [
    ['a-name-of-many-letters', 'too long'],
    [tunnel.ifname, 'taken'],
  ] as const) {
    const again = tunnel.namespace.run(program!, [...args, name], { timeoutMs: 10_000 });
    t.not(again.status, 0, what);
    if (standIn === undefined)
      t.match(again.stderr, new RegExp(`^sallyport.*${name}.*\n$`), `${what}: one line naming it`);
  }
  t.ok(tunnel.process.isAlive);
  t.equal(run('wg', ['show', tunnel.ifname]).status, 0, 'the first one is untouched');
});

t.test('wg-quick', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  const files = scratch();
  t.teardown(async () => {
    files.done();
    await lab.close();
  });
  const [na, nb] = [lab.namespace('a'), lab.namespace('b')];
  const probe = na.run('ip', ['link', 'add', 'probe', 'type', 'wireguard']);
  if (probe.status === 0 || existsSync('/sys/module/wireguard')) {
    t.pass('skipped', { skip: 'the kernel has WireGuard: wg-quick never asks a userspace implementation' });
    return;
  }
  lab.cable(na, nb, [`${plan.a.outer4}/24`], [`${plan.b.outer4}/24`]);
  const peer = await Tunnel.start(lab, wireguardGo(), nb, plan.b.port);
  const privateKey = wg('genkey');
  const publicKey = run('sh', ['-c', 'cat | wg pubkey'], { input: privateKey }).stdout.trim();
  const psk = wg('genpsk');
  peer.peer(publicKey, ['allowed-ips', `${plan.a.inner4}/32`], psk);
  peer.up([`${plan.b.inner4}/24`]);
  const ifname = lab.interfaceName();
  const conf = files.write(
    `${ifname}.conf`,
    `[Interface]
PrivateKey = ${privateKey}
ListenPort = ${plan.a.port}
Address = ${plan.a.inner4}/24
MTU = 1400
PostUp = touch ${files.dir}/up
[Peer]
PublicKey = ${peer.keys.publicKey}
PresharedKey = ${psk}
AllowedIPs = ${plan.b.inner4}/32, 10.44.0.0/16
Endpoint = ${plan.b.outer4}:${plan.b.port}
`,
  );
  const env = { WG_QUICK_USERSPACE_IMPLEMENTATION: files.write('sallyport-tunnel', launcher(), 0o755) };
  const up = na.run('wg-quick', ['up', conf], { env, timeoutMs: 20_000 });
  t.equal(up.status, 0, up.stderr);
  t.ok(existsSync(`${files.dir}/up`), 'PostUp ran');
  t.equal(na.ping(plan.b.inner4, 3), 3, 'traffic');
  t.match(na.ip('route show'), /10\.44\.0\.0\/16 dev/, 'routes of AllowedIPs');
  t.match(na.ip(`link show ${ifname}`), /mtu 1400/);
  const pid = run('ip', ['netns', 'pids', na.name]).stdout.trim().split('\n');
  t.ok(pid.length >= 1 && readFileSync(`/proc/${pid[0]}/comm`, 'utf8').length > 0, 'one process carries it');
  const down = na.run('wg-quick', ['down', conf], { env, timeoutMs: 20_000 });
  t.equal(down.status, 0, down.stderr);
  t.ok(
    await until(() => run('ip', ['netns', 'pids', na.name]).stdout.trim() === '', 5000),
    'the process ended with it',
  );
  t.notOk(existsSync(`/var/run/wireguard/${ifname}.sock`));
});
