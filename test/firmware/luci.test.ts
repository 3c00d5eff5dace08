// LuCI's pages in a headless Chromium with stand-ins for LuCI (fixtures/luci.ts): they render, call what they should, survive a
// gateway that does not answer, and let nobody without the right press the button. SCREENSHOTS=directory keeps pictures.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { endReasons } from '../../src/control/clientapi/reasons.ts';
import { agentOptions } from '../../src/agent/config/schema.ts';
import { has, run } from '../fixtures/lab/netns.ts';
import { viewPage, type ViewOptions } from '../fixtures/lab/luci.ts';
import { openwrt } from '../fixtures/lab/openwrt.ts';

const app = join(openwrt, 'luci-app-sallyport');
const skip = !has('chromium') && 'chromium is not installed';
t.setTimeout(180_000); // a browser for each page
const dir = mkdtempSync(join(tmpdir(), 'sallyport-luci-'));
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

interface Report {
  problems: string[];
  calls: unknown[];
  text: string;
  then: unknown;
}

let pages = 0;
function open(name: string, options: ViewOptions): Report {
  const file = join(dir, `${pages++}.html`);
  writeFileSync(file, viewPage(options));
  const base = [
    ...['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars'],
    ...[`--user-data-dir=${join(dir, 'profile')}`, '--virtual-time-budget=3000', '--window-size=1150,1000'],
  ];
  const shots = process.env['SCREENSHOTS'];
  if (shots !== undefined)
    run('chromium', [...base, `--screenshot=${join(shots, `${name}.png`)}`, `file://${file}`], { timeoutMs: 60_000 });
  const { stdout, stderr } = run('chromium', [...base, '--dump-dom', `file://${file}`], { timeoutMs: 60_000 });
  const report = /<script type="application\/json" id="report">(.*?)<\/script>/s.exec(stdout)?.[1];
  if (report === undefined) throw new Error(`no report: ${stderr.slice(-500)}`);
  return JSON.parse(report) as Report;
}

const status = {
  version: '0.1.0',
  agent: 'agt_1',
  location: 'Head office',
  interface: 'wg0',
  publicKey: 'LrmR/Ey0i+QVfgxw4nRRGkkWGVlWWpJYnn6jTnTzEGw=',
  listenPort: 51820,
  mtu: 1420,
  up: true,
  crypto: 'raw',
  offloads: ['tso4', 'uso4'],
  core: { url: 'https://core.example:8443', phase: 'synced', connected: true, reconnects: 0, lastError: '' },
  clock: 'core',
  sessions: [
    {
      id: 's1',
      user: 'ada <b>',
      device: 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=',
      addresses: ['10.77.0.2/32', 'fd77::2/128'],
      endpoint: '192.0.2.7:40000',
      since: '2026-11-24T08:00:00.000Z',
      confirmed: true,
      latestHandshake: '2026-11-24T08:05:00.000Z',
      staleIn: 135,
      idleIn: null,
      leaseIn: 600,
      expiresIn: 28_805,
      claimIn: null,
      rxBytes: 123_456_789,
      txBytes: 4096,
    },
    {
      id: 's2',
      user: 'grace',
      device: 'TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=',
      addresses: ['10.77.0.3/32'],
      endpoint: null,
      since: '2026-11-24T08:06:00.000Z',
      confirmed: false,
      latestHandshake: null,
      staleIn: null,
      idleIn: null,
      leaseIn: null,
      expiresIn: 3600,
      claimIn: 42,
      rxBytes: 0,
      txBytes: 0,
    },
  ],
  recentEnds: [
    { id: 's0', device: 'fE/wdxzl0klVp/IR8UcaoGUMjqaWi3jAd7KzHKFS6Ds=', reason: 'stale', at: '2026-11-24T07:59:00.000Z' },
    { id: 's9', device: 'gN65BkIKy1eCE9pP1wdc8ROUtkHLF2PfAqYdyYBz6EA=', reason: 'revoked-admin', at: '2026-11-24T08:01:00.000Z' },
  ],
};
const answer = (value: unknown): string =>
  `(object, method) => method === 'status' ? ${JSON.stringify(value)} : 0`;

t.test('overview: sessions, time left, reasons', { skip }, async t => {
  const { problems, text, calls } = open('overview', { view: 'view/sallyport/overview', answer: answer(status) });
  t.same(problems, []);
  t.same(calls, [['sallyport', 'status', {}]]);
  for (const expected of [
    'Head office',
    'connected',
    'wg0, up, UDP 51820, MTU 1420',
    'Sessions (2)',
    'ada <b>',
    '10.77.0.2/32, fd77::2/128',
    '2m 15s',
    'silent in 2m 15s',
    '42s',
    'unless used within 42s',
    'proved, not used yet',
    'the tunnel was silent for too long (stale)',
    'an administrator ended the session (revoked-admin)',
    '117.7 MiB',
  ])
    t.ok(text.includes(expected), expected);
  t.ok(text.indexOf('revoked-admin') < text.indexOf('(stale)'), 'the latest end comes first');
});

