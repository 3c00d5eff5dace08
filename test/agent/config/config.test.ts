import t from 'tap';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type AgentConfig,
  type ConfigSources,
  fixedChanges,
  loadConfig,
  variableOf,
} from '../../../src/agent/config/config.ts';
import { PlainError } from '../../../src/util/errors.ts';

const core = { SALLYPORT_CORE_URL: 'https://core.example' };
const token = `spj_${'x'.repeat(32)}`;

function load(
  args: string[],
  environment: Record<string, string | undefined> = core,
  toml?: string,
  more: Partial<ConfigSources> = {},
): AgentConfig {
  const file = toml === undefined ? [] : ['--config', 'agent.toml'];
  return loadConfig({
    args: [...file, ...args],
    environment: { ...environment },
    readFile: () => toml!,
    ...more,
  });
}

function complaint(...given: Parameters<typeof load>): string[] {
  try {
    load(...given);
  } catch (error) {
    if (error instanceof PlainError && error.exit === 2) return error.message.split('\n');
    throw error;
  }
  return [];
}

t.test('defaults', async t => {
  t.match(load([]), {
    core_url: 'https://core.example',
    listen_port: 51820,
    ifname: 'wg0',
    state_dir: '/var/lib/sallyport',
    metrics_listen: { host: '127.0.0.1', port: 9586 },
    max_life: 86_400_000,
    min_stale: 180_000,
    name: hostname().slice(0, 100),
    join_token: '',
    file: null,
  });
});

t.test('flag over environment over file over UCI over default', async t => {
  const uci = {
    origin: '/etc/config/sallyport: gateway main',
    values: { listen_port: '1', mtu: '1301', fwmark: '1' },
  };
  const toml = 'listen_port = 2\nmtu = 1302\nranges = ["10.0.0.0/8"]\n';
  const environment = { ...core, SALLYPORT_LISTEN_PORT: '3' };
  t.match(load(['--listen-port', '4'], environment, toml, { uci }), { listen_port: 4, mtu: 1302, fwmark: 1 });
  t.match(load([], environment, toml, { uci }), { listen_port: 3, mtu: 1302, file: 'agent.toml' });
  t.match(load([], core, toml, { uci }), { listen_port: 2, mtu: 1302, ranges: [{ prefix: 8 }] });
  t.match(load([], core, undefined, { uci }), { listen_port: 1, mtu: 1301 });
  t.match(load(['--listen-port=5'], { ...core, SALLYPORT_MTU: '' }), { listen_port: 5, mtu: 0 });
  t.match(load([], { ...core, SALLYPORT_CONFIG: 'agent.toml' }, undefined, { readFile: () => toml }), {
    listen_port: 2,
  });
  t.match(load(['--metrics-listen', 'off', '--ranges', '10.0.0.0/8,fd00::/8']), {
    metrics_listen: null,
    ranges: [{ family: 4 }, { family: 6 }],
  });
});

t.test('every bad value: where, what, expected, what to write; all at once', async t => {
  t.strictSame(
    complaint(
      [],
      core,
      'listen_port = "many"\n\n# more\n  max_life = "100y"\nlisten_prt = 5\n[peer]\nx = 1\n',
    ),
    [
      'agent.toml:5: listen_prt: unknown option; did you mean listen_port?',
      'agent.toml:6: peer: unknown option',
      'agent.toml:1: listen_port = "many": expected a whole number from 0 to 65535; for example 51820',
      'agent.toml:4: max_life = "100y": expected a duration from 1m to 365d; for example "24h"',
    ],
    'file',
  );
  t.strictSame(complaint(['--listen-port', '99999', '--max-lfe', '3', '--mtu', 'x', 'stray', '--ifname']), [
    '--max-lfe: unknown option; did you mean --max-life?',
    "unexpected argument 'stray': expected --config FILE or --OPTION VALUE",
    '--ifname: a value is missing',
    '--listen-port 99999: expected a whole number from 0 to 65535; for example 51820',
    '--mtu x: expected a whole number from 0 to 9000; for example 1420',
  ]);
  t.strictSame(complaint([], { ...core, SALLYPORT_MIN_STALE: 'never', SALLYPORT_LISTENPORT: '1' }), [
    'SALLYPORT_LISTENPORT: unknown variable; did you mean SALLYPORT_LISTEN_PORT?',
    `SALLYPORT_MIN_STALE='never': expected a duration from 1s to 1d; for example "180s"`,
  ]);
  t.strictSame(
    complaint([], { ...core, SALLYPORT_PROXY_URL: 'x', SALLYPORT_ADMIN: 'y' }),
    [],
    'other roles have theirs',
  );
  const uci = { origin: '/etc/config/sallyport: gateway main', values: { mtu: 'big' } };
  t.match(complaint([], core, undefined, { uci }), [
    /^\/etc\/config\/sallyport: gateway main: mtu.*: expected a whole number/,
  ]);
});

