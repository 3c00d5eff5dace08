// The image and rootless podman, all from Debian packages, as an ordinary user made for this test: two containers with nothing
// but NET_ADMIN in their own namespaces, no_new_privs and a read-only root file system build a tunnel through slirp4netns'
// ports and ping through it. No image is pulled. Takes half a minute, most of it copying the image.

import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { fromBase64, toHex } from '../../src/util/bytes.ts';
import { has, run, type Result, until } from '../fixtures/lab/netns.ts';
import { agentBundle, newKeys } from '../fixtures/lab/tunnels.ts';

const folder = new URL('../../firmware/container/', import.meta.url).pathname;
const user = `spc${process.pid}`;
const programs = ['podman', 'buildah', 'runc', 'slirp4netns', 'newuidmap', 'useradd', 'apt-get', 'nsenter', 'ping', 'wg'];

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'needs root to make an ordinary user with subordinate ids';
  const missing = programs.find(program => !has(program));
  if (missing !== undefined) return `${missing} is not installed`;
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is missing';
  return existsSync(agentBundle) ? false : 'dist/agent.mjs is missing: run npm run build';
}
t.setTimeout(240_000);
const skip = whyNot();

const hex = (base64: string): string => toHex(fromBase64(base64)!);

function uapi(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(path, () => socket.end(`${text}\n`));
    socket.setEncoding('utf8').on('data', chunk => (answer += chunk));
    socket.on('error', reject).on('close', () => resolve(answer));
  });
}

