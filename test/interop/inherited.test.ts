// The route without FFI, against wireguard-go: a launcher opens the TUN, an ordinary user runs the bundle where neither node:ffi
// nor koffi can be found, and everything a tunnel does works: handshakes with a pre-shared key, both families inside, bulk
// traffic, a clean end. With the launcher we ship (the descriptor signals) and with the plainest there is (it blocks).

import {
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  chmodSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Lab, run, until, whyNoLab, type Running } from '../fixtures/lab/netns.ts';
import {
  agentBundle,
  newKeys,
  node26,
  plan,
  Tunnel,
  whyNoPeers,
  wireguardGo,
} from '../fixtures/lab/tunnels.ts';
import { hexKey, uapi } from '../fixtures/uapi.ts';

const skip = whyNoLab('perl', 'setpriv') ?? whyNoPeers() ?? false;
t.setTimeout(300_000);
const uid = 65534;
const transfer = new URL('../fixtures/lab/transfer.ts', import.meta.url).pathname;
const launcher = new URL('../../firmware/launcher/tun-launch', import.meta.url).pathname;
/** TUNSETIFF and nothing else, then another user by another program. */
const plainest = [
  'perl',
  '-e',
  `$^F = 255; open($f, '+<', '/dev/net/tun') or die $!;
  $r = pack('a16 S x22', shift, 0x1001); ioctl($f, 0x400454ca, $r) or die $!;
  $ENV{WG_TUN_FD} = fileno($f); exec @ARGV or die $!;`,
];

const hostNode = '/usr/bin/node';
const nodes = [
  { name: 'Node of the lock file', command: [node26, '--no-experimental-ffi'], missing: false },
  {
    name: 'Node of the host',
    command: [hostNode],
    missing: !existsSync(hostNode) && 'the host has no Node of its own',
  },
] as const;

/** The bundle where no node_modules is above it, and a directory for its socket. */
function place(): { dir: string; bundle: string } {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-fd-'));
  chmodSync(dir, 0o711);
  const bundle = join(dir, 'agent.mjs');
  copyFileSync(agentBundle, bundle);
  mkdirSync(join(dir, 'run'));
  chownSync(join(dir, 'run'), uid, uid);
  return { dir, bundle };
}

