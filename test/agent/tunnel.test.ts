import t from 'tap';
import { execFile } from 'node:child_process';
import { existsSync, openSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createLog } from '../../src/control/log.ts';
import {
  checkIfname,
  openTunnel,
  parseTunnelArguments,
  run,
  type TunnelHost,
} from '../../src/agent/tunnel.ts';
import { readDevice } from '../../src/agent/uapi/client.ts';
import { FakeDataplane } from '../fixtures/fakes/fakedataplane.ts';
import { shortDirectory } from '../fixtures/system/directory.ts';

const log = createLog({ level: 'silent' });
const script = fileURLToPath(new URL('../fixtures/lab/tunnelprocess.ts', import.meta.url));

t.test('arguments and environment of wireguard-go', async t => {
  t.strictSame(parseTunnelArguments(['wg0'], {}), {
    ifname: 'wg0',
    foreground: false,
    logLevel: 'error',
    keepOutput: false,
  });
  t.match(parseTunnelArguments(['wg0'], { SALLYPORT_THREADS: '2' }), { threads: 2 });
  t.throws(() => parseTunnelArguments(['wg0'], { SALLYPORT_THREADS: '3' }), {
    message: "SALLYPORT_THREADS='3': expected 1 or 2",
  });
  t.match(parseTunnelArguments(['-f', 'wg0'], { LOG_LEVEL: 'verbose' }), {
    foreground: true,
    logLevel: 'debug',
    keepOutput: true,
  });
  t.match(parseTunnelArguments(['wg0', '--foreground', '--log-level', 'info'], { LOG_LEVEL: 'silent' }), {
    foreground: true,
    logLevel: 'info',
  });
  t.match(parseTunnelArguments(['wg0'], { WG_PROCESS_FOREGROUND: '1', WG_TUN_FD: '5', WG_UAPI_FD: '6' }), {
    foreground: true,
    tunFd: 5,
    uapiFd: 6,
  });
  t.match(parseTunnelArguments(['wg0'], { LOG_LEVEL: 'nonsense' }), { logLevel: 'error' });
  const launched = { SALLYPORT_FFI: 'inherited-fd', WG_TUN_FD: '3', WG_TUN_PID: '7' };
  t.match(parseTunnelArguments(['wg0'], launched), { ffi: 'inherited-fd', tunFd: 3, tunOwner: 7 });
});

t.test('bad arguments: one line, exit status 2', async t => {
  const bad = (args: string[], environment: Record<string, string>, message: RegExp): void => {
    t.throws(() => parseTunnelArguments(args, environment), { exit: 2, message });
  };
  bad([], {}, /interface name is missing/);
  bad(['a', 'b'], {}, /second interface name 'b'/);
  bad(['--what', 'a'], {}, /unknown option '--what'/);
  bad(['a', '--log-level'], {}, /expected one of verbose/);
  bad(['a', '--log-level', 'loud'], {}, /--log-level loud/);
  bad(['a'], { WG_TUN_FD: '-3' }, /WG_TUN_FD='-3'/);
  bad(['a'], { SALLYPORT_FFI: 'ctypes' }, /SALLYPORT_FFI='ctypes': expected auto or one of .*inherited-fd/);
  for (const name of ['', 'a/b', 'a b', '.', '..', 'a:1', 'sixteencharacter', 'ünderächtig-ein'])
    t.throws(() => checkIfname(name), { code: 'ifname' }, name);
  checkIfname('fifteencharacte');
});

t.test('a tunnel is a data plane with a socket', async t => {
  const dataplane = new FakeDataplane('wg5');
  const lines: string[] = [];
  const where = shortDirectory(t);
  const tunnel = await openTunnel({
    ifname: 'wg%d',
    start: async () => dataplane,
    uapiDirectory: where,
    log: createLog({
      level: 'info',
      write: line => lines.push(line),
      environment: { SALLYPORT_LOG_TIME: '0' },
    }),
  });
  t.equal(tunnel.ifname, 'wg5', 'the name the kernel chose');
  t.equal((await readDevice('wg5', where)).listenPort, 0);
  dataplane.emit({ ev: 'log', level: 'info', message: 'hello' });
  dataplane.emit({ ev: 'log', level: 'debug', message: 'too quiet' });
  dataplane.emit({ ev: 'fatal', message: 'broken' });
  t.strictSame(lines, ['info: hello\n', 'error: broken\n']);
  await tunnel.close('enough');
  t.equal(await tunnel.ended, 'enough');
  t.notOk(existsSync(join(where, 'wg5.sock')));
  t.ok(dataplane.stopped);
});