t.test('overview: the logout button asks, then calls', { skip }, async t => {
  const then = `(document.querySelectorAll('td button')[0].click(), await 0, document.querySelector('.modal').innerText)`;
  const asked = open('logout', { view: 'view/sallyport/overview', answer: answer(status), then });
  t.same(asked.problems, []);
  t.match(asked.then, /Log out ada <b>\?[^]*second factor[^]*Cancel/);
  t.notOk(JSON.stringify(asked.calls).includes('"logout"'), 'nothing before the second click');

  const twice = `(document.querySelectorAll('td button')[0].click(), await 0,
    document.querySelector('.modal .important').click(), await new Promise(done => setTimeout(done, 50)), document.querySelector('.modal'))`;
  const done = open('logged-out', { view: 'view/sallyport/overview', answer: answer(status), then: twice });
  t.same(done.problems, []);
  t.ok(done.calls.some(call => JSON.stringify(call) === '["sallyport","logout",{"session":"s1"}]'));
  t.equal(done.then, null, 'the question is gone');
});

t.test('overview: Core away, nobody there, and no gateway', { skip }, async t => {
  const away = { ...status, core: { ...status.core, connected: false, lastError: 'ECONNREFUSED' }, sessions: [], recentEnds: [], clock: 'none' };
  const { text, problems } = open('away', { view: 'view/sallyport/overview', answer: answer(away) });
  t.same(problems, []);
  t.match(text, /away sessions go on, new logins wait \(ECONNREFUSED\)/);
  t.match(text, /Nobody is logged in\./);
  t.match(text, /not sane/);
  const dead = open('dead', { view: 'view/sallyport/overview', answer: '() => Promise.reject(new Error("not found"))' });
  t.same(dead.problems, []);
  t.match(dead.text, /The gateway does not answer/);
});

t.test('overview: who may only look gets a dead button', { skip }, async t => {
  const { then } = open('reader', {
    view: 'view/sallyport/overview',
    answer: answer(status),
    mayWrite: false,
    then: `[...document.querySelectorAll('td button')].every(button => button.disabled)`,
  });
  t.equal(then, true);
});

t.test('settings', { skip }, async t => {
  const { problems, text, then } = open('settings', {
    view: 'view/sallyport/settings',
    then: `map.sections.flatMap(section => section.options.map(([, option]) => option.name))`,
  });
  t.same(problems, []);
  t.match(text, /Changes are taken up at once/);
  const own = ['enabled', 'join_token_file', 'open_port', 'memory', 'jail'];
  for (const name of then as string[]) t.ok(Object.hasOwn(agentOptions, name) || own.includes(name), name);
});

t.test('the protocol of the network page', { skip }, async t => {
  const { problems, then } = open('protocol', {
    view: 'protocol/sallyport',
    then: `({ name: protocol.name, i18n: protocol.getI18n(), floating: protocol.isFloating(), devices: protocol.getDevices() })`,
  });
  t.same(problems, []);
  t.same(then, { name: 'sallyport', i18n: 'Sallyport VPN gateway', floating: true, devices: null });
});

t.test('every reason has its sentence', async t => {
  const source = readFileSync(join(app, 'htdocs/luci-static/resources/view/sallyport/overview.js'), 'utf8');
  for (const reason of endReasons) t.ok(source.includes(`'${reason}': _(`), reason);
});

t.test('menu and rights', async t => {
  const read = (path: string): Record<string, Record<string, never>> =>
    JSON.parse(readFileSync(join(app, 'root/usr/share', path), 'utf8')) as never;
  const acl = read('rpcd/acl.d/luci-app-sallyport.json')['luci-app-sallyport'] as unknown as {
    read: { ubus: Record<string, string[]> };
    write: { ubus: Record<string, string[]> };
  };
  t.same(acl.read.ubus['sallyport'], ['status', 'sessions'], 'looking is not touching');
  t.same(acl.write.ubus['sallyport'], ['logout', 'reload']);
  const menu = read('luci/menu.d/luci-app-sallyport.json') as unknown as Record<string, { action: { type: string; path: string } }>;
  const views = Object.values(menu).filter(({ action }) => action.type === 'view');
  const files = readdirSync(join(app, 'htdocs/luci-static/resources/view/sallyport')).map(file => `sallyport/${file.slice(0, -3)}`);
  t.same(views.map(({ action }) => action.path).sort(), files.sort());
});
