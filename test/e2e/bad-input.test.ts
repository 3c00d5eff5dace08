// Bad input, from outside: wrong arguments, configurations and tokens end with status 2 and one line on
// standard error that names the thing; wrong requests get 4xx with {"error": {"code", "message"}}; and a server that was fed
// with rubbish still serves.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { run, until } from '../../scripts/lib/world.ts';
import { program } from '../fixtures/system/house.ts';

// The tests run real programs in a real network, on whatever machine this is.
t.setTimeout(240_000);

const dir = mkdtempSync(join(tmpdir(), 'se-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(dir, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const sallyport = (args: string[], stdin = '') =>
  run([process.execPath, program, ...args], { stdin, timeoutMs: 60_000 });
const data = ['--data', join(dir, 'data')];
const state = ['--state', join(dir, 'state')];

/** [arguments, what the line must name, standard input] */
const wrong: [string[], RegExp, string?][] = [
  [['dance'], /'dance'/],
  [['core', '--nonsense'], /--nonsense/],
  [['core', '--proxy-token', 'abc'], /--proxy-token-file/],
  [['core', '--config', join(dir, 'none.toml')], /none\.toml/],
  [['core', '--config', file('broken.toml', 'data = [')], /broken\.toml/],
  [['core', '--config', file('unknown.toml', 'dta = "x"\n')], /"dta"/],
  [['core', ...data, '--agents-listen', 'nowhere'], /agents-listen/],
  [['core', ...data, '--agents-listen', '192.0.2.1:1'], /TLS/],
  [['core', ...data, 'sing'], /sing/],
  [['core', ...data, 'user', 'add'], /user add NAME/],
  [['core', ...data, 'location', 'add', 'x'], /--network/],
  [['core', ...data, 'location', 'add', 'x', '--network', '10.0.0.300/24'], /network/],
  [
    ['core', ...data, 'apply', file('bad.toml', '[[location]]\nname = "x"\nnetwrk = "10.0.0.0/24"\n')],
    /netwrk/,
  ],
  [['proxy'], /core-token-file/],
  [['proxy', '--listen', 'x', '--core-token-file', file('t', 'a'.repeat(20))], /listen/],
  [['proxy', '--core-token-file', join(dir, 't'), '--tls-cert', 'x'], /tls-key/],
  [['agent', '--join-token', 'spj_x'], /SALLYPORT_JOIN_TOKEN_FILE/],
  [['agent', '--config', file('agent.toml', 'ifnam = "wg0"\n')], /agent\.toml:1.*ifname/],
  [['agent', '--min-stale', 'soon'], /min-stale/],
  [['tunnel', 'a/b'], /'a\/b'/],
  [['enrol', ...state, '--proxy', 'http://vpn.example', '--token-file', join(dir, 't')], /in clear/],
  [['enrol', ...state, '--proxy', 'https://vpn.example', '--token-file', join(dir, 't')], /enrolment token/],
  [['enrol', ...state, '--proxy', 'https://vpn.example'], /enrolment token/, 'spe_short\n'],
  [['login', ...state, '--code', '123456'], /--code/],
  [['up', ...state], /no enrolled device/],
];

t.test('status 2, one line, and the thing by its name', async t => {
  for (const [args, names, stdin] of wrong) {
    const what = args.map(arg => arg.replace(dir, '')).join(' ');
    const { code, stdout, stderr } = await sallyport(args, stdin);
    t.equal(code, 2, what);
    t.match(stderr, names, what);
    t.match(stderr, /^sallyport[^\n]*: [^\n]+\n$/, `${what}: one line`);
    t.equal(stdout, '', what);
    t.notMatch(stderr, /a{20}|spe_short|spj_x/, `${what}: no secret is quoted`);
  }
});

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map(server => once(server, 'listening')));
  const ports = servers.map(server => (server.address() as AddressInfo).port);
  for (const server of servers) server.close();
  return ports;
}

