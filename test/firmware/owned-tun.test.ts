// The gateway's promise on appliances: no root, no capability, no way to get one. root makes a TUN that belongs to uid 65534;
// the bundle, started as that user with an empty bounding set and no_new_privs, attaches, shakes hands with another device
// and answers pings. Making a device of its own is refused by the kernel, with a line that tells what to do.

import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Lab, type Namespace, run, type Running, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { agentBundle, newKeys, node26, plan } from '../fixtures/lab/tunnels.ts';
import { hexKey, uapi } from '../fixtures/uapi.ts';

const uid = 65534;
const skip =
  whyNoLab('setpriv', 'mknod') ??
  (existsSync(agentBundle) ? false : 'dist/agent.mjs is missing: run npm run build');

t.test('an owned TUN, no rights', { skip }, async t => {
  const lab = new Lab('spown');
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-owned-'));
  t.teardown(async () => {
    await lab.close();
    rmSync(dir, { recursive: true });
  });
  chmodSync(dir, 0o711);
  // A node of our own: the machine's may be root's alone, and is not ours to change.
  const tun = join(dir, 'tun');
  run('mknod', [tun, 'c', '10', '200']);
  chmodSync(tun, 0o666);

  const [na, nb] = [lab.namespace('a'), lab.namespace('b')];
  lab.cable(na, nb, [`${plan.a.outer4}/24`], [`${plan.b.outer4}/24`]);
  const psk = newKeys().privateKey;
  const keys = { a: newKeys(), b: newKeys() };

  const start = (side: 'a' | 'b', namespace: Namespace, ifname: string): { running: Running; socket: string } => {
    const sockets = join(dir, side);
    mkdirSync(sockets, { recursive: true });
    chownSync(sockets, uid, uid);
    const running = namespace.start('setpriv', [
      ...[`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--bounding-set=-all', '--inh-caps=-all'],
      ...['--no-new-privs', node26, '--experimental-ffi', '--disable-warning=ExperimentalWarning'],
      ...[agentBundle, 'tunnel', ifname, '--foreground', '--log-level', 'error'],
      ...['--uapi-dir', sockets, '--tun-device', tun],
    ]);
    return { running, socket: join(sockets, `${ifname}.sock`) };
  };

  const sides: { running: Running; socket: string }[] = [];
  for (const [side, namespace, other] of [
    ['a', na, 'b'],
    ['b', nb, 'a'],
  ] as const) {
    const ifname = lab.interfaceName();
    namespace.ip(`tuntap add dev ${ifname} mode tun user ${uid} group ${uid}`);
    namespace.ip(`addr add ${plan[side].inner4}/24 dev ${ifname}`);
    namespace.ip(`link set ${ifname} mtu 1420 up`);
    const started = start(side, namespace, ifname);
    sides.push(started);
    t.ok(await until(() => existsSync(started.socket) || !started.running.isAlive, 15_000));
    t.ok(started.running.isAlive, started.running.stderr);
    const answer = await uapi(
      started.socket,
      [
        'set=1',
        `private_key=${hexKey(keys[side].privateKey)}`,
        `listen_port=${plan[side].port}`,
        `public_key=${hexKey(keys[other].publicKey)}`,
        `preshared_key=${hexKey(psk)}`,
        `endpoint=${plan[other].outer4}:${plan[other].port}`,
        `allowed_ip=${plan[other].inner4}/32`,
        '',
      ].join('\n'),
    );
    t.equal(answer, 'errno=0\n\n');
  }

  const status = readFileSync(`/proc/${sides[0]!.running.pid}/status`, 'utf8');
  t.match(status, new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, 'm'));
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'])
    t.match(status, new RegExp(`^${set}:\\s+0+$`, 'm'), `${set} is empty`);
  t.match(status, /^NoNewPrivs:\s+1$/m);

  t.equal(na.ping(plan.b.inner4, 3), 3, 'pings through the tunnel');
  t.equal(nb.ping(plan.a.inner4, 3, { bytes: 1300 }), 3);
  const state = await uapi(sides[0]!.socket, 'get=1\n');
  t.match(state, /last_handshake_time_sec=[1-9]/);

  const { running } = start('a', na, 'spnew0');
  t.equal(await running.ended, 1, 'a device of its own');
  t.match(running.stderr, /cannot create interface 'spnew0': EPERM.*ip tuntap add/);
});