t.test('listen-port is listen_port', async t => {
  t.match(load([], core, 'listen-port = 9\nmax_life = "1h"\n'), { listen_port: 9, max_life: 3_600_000 });
  t.match(complaint([], core, 'listen-port = 9\nlisten_port = 9\n'), [
    'agent.toml:2: listen_port: given twice, as listen-port too',
  ]);
  t.match(complaint([], core, '\nlisten-port = "x"\n'), [/^agent\.toml:2: listen-port = "x": expected/]);
});

t.test('a file that is none', async t => {
  t.match(complaint([], core, 'listen_port = \n'), [/^agent\.toml:1:\d+: /]);
  t.match(
    complaint(['--config', '/nonexistent/agent.toml'], core, undefined, { readFile: undefined as never }),
    [/agent\.toml: cannot be read: ENOENT|readFile/],
  );
});

t.test('together they must make sense', async t => {
  t.match(complaint([], {}), [/^core_url: missing; expected where Core listens/]);
  t.match(complaint([], { SALLYPORT_CORE_URL: 'http://10.0.0.1:1' }), [
    /expected https:\/\/ to another machine/,
  ]);
  t.match(load(['--allow-plain', 'yes'], { SALLYPORT_CORE_URL: 'http://10.0.0.1:1' }), {
    core_url: 'http://10.0.0.1:1',
  });
  t.match(load([], { SALLYPORT_CORE_URL: 'http://127.0.0.1:1' }), { core_url: 'http://127.0.0.1:1' });
});

t.test('the join token', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'config-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'token');
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  const environment: Record<string, string | undefined> = { ...core, SALLYPORT_JOIN_TOKEN: token };
  t.equal(loadConfig({ args: [], environment }).join_token, token);
  t.notOk('SALLYPORT_JOIN_TOKEN' in environment, 'children and reports do not see it');
  t.equal(load([], { ...core, SALLYPORT_JOIN_TOKEN_FILE: path }).join_token, token);
  t.equal(load([], core, `join_token = "file:${path}"`).join_token, token);
  t.equal(load([], core, `join_token = "${token}"`).join_token, token);
  t.equal(load([], core, `join_token_file = "${path}"`).join_token, token, 'as UCI and the README have it');
  t.equal(load([], core, `join-token-file = "${path}"`).join_token, token);
  t.match(complaint([], core, `join_token = "${token}"\njoin_token_file = "${path}"\n`), [
    'agent.toml:2: join_token_file: given twice, as join_token too',
  ]);
  t.match(complaint([], core, 'join_token_file = 5'), [/expected text in quotes/]);
  writeFileSync(join(directory, 'join_token'), token, { mode: 0o600 });
  t.equal(load([], { ...core, CREDENTIALS_DIRECTORY: directory }).join_token, token);
  t.match(complaint([], { ...core, SALLYPORT_JOIN_TOKEN: token, SALLYPORT_JOIN_TOKEN_FILE: path }), [
    /given twice/,
  ]);
  t.match(complaint(['--join-token', token]), [/a secret on the command line shows in ps/]);
  t.match(complaint([], core, 'join_token = 5'), [/expected text in quotes/]);
  const bad = complaint([], { ...core, SALLYPORT_JOIN_TOKEN: 'spj_short' });
  t.match(bad, [/expected a join token/]);
  t.notMatch(bad.join(), 'spj_short');
  writeFileSync(path, token, { mode: 0o644 });
  rmSync(path);
  writeFileSync(path, token, { mode: 0o644 });
  const warnings: string[] = [];
  load([], { ...core, SALLYPORT_JOIN_TOKEN_FILE: path }, undefined, { warn: line => warnings.push(line) });
  t.match(warnings, [/open to other users/]);
});

t.test('what a HUP cannot change', async t => {
  const before = load([]);
  t.strictSame(fixedChanges(before, load(['--listen-port', '5', '--max-life', '1h'])), []);
  t.strictSame(fixedChanges(before, load(['--ifname', 'wg1', '--state-dir', '/x'])), ['state_dir', 'ifname']);
  t.equal(variableOf('listen_port'), 'SALLYPORT_LISTEN_PORT');
});