t.test('L6 the TUN disappears, the socket disappears', async t => {
  for (const [what, why] of [
    [(dataplane: FakeDataplane) => dataplane.die(), /TUN device is gone/],
    [(_: FakeDataplane, where: string) => unlinkSync(join(where, 'wg5.sock')), /was removed/],
  ] as const) {
    const where = shortDirectory(t);
    const dataplane = new FakeDataplane('wg5');
    const tunnel = await openTunnel({
      ifname: 'wg5',
      start: async () => dataplane,
      uapiDirectory: where,
      log,
    });
    what(dataplane, where);
    t.match(await tunnel.ended, why);
  }
});

t.test('no socket, no tunnel', async t => {
  const where = shortDirectory(t);
  const dataplane = new FakeDataplane('wg5');
  const first = await openTunnel({ ifname: 'wg5', start: async () => dataplane, uapiDirectory: where, log });
  const second = new FakeDataplane('wg5');
  await t.rejects(openTunnel({ ifname: 'wg5', start: async () => second, uapiDirectory: where, log }), {
    code: 'uapi-in-use',
  });
  t.equal(second.stopped, 1, 'what was started is stopped');
  await first.close();
});

t.test('foreground: ready, then until a signal', async t => {
  const where = shortDirectory(t);
  const sent: unknown[] = [];
  const host: TunnelHost = {
    environment: {},
    start: async options => new FakeDataplane(options.ifname),
    uapiDirectory: where,
    self: ['/bin/false'],
    parent: { send: message => void sent.push(message) },
  };
  const running = run(['wg5', '-f'], host);
  while (sent.length === 0) await new Promise(resolve => setImmediate(resolve));
  t.strictSame(sent, [{ ready: 'wg5' }]);
  process.emit('SIGTERM', 'SIGTERM');
  t.equal(await running, 0);
  t.notOk(existsSync(join(where, 'wg5.sock')));
  const failing = { ...host, start: () => Promise.reject(new Error('no TUN')) };
  await t.rejects(run(['wg5', '-f'], failing), { message: 'no TUN' });
  t.strictSame(sent[1], { failed: 'no TUN', exit: 1 });
});

function start(where: string, ...args: string[]): Promise<{ code: number; stderr: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [script, where, 'tunnel', ...args], (error, _out, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stderr });
    });
  });
}

t.test('background: returns when the socket answers', async t => {
  const where = shortDirectory(t);
  t.strictSame(await start(where, 'wg6'), { code: 0, stderr: '' });
  const { listenPort: pid } = await readDevice('wg6', where);
  t.ok(pid > 1 && pid !== process.pid);
  const gone = join(where, 'wg6.sock');
  unlinkSync(gone); // and the daemon ends by itself
  const alive = (): boolean => {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  };
  for (let i = 0; i < 200 && alive(); i++) await new Promise(resolve => setTimeout(resolve, 10));
  t.notOk(alive());
});

t.test('background: what fails there is told here', async t => {
  const where = shortDirectory(t);
  t.match(await start(where, 'bad0'), { code: 1, stderr: /no TUN today/ });
  t.match(await start(where, 'dead0'), { code: 1, stderr: /ended before it was ready/ });
});

t.test('background: descriptors are handed on', async t => {
  const where = shortDirectory(t);
  const fd = openSync('/dev/null', 'r');
  const host: TunnelHost = {
    environment: { ...process.env, WG_TUN_FD: `${fd}` },
    self: [process.execPath, script, where],
    parent: null,
  };
  t.equal(await run(['wg6'], host), 0);
  t.equal((await readDevice('wg6', where)).listenPort, 4, 'behind the pipe to the parent');
  unlinkSync(join(where, 'wg6.sock'));
});

t.test('paths for users who may not touch the usual ones', async t => {
  t.match(parseTunnelArguments(['wg0', '--uapi-dir', '/tmp/s', '--tun-device', '/tmp/tun'], {}), {
    ifname: 'wg0',
    uapiDirectory: '/tmp/s',
    tunDevice: '/tmp/tun',
  });
  for (const args of [
    ['wg0', '--uapi-dir'],
    ['wg0', '--tun-device', 'tun'],
  ])
    t.throws(() => parseTunnelArguments(args, {}), { message: /expected an absolute path/ });
});
