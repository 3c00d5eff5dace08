import t from 'tap';
import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  type DoctorIo,
  probeConfiguration,
  probeCore,
  probeDirectory,
  probeInherited,
  probeRuntime,
  run,
} from '../../../src/agent/health/doctor.ts';
import type { Finding } from '../../../src/platform/doctor.ts';

function fakeIo(
  findings: Finding[],
  environment = { SALLYPORT_CONFIG: '/nonexistent' },
): DoctorIo & { stdout: string } {
  return {
    stdout: '',
    environment,
    machine: async () => findings,
    out(text) {
      this.stdout += text;
    },
  };
}

const good: Finding = { name: 'tun', ok: true, detail: 'fine', repair: '' };
const hint: Finding = { name: 'udp', ok: true, detail: 'slow', repair: 'do something' };
const bad: Finding = { name: 'ffi', ok: false, detail: 'none', repair: 'install it' };

t.test('lines and exit status', async t => {
  const io = fakeIo([good, hint]);
  t.equal(await run([], io), 0);
  t.match(io.stdout, /^ok {3}runtime +Node .*\nok {3}tun +fine\nhint udp +slow; do something\nok {3}config/);
  const failing = fakeIo([good, bad]);
  t.equal(await run([], failing), 1);
  t.match(failing.stdout, /\nFAIL ffi +none; install it\n/);
  const json = fakeIo([bad]);
  t.equal(await run(['--json'], json), 1);
  t.match(JSON.parse(json.stdout), { ok: false, findings: [{ name: 'runtime' }, bad, { name: 'config' }] });
  await t.rejects(run(['--xml'], json), { exit: 2, message: /unexpected '--xml'/ });
});

t.test('a configuration by name', async t => {
  const io = fakeIo([good]);
  t.equal(await run(['--config', '/nonexistent/agent.toml', '--json'], io), 1);
  t.match(JSON.parse(io.stdout), {
    findings: [{}, {}, { name: 'config', ok: false, detail: /cannot be read/ }],
  });
  await t.rejects(run(['--config'], io), { message: /unexpected '--config'/ });
});

t.test('without FFI', async t => {
  t.match(await probeInherited({}, 'no way to call libc'), {
    name: 'ffi',
    ok: false,
    detail: 'no way to call libc',
    repair: /start through firmware\/launcher/,
  });
  t.match(await probeInherited({ WG_TUN_FD: '0' }, 'none'), {
    ok: false,
    detail: /descriptor 0 .* is no TUN/,
  });
});

t.test('runtimes', async t => {
  t.match(probeRuntime({ node: '26.1.0' }), { ok: true, detail: /^Node 26\.1\.0/ });
  t.match(probeRuntime({ node: '18.1.0' }), { ok: false, repair: /install Node/ });
  t.match(probeRuntime({ node: '20.0.0', deno: '2.1.0' }), { ok: true, detail: /^Deno 2/ });
  t.match(probeRuntime({ deno: '1.9.0' }), { ok: false });
  t.match(probeRuntime({}), { ok: false });
});

t.test('configuration', async t => {
  const directory = t.testdir({ 'bad.toml': 'x = 1', 'good.toml': '' });
  t.match(await probeConfiguration({ SALLYPORT_CONFIG: join(directory, 'bad.toml') }), [
    { name: 'config', ok: false, detail: /unknown option/ },
  ]);
  const environment = {
    SALLYPORT_CONFIG: join(directory, 'good.toml'),
    SALLYPORT_CORE_URL: 'http://127.0.0.1:1',
    SALLYPORT_STATE_DIR: join(directory, 'state'),
    SALLYPORT_UAPI_DIR: '/nonexistent/uapi',
  };
  t.match(await probeConfiguration(environment), [
    { name: 'config', ok: true },
    { name: 'state', ok: true, detail: /will be created/ },
    { name: 'uapi', ok: false, repair: /create \/nonexistent\/uapi/ },
    { name: 'core', ok: false, detail: /ECONNREFUSED/ },
  ]);
});

t.test('directories', async t => {
  const directory = t.testdir();
  chmodSync(directory, 0o755);
  t.match(probeDirectory('state', directory, true), { ok: true, repair: /chmod 700/ });
  t.match(probeDirectory('uapi', directory, false), { ok: true, repair: '' });
});

t.test('the way to Core', async t => {
  const server = createServer(socket => socket.destroy());
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.match(await probeCore(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), { ok: true });
  server.close();
  t.match(await probeCore('http://127.0.0.1:1'), { ok: false, repair: /live sessions go on without Core/ });
});