t.test('rubbish in requests is refused by name and harms nobody', async t => {
  const [web, relay, agents] = await freePorts(3);
  const token = file('proxy-token', 'b'.repeat(32));
  const start = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [program, ...args], { stdio: 'ignore' });
  const proxy = start(
    'proxy',
    ...['--listen', `127.0.0.1:${web}`, '--core-listen', `127.0.0.1:${relay}`, '--core-token-file', token],
  );
  const core = start(
    'core',
    ...[
      ...data,
      '--agents-listen',
      `127.0.0.1:${agents}`,
      '--proxy',
      `ws://127.0.0.1:${relay}`,
      '--proxy-token-file',
      token,
    ],
  );
  t.teardown(() => (proxy.kill('SIGKILL'), core.kill('SIGKILL')));
  const base = `http://127.0.0.1:${web}`;
  const post = async (
    path: string,
    body: string | Buffer,
  ): Promise<{ status: number; code: unknown; message: unknown }> => {
    const response = await fetch(base + path, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
    const { error } = (await response.json()) as { error?: { code: unknown; message: unknown } };
    return { status: response.status, code: error?.code, message: error?.message };
  };
  // Not by asking for a login: every request of a source counts against what it may ask.
  await until('Core behind the Proxy', 30_000, async () => {
    const health = await fetch(`${base}/healthz`).catch(() => null);
    return health !== null && ((await health.json()) as { core: boolean }).core;
  });

  const bodies: [string, string | Buffer][] = [
    ['/api/v1/mfa/start', ''],
    ['/api/v1/mfa/start', '{'],
    ['/api/v1/mfa/start', '[]'],
    ['/api/v1/mfa/start', 'null'],
    ['/api/v1/mfa/start', '{"location":5}'],
    ['/api/v1/mfa/start', Buffer.from([0xff, 0xfe, 0x00])],
    ['/api/v1/mfa/start', `{"location":"${'x'.repeat(10_000)}"}`],
    ['/api/v1/mfa/start', '['.repeat(5000)],
    ['/api/v1/mfa/step', '{"login":"../../etc","method":"totp","response":"1"}'],
    ['/api/v1/mfa/step', '{"login":"l1","method":"totp"}'],
    ['/api/v1/enrol', '{"ticket":"x","devicePublicKey":"","name":"","proof":""}'],
    ['/api/v1/session/logout', '{}'],
    ['/api/v1/session/extend', '{"session":{}}'],
    ['/api/v1/nothing', '{}'],
    ['/api/v1/mfa/start', 'x'.repeat(100_000)],
  ];
  for (const [path, body] of bodies) {
    const what = `${path} ${String(body).slice(0, 30)}`;
    const { status, code, message } = await post(path, body);
    t.ok(status >= 400 && status < 500, `${what}: ${status}`);
    t.match(String(code), /^[a-z][a-z-]+$/, what);
    t.match(String(message), /^[^\n]{5,}$/, what);
  }
  const streams = await Promise.all(
    ['', 'Bearer x', `Bearer sps_${'z'.repeat(32)}`].map(async authorization => {
      const response = await fetch(`${base}/api/v1/session`, {
        headers: authorization ? { authorization } : {},
      });
      await response.body?.cancel();
      return response.status;
    }),
  );
  t.strictSame(streams, [401, 401, 401]);

  await t.test('and a good enrolment still works', async t => {
    t.equal((await sallyport(['core', ...data, 'user', 'add', 'ada'])).code, 0);
    const answer = await sallyport(['core', ...data, '--json', 'device', 'token', 'ada']);
    const { token } = JSON.parse(answer.stdout) as { token: string };
    const enrolled = await sallyport(['enrol', ...state, '--proxy', base, '--json'], token);
    t.match(JSON.parse(enrolled.stdout), { ok: true, user: 'ada' });
    const spent = await sallyport(['enrol', ...state, '--proxy', base, '--again'], token);
    t.equal(spent.code, 1, 'a spent token');
    t.match(spent.stderr, /^sallyport enrol: [^\n]*token is not valid[^\n]*\n$/);
  });
  t.equal(core.exitCode, null);
  t.equal(proxy.exitCode, null);
});
