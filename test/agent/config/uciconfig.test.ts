import t from 'tap';
import { loadConfig } from '../../../src/agent/config/config.ts';
import { isOn, readUci, uciValues } from '../../../src/agent/config/uciconfig.ts';
import { parseUci } from '../../../src/agent/config/uci.ts';

const text = `
config globals
	option log_level 'debug'
	option core_url 'https://core.example:8443'
config gateway 'main'
	option enabled '1'
	option zone 'vpn'
	option listen_port '51821'
	option configure_link '0'
	list addresses '10.77.0.1/24'
	list addresses 'fd77::1/64'
config gateway 'spare'
	option enabled '0'
	option core_url 'https://spare.example'
`;

t.test('the enabled gateway, with what holds for all', async t => {
  t.same(uciValues(parseUci(text), '/etc/config/sallyport', null), {
    origin: "/etc/config/sallyport: gateway 'main'",
    values: {
      log_level: 'debug',
      core_url: 'https://core.example:8443',
      listen_port: '51821',
      configure_link: '0',
      addresses: '10.77.0.1/24 fd77::1/64',
    },
  });
  t.equal(
    uciValues(parseUci(text), 'f', 'spare').values['core_url'],
    'https://spare.example',
    'its own wins',
  );
});

t.test('which section is clear, or said to be unclear', async t => {
  t.throws(() => uciValues(parseUci(text), 'f', 'other'), {
    message: /f: no section: config gateway 'other'/,
  });
  t.throws(() => uciValues(parseUci(''), 'f', null), { message: /no enabled sections/ });
  t.throws(() => uciValues(parseUci('config gateway a\nconfig gateway b'), 'f', null), {
    message: /2 enabled sections.*--section/,
  });
});

t.test('a misspelt option is told', async t => {
  t.throws(() => uciValues(parseUci("config gateway 'main'\noption listenport '1'"), 'f', null), {
    message: "f: gateway 'main': listenport: unknown option; did you mean listen_port?",
  });
});

t.test('the same schema and the same messages as elsewhere, and the lowest place', async t => {
  const readFile = (path: string): string => {
    if (path === '/u') return text;
    if (path === '/t') return 'listen_port = 51822';
    throw new Error('ENOENT');
  };
  const load = (args: string[], environment: Record<string, string> = {}): ReturnType<typeof loadConfig> =>
    loadConfig({ args, environment, readFile });
  t.equal(load(['--uci', '/u']).listen_port, 51821);
  t.equal(load(['--uci', '/u']).configure_link, false);
  t.equal(load(['--uci', '/u']).addresses.length, 2);
  t.equal(load(['--uci', '/u', '--config', '/t']).listen_port, 51822, 'a file is higher');
  t.equal(load(['--uci', '/u', '--config', '/t'], { SALLYPORT_LISTEN_PORT: '1' }).listen_port, 1);
  t.equal(load(['--uci', '/u', '--listen-port', '2'], { SALLYPORT_LISTEN_PORT: '1' }).listen_port, 2);
  t.equal(load([], { SALLYPORT_UCI: '/u', SALLYPORT_SECTION: 'spare' }).core_url, 'https://spare.example');
  t.throws(() => load(['--uci', '/none']), { message: '/none: cannot be read: ENOENT' });
  const bad = text.replace('51821', 'many');
  t.throws(() => loadConfig({ args: ['--uci', '/u'], environment: {}, readFile: () => bad }), {
    message: "/u: gateway 'main': listen_port: expected a whole number from 0 to 65535; for example 51820",
  });
});

t.test('skipped lines are warned of', async t => {
  const warnings: string[] = [];
  readUci(
    'f',
    null,
    line => warnings.push(line),
    () => `${text}\nnonsense`,
  );
  t.match(warnings[0], /^f: line \d+: 'nonsense'/);
});

t.test("OpenWrt's words for yes", async t => {
  for (const yes of ['1', 'on', 'true', 'yes', 'enabled']) t.ok(isOn(yes));
  for (const no of ['0', 'off', '', '2']) t.notOk(isOn(no));
  t.notOk(isOn(['1']));
});