t.test('rootless', { skip, timeout: 240_000 }, async t => {
  /** This machine cannot do it: said, not silent. */
  const leave = (why: string): void => void t.test(why, { skip: why }, async () => undefined);
  // Where no udev runs only root may open the device; slirp4netns opens it as the user.
  const tunMode = statSync('/dev/net/tun').mode & 0o777;
  if ((tunMode & 0o006) !== 0o006) {
    chmodSync('/dev/net/tun', 0o666);
    t.teardown(() => chmodSync('/dev/net/tun', tunMode));
  }
  const dir = mkdtempSync('/tmp/spc-');
  chmodSync(dir, 0o711);
  const home = join(dir, 'home');
  t.equal(run('useradd', ['--create-home', '--home-dir', home, user]).status, 0);
  if (!readFileSync('/etc/subuid', 'utf8').includes(`${user}:`))
    run('usermod', ['--add-subuids', '700000-765535', '--add-subgids', '700000-765535', user]);
  const runtime = join(dir, 'r'); // short: slirp4netns' socket below it must fit 108 bytes
  mkdirSync(runtime, { mode: 0o700 });
  const { uid, gid } = (([uid, gid]) => ({ uid: Number(uid), gid: Number(gid) }))(
    run('sh', ['-c', `id -u ${user}; id -g ${user}`]).stdout.split('\n'),
  );
  chownSync(runtime, uid, gid);

  const as = (command: string, args: readonly string[], timeoutMs = 60_000): Result =>
    run('runuser', ['-u', user, '--', 'env', '-C', home, `HOME=${home}`, `XDG_RUNTIME_DIR=${runtime}`, command, ...args], {
      timeoutMs,
    });
  const podman = (...args: string[]): Result => as('podman', ['--cgroup-manager=cgroupfs', '--runtime=runc', ...args]);
  t.teardown(() => {
    podman('rm', '--all', '--force', '--time', '1');
    podman('unshare', 'rm', '-rf', join(home, '.local'));
    for (const pid of run('pgrep', ['-u', `${uid}`]).stdout.split('\n').filter(Boolean)) process.kill(Number(pid));
    run('userdel', ['--remove', user]);
    rmSync(dir, { recursive: true, force: true });
  });

  const context = join(dir, 'context');
  const laid = run(join(folder, 'build.sh'), ['--context', context], { timeoutMs: 120_000 });
  if (laid.status !== 0) return leave(`the packages of the image cannot be downloaded: ${laid.stderr.trim()}`);
  for (const program of ['bin/sh', 'usr/bin/sh', 'bin/busybox', 'usr/bin/env'])
    t.notOk(existsSync(join(context, 'rootfs', program)), `no ${program}`);

  const built = as('buildah', [
    ...['--storage-driver=vfs', 'bud', '--format=docker', '--isolation=chroot', '--tag=sallyport', context],
  ]);
  if (built.status !== 0) return leave(`buildah does not work here: ${built.stderr.trim().split('\n').at(-1)}`);

  const [image] = JSON.parse(podman('image', 'inspect', 'sallyport').stdout) as [
    {
      Config: { User: string; Labels: Record<string, string>; StopSignal: string };
      Healthcheck: { Test: string[] };
    },
  ];
  const { Config, Healthcheck } = image;
  t.equal(Config.User, '10001:10001');
  t.equal(Config.StopSignal, 'SIGTERM');
  t.same(Healthcheck.Test, ['CMD', '/usr/bin/node', '/app/agent.mjs', 'health']);
  t.equal(Config.Labels['org.opencontainers.image.licenses'], 'Apache-2.0');

  const probe = podman('run', '--rm', '--no-healthcheck', '--network=none', 'sallyport', 'genkey');
  if (probe.status !== 0) return leave(`podman does not work here: ${probe.stderr.trim().split('\n').at(-1)}`);
  t.match(probe.stdout, /^[A-Za-z0-9+/]{43}=\n$/);

  // The machine's own node may be root's alone.
  const tun = join(dir, 'tun');
  run('mknod', [tun, 'c', '10', '200']);
  chmodSync(tun, 0o666);
  const port = 40_000 + (process.pid % 20_000);
  const start = (name: string, ...network: string[]): void => {
    const { status, stderr } = podman(
      ...['run', '--detach', '--name', name, '--no-healthcheck', '--device', `${tun}:/dev/net/tun`],
      ...['--cap-drop=ALL', '--cap-add=NET_ADMIN', '--security-opt=no-new-privileges', '--read-only', ...network],
      ...['sallyport', 'tunnel', 'wg0', '--foreground', '--uapi-dir', '/tmp/sallyport', '--log-level', 'error'],
    );
    t.equal(status, 0, stderr);
  };
  // The peer comes from this machine's loopback, so the answer has to be let out to it; a real client's address needs no such leave.
  start('a', '--network=slirp4netns:port_handler=slirp4netns,allow_host_loopback=true', `--publish=127.0.0.1:${port}:51820/udp`);
  start('b', '--network=slirp4netns:allow_host_loopback=true');

  const keys = { a: newKeys(), b: newKeys() };
  const psk = newKeys().privateKey;
  const pids: Record<string, string> = {};
  for (const [name, inner, other, endpoint] of [
    ['a', '10.79.0.1', 'b', null],
    ['b', '10.79.0.2', 'a', `10.0.2.2:${port}`], // slirp4netns: the host's loopback
  ] as const) {
    const pid = podman('inspect', name, '--format={{.State.Pid}}').stdout.trim();
    pids[name] = pid;
    const socket = `/proc/${pid}/root/tmp/sallyport/wg0.sock`;
    t.ok(await until(() => existsSync(socket), 20_000), podman('logs', name).stderr);
    const answer = await uapi(
      socket,
      [
        ...['set=1', `private_key=${hex(keys[name].privateKey)}`, 'listen_port=51820'],
        ...[`public_key=${hex(keys[other].publicKey)}`, `preshared_key=${hex(psk)}`, 'allowed_ip=10.79.0.0/24'],
        ...(endpoint === null ? [] : [`endpoint=${endpoint}`]),
        '',
      ].join('\n'),
    );
    t.equal(answer, 'errno=0\n\n');
    for (const line of [`addr add ${inner}/24 dev wg0`, 'link set wg0 mtu 1420 up']) {
      const done = podman('unshare', 'nsenter', '-t', pid, '-n', 'ip', ...line.split(' '));
      t.equal(done.status, 0, done.stderr);
    }
  }

  const status = readFileSync(`/proc/${pids['a']}/status`, 'utf8');
  t.match(status, /^CapEff:\s+0000000000001000$/m, 'NET_ADMIN and nothing else');
  t.match(status, /^CapBnd:\s+0000000000001000$/m);
  t.match(status, /^NoNewPrivs:\s+1$/m);
  t.notMatch(status, /^Uid:\s+0\s/m);

  const pinged = podman('unshare', 'nsenter', '-t', pids['b']!, '-n', 'ping', '-nqc3', '-i0.2', '-W3', '10.79.0.1');
  t.match(pinged.stdout, /3 received/, 'pings through the tunnel');
  const shown = podman('exec', 'a', '/usr/bin/node', '/app/agent.mjs', 'doctor', '--json');
  t.match(shown.stdout, /"findings"/, 'doctor runs inside');
  t.equal(podman('stop', '--time', '5', 'b').status, 0);
  t.equal(podman('inspect', 'b', '--format={{.State.ExitCode}}').stdout.trim(), '0', 'TERM ends it in good order');
});
