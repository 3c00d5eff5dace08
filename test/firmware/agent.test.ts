// The gateway as an appliance runs it: the bundle, as uid 65534 without capabilities on a TUN made for it, its values from a copy
// of UCI, told apart by a service manager. Core is away, which must not matter. Measured: start to listening, and idle
// memory, which must be below 64 MB once the memory of the start is given back. The start itself takes below 400 ms on a quiet
// machine; a busy one gets three times as long.

import { spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { encodeTable } from '../../src/agent/ubus/blobmsg.ts';
import { loadIdentity, saveEnrolment } from '../../src/agent/control/identity.ts';
import { has, Lab, run, until, whyNoLab } from '../fixtures/lab/netns.ts';
import { agentBundle, node26 } from '../fixtures/lab/tunnels.ts';
import { FakeUbusd, type Frame, frame, text, u32 } from '../fixtures/ubusd.ts';

const uid = 65534;
const skip =
  whyNoLab('setpriv', 'mknod', 'python3', 'curl') ??
  (existsSync(agentBundle) ? false : 'dist/agent.mjs is missing: run npm run build');
t.setTimeout(60_000);

const catcher = `
import socket, sys, os
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1]); os.chmod(sys.argv[1], 0o666)
print('bound', flush=True)
while True: print(s.recv(4096).decode().replace(chr(10), ' '), flush=True)
`;

t.test('an appliance', { skip }, async t => {
  const lab = new Lab('spapp');
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-appliance-'));
  t.teardown(async () => {
    await lab.close();
    rmSync(dir, { recursive: true });
  });
  chmodSync(dir, 0o711);
  const [state, runDir] = [join(dir, 'state'), join(dir, 'run')];
  mkdirSync(state, { mode: 0o700 });
  mkdirSync(runDir, { mode: 0o700 });
  await loadIdentity(state, false, () => undefined);
  await saveEnrolment(state, 'http://127.0.0.1:1', {
    agentId: 'agt_1',
    location: 'loc_1',
    coreKeys: [Buffer.alloc(32, 7).toString('base64')],
    config: { location: 'loc_1', name: 'Head office', addresses: ['10.77.0.1/24'], mtu: 1420, keepalive: 25 },
  });
  const tun = join(dir, 'tun');
  run('mknod', [tun, 'c', '10', '200']);
  chmodSync(tun, 0o666);
  const ifname = lab.interfaceName();
  const uci = (port: number): void =>
    writeFileSync(
      join(runDir, 'config'),
      `config gateway 'main'
	option enabled '1'
	option core_url 'http://127.0.0.1:1'
	option ifname '${ifname}'
	option listen_port '${port}'
	option tun_device '${tun}'
	option state_dir '${state}'
	option run_dir '${runDir}'
	option uapi_dir '${runDir}'
	option configure_link '0'
	option join_token_file '/nowhere'
	list addresses '10.77.0.1/24'
`,
    );
  uci(51900);
  for (const path of [state, runDir]) {
    chownSync(path, uid, uid);
    for (const file of readdirSync(path)) chownSync(join(path, file), uid, uid);
  }

  const socket = join(dir, 'notify');
  const python = spawn('python3', ['-c', catcher, socket], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => python.kill());
  const said: string[] = [];
  createInterface({ input: python.stdout }).on('line', line => said.push(line));
  t.ok(await until(() => said.includes('bound'), 10_000));

  // The bus: `ip netns exec` gives the agent mounts of its own, so /run can be another one for it alone.
  const daemon = await FakeUbusd.listen(join(dir, 'ubus.sock'));
  t.teardown(() => daemon.close());
  chmodSync(join(dir, 'ubus.sock'), 0o666);
  const bus = `mount -t tmpfs none /run && mkdir /run/ubus && ln -s ${dir}/ubus.sock /run/ubus/ubus.sock && exec "$@"`;

  const space = lab.namespace('a');
  space.ip(`tuntap add dev ${ifname} mode tun user ${uid} group ${uid}`);
  space.ip(`link set ${ifname} up`);
  const started = performance.now();
  const agent = space.start(
    'sh',
    [
      ...['-c', bus, 'sh', 'setpriv'],
      ...[`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--bounding-set=-all', '--inh-caps=-all'],
      ...['--no-new-privs', node26, '--experimental-ffi', '--disable-warning=ExperimentalWarning'],
      ...['--max-old-space-size=64', agentBundle, 'agent', '--uci', join(runDir, 'config'), '--section', 'main'],
    ],
    { env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '2000000' } },
  );
  const ready = await until(() => !agent.isAlive || said.some(line => line.startsWith('READY=1')), 20_000, 5);
  const startMs = performance.now() - started;
  t.ok(ready && agent.isAlive, agent.stderr);
  t.comment(`start to ready: ${startMs.toFixed(0)} ms (limit 400)`);

  t.ok(await until(() => said.includes('WATCHDOG=1'), 5000), 'the watchdog is fed');
  const ports = (): string => space.run('ss', ['-Hlun']).stdout;
  t.match(ports(), /:51900\b/);

  const fetched = (path: string): string => space.run('curl', ['-s', `http://127.0.0.1:9586${path}`]).stdout;
  t.match(fetched('/healthz'), /"ok":true/);
  t.match(fetched('/readyz'), /"ok":true/, 'ready with Core away');
  const metrics = fetched('/metrics');
  t.match(metrics, /^sallyport_core_connected 0$/m);
  if (has('promtool')) {
    const { status, stdout, stderr } = run('promtool', ['check', 'metrics'], { input: metrics });
    t.equal(status, 0, stdout + stderr);
    t.equal(stdout + stderr, '', 'promtool has nothing to say');
  } else t.test('promtool', { skip: 'promtool is not installed (prometheus)' }, async () => undefined);

  const status = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))![1]);
  const idle = await until(() => status('VmRSS') < 64 * 1024, 10_000);
  t.ok(idle, `idle: VmRSS ${status('VmRSS')} kB, of which files ${status('RssFile')} kB, at its highest ${status('VmHWM')} kB`);

  t.ok(await until(() => daemon.registered !== null, 5000), 'registered on the bus');
  t.equal(daemon.registered?.path, 'sallyport');
  const call = async (method: string, data = Buffer.alloc(0)): Promise<Frame> => {
    daemon.send(frame(5, 9, 0xcafe, [[3, u32(0x77)], [4, text(method)], [7, data]]));
    return daemon.next();
  };
  const report = await call('status');
  t.match(report.body.get(7)!.toString('latin1'), /location.*Head office/s);
  t.equal((await daemon.next()).body.get(1)!.readUInt32BE(), 0);
  const session = Buffer.from(encodeTable({ session: 'nobody' }));
  t.equal((await call('logout', session)).body.get(1)!.readUInt32BE(), 4, 'no such session');

  uci(51901);
  t.equal((await call('reload')).body.get(1)!.readUInt32BE(), 0);
  t.ok(await until(() => /:51901\b/.test(ports()), 5000), 'a reload takes up what UCI says now');
  t.ok(await until(() => said.some(line => line.includes('configuration reloaded')), 5000));
  t.match(said.find(line => line.startsWith('RELOADING=1')), /MONOTONIC_USEC=[1-9]/);
  uci(70_000);
  agent.child.kill('SIGHUP');
  t.ok(
    await until(() => agent.stderr.includes('the new configuration is not used'), 5000),
    'a wrong value is told and changes nothing',
  );
  t.match(agent.stderr, /gateway 'main': listen_port='?70000|listen_port: expected a whole number/);
  t.match(ports(), /:51901\b/);

  agent.child.kill('SIGTERM');
  t.equal(await agent.ended, 0);
  t.ok(await until(() => said.includes('STOPPING=1'), 2000));
  t.ok(startMs < 1200, `${startMs.toFixed(0)} ms`);
});