for (const { name, command, missing } of nodes)
  for (const kind of ['signals', 'blocks'] as const)
    t.test(`${name}, a descriptor that ${kind}`, { skip: skip || missing }, async t => {
      const lab = new Lab('itf-');
      const { dir, bundle } = place();
      t.teardown(async () => {
        await lab.close();
        rmSync(dir, { recursive: true });
      });
      const [na, nb] = [lab.namespace('a'), lab.namespace('b')];
      lab.cable(
        na,
        nb,
        [`${plan.a.outer4}/24`, `${plan.a.outer6}/64`],
        [`${plan.b.outer4}/24`, `${plan.b.outer6}/64`],
      );
      const [psk, keys] = [newKeys().privateKey, newKeys()];
      const b = await Tunnel.start(lab, wireguardGo(), nb, plan.b.port);
      b.peer(keys.publicKey, ['allowed-ips', `${plan.a.inner4}/32,${plan.a.inner6}/128`], psk);
      b.up([`${plan.b.inner4}/24`, `${plan.b.inner6}/64`]);

      const ifname = lab.interfaceName();
      const node = [...command, bundle, 'tunnel', '--foreground', '--log-level', 'info'];
      const socket = join(dir, 'run', `${ifname}.sock`);
      const role = [...node, '--uapi-dir', join(dir, 'run'), ifname];
      const asUser = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--bounding-set=-all'];
      const [program, ...args] =
        kind === 'signals'
          ? [launcher, '-u', `${uid}:${uid}`, ifname, ...role]
          : [...plainest, ifname, 'setpriv', ...asUser, '--no-new-privs', ...role];
      const a: Running = na.start(program!, args);
      t.ok(await until(() => existsSync(socket) || !a.isAlive, 15_000), 'it starts');
      t.ok(a.isAlive, a.stderr);
      t.ok(
        await until(() => a.stderr.includes('no FFI'), 5000),
        'the route was chosen without being asked for',
      );
      t.notMatch(readFileSync(`/proc/${a.pid}/maps`, 'utf8'), /koffi|ffi\.node/);
      const status = readFileSync(`/proc/${a.pid}/status`, 'utf8');
      t.match(status, new RegExp(`^Uid:\\s+${uid}\\s+${uid}\\s+${uid}\\s+${uid}$`, 'm'));
      t.match(status, /^CapEff:\s+0+$/m);

      const set = [
        ...['set=1', `private_key=${hexKey(keys.privateKey)}`, `listen_port=${plan.a.port}`],
        ...[`public_key=${hexKey(b.keys.publicKey)}`, `preshared_key=${hexKey(psk)}`],
        `endpoint=${plan.b.outer4}:${plan.b.port}`,
        ...[`allowed_ip=${plan.b.inner4}/32`, `allowed_ip=${plan.b.inner6}/128`],
      ];
      t.equal(await uapi(socket, `${set.join('\n')}\n`), 'errno=0\n\n');
      t.match(await uapi(socket, 'set=1\nfwmark=5\n'), /^errno=-?[1-9]/, 'no marks without FFI');
      t.ok(await until(() => /fwmark 5 is refused/.test(a.stderr), 5000), 'and it says why');
      na.ip(`addr add ${plan.a.inner4}/24 dev ${ifname}`);
      na.ip(`addr add ${plan.a.inner6}/64 dev ${ifname} nodad`);
      na.ip(`link set ${ifname} mtu 1400 up`);
      t.ok(await until(async () => /\blisten_port=[1-9]/.test(await uapi(socket, 'get=1\n')), 5000));

      t.equal(na.ping(plan.b.inner4, 5), 5, 'ping');
      t.equal(na.ping(plan.b.inner6, 5), 5, 'ping, IPv6 inside');
      t.equal(nb.ping(plan.a.inner4, 5, { bytes: 1300 }), 5, 'ping back');
      t.equal(nb.ping(plan.a.inner6, 5), 5, 'ping back, IPv6 inside');
      t.match(await uapi(socket, 'get=1\n'), /last_handshake_time_sec=[1-9]/);
      for (const [from, to, address] of [
        [na, nb, plan.b.inner4],
        [nb, na, plan.a.inner6],
      ] as const) {
        const server = to.start(node26, [transfer, 'serve', address, '5099']);
        t.ok(await until(() => server.stdout.includes('listening'), 10_000));
        const sender = from.start(node26, [transfer, 'send', address, '5099', '5000000', '9']);
        t.equal(await sender.ended, 0, `5 MB: ${sender.stdout.trim()}${sender.stderr.trim()}`);
      }

      a.child.kill('SIGTERM');
      const code = await a.ended;
      // A thread that waits in read(2) cannot be left behind: then TERM itself is the end.
      if (kind === 'signals') t.equal(code, 0, a.stderr);
      else t.equal(a.child.signalCode, 'SIGTERM', a.stderr);
      t.equal(existsSync(socket), false, 'its socket is gone');
      t.ok(await until(() => na.run('ip', ['link', 'show', ifname]).status !== 0, 5000), 'and the interface');
    });

t.test('neither FFI nor a descriptor: one line that says what to do', { skip }, async t => {
  const { dir, bundle } = place();
  t.teardown(() => rmSync(dir, { recursive: true }));
  const bare = [bundle, 'tunnel', '--foreground', 'itf0'];
  const none = run(node26, ['--no-experimental-ffi', ...bare]);
  t.equal(none.status, 1);
  t.match(none.stderr, /^sallyport tunnel: no way to call libc .*WG_TUN_FD.*\n$/);
  const forced = run(node26, bare, { env: { SALLYPORT_FFI: 'inherited-fd' } });
  t.equal(forced.status, 2);
  t.match(forced.stderr, /WG_TUN_FD is not set: start through firmware\/launcher/);
  const wrong = run(node26, bare, { env: { SALLYPORT_FFI: 'inherited-fd', WG_TUN_FD: '0' } });
  t.match(wrong.stderr, /file descriptor 0 \(WG_TUN_FD\) is no TUN with a name/);
});
