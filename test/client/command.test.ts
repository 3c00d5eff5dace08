import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { run } from '../../src/client/command.ts';
import { listen } from '../../src/client/daemon/socket.ts';
import { Store } from '../../src/client/state.ts';
import { PlainError } from '../../src/util/errors.ts';
import { clientState, location } from '../fixtures/system/client.ts';
import { Front } from '../fixtures/system/front.ts';

/** Short: a socket address must hold it. */
function dir(t: { teardown(handler: () => void): void }): string {
  const made = mkdtempSync(join(tmpdir(), 'sp-'));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return join(made, 's');
}

type Said = { code: number | null; out: string; err: string };

/** In this process, as main.ts would: exit status, standard output, and the one line of an error. */
async function sallyport(args: string[]): Promise<Said> {
  const said: Said = { code: null, out: '', err: '' };
  try {
    said.code = await run(args, text => (said.out += text));
  } catch (error) {
    if (!(error instanceof PlainError)) throw error;
    said.code = error.exit;
    said.err = error.message;
  }
  return said;
}

t.test('wrong use: status 2 and one line that names what is wrong', async t => {
  const state = dir(t);
  const cases: [string[], RegExp][] = [
    [['enrol'], /--proxy/],
    [['enrol', '--proxy', 'vpn'], /https/],
    [['enrol', '--proxy', 'http://vpn.example'], /in clear/],
    [['enrol', '--proxy', 'https://vpn.example', 'spe_token'], /--token-file/],
    [['enrol', '--proxy', 'https://vpn.example', '--token-file', '/dev/null'], /no enrolment token/],
    [
      ['enrol', '--proxy', 'https://vpn.example', '--token-file', '/nonexistent'],
      /--token-file \/nonexistent/,
    ],
    [['login', '--code', '123456'], /--code/],
    [['login', 'a', 'b'], /unexpected 'b'/],
    [['status', '--nonsense'], /--nonsense/],
    [['up'], /no enrolled device/],
    [['logout'], /no enrolled device/],
  ];
  await Promise.all(
    cases.map(async ([args, message]) => {
      const said = await sallyport([...args, '--state', state]);
      t.equal(said.code, 2, args.join(' '));
      t.match(said.err, message, args.join(' '));
      t.match(said.err, /^[^\n]+$/, args.join(' '));
      t.equal(said.out, '');
    }),
  );
});

t.test('with --json an error is an object on standard output', async t => {
  const said = await sallyport(['up', '--json', '--state', dir(t)]);
  t.equal(said.code, 2);
  t.match(JSON.parse(said.out), { ok: false, error: { code: 'not-enrolled' } });
  t.equal(said.err, '');
});

t.test('enrolment reads the token from a file and keeps the device', async t => {
  const front = new Front();
  const proxy = await front.open();
  t.teardown(() => front.close());
  const state = dir(t);
  const token = `spe_${'a'.repeat(32)}`;
  const file = join(t.testdir({ token: `${token}\n` }), 'token');
  const said = await sallyport([
    'enrol',
    '--proxy',
    proxy,
    '--name',
    'laptop',
    '--state',
    state,
    '--token-file',
    file,
  ]);
  t.equal(said.code, 0, said.err);
  t.match(said.out, 'enrolled as ada; locations: Office');
  t.equal(new Store(state).load().enrolled.user, 'ada');
  const again = await sallyport(['enrol', '--proxy', proxy, '--state', state, '--token-file', file]);
  t.equal(again.code, 2);
  t.match(again.err, /--again/);
});

t.test('without a running tunnel: what can be said, and what cannot be done', async t => {
  const store = new Store(dir(t));
  store.save(clientState());
  const [status, down, which] = await Promise.all([
    sallyport(['status', '--json', '--state', store.dir]),
    sallyport(['down', '--state', store.dir]),
    sallyport(['logout', 'Elsewhere', '--state', store.dir]),
  ]);
  t.match(JSON.parse(status.out), { ok: true, user: 'ada', locations: [{ location: 'Office', up: false }] });
  t.equal(down.code, 1);
  t.match(down.err, /Office is not up/);
  t.equal(which.code, 2);
  t.match(which.err, /expected one of Office/);
});

t.test('a login puts the PSK into the running tunnel, by a code from a file', async t => {
  const store = new Store(dir(t));
  const front = new Front();
  store.save(clientState([location({ id: 'l' })], await front.open()));
  const socket = store.socketFile(location({ id: 'l' }));
  const seen: string[] = [];
  const tunnel = await listen(socket, request => {
    seen.push(request.op);
    if (request.op === 'begin') seen.push(String(request.psk));
    return Promise.resolve({
      interface: 'sp-office',
      text: 'not logged in',
      handshake: true,
      handshakeMs: 3,
    });
  });
  t.teardown(() => (tunnel.close(), front.close()));
  const codes = join(store.dir, 'codes');
  writeFileSync(codes, '999999\n');
  const wrong = await sallyport(['login', '--code-file', codes, '--state', store.dir]);
  t.equal(wrong.code, 1);
  t.match(wrong.err, /^Office: the code is wrong$/);
  writeFileSync(codes, '123456\n');
  const right = await sallyport(['login', '--json', '--code-file', codes, '--state', store.dir]);
  t.match(JSON.parse(right.out), { ok: true, session: 'session-1', handshakeMs: 3 });
  t.strictSame(seen, ['release', 'release', 'begin', Buffer.from(front.psk).toString('base64')]);
  t.notMatch(readFileSync(store.file, 'utf8'), Buffer.from(front.psk).toString('base64'));
  t.equal(store.load().enrolled.locations[0]!.config.mtu, 1400, 'the newer configuration is kept');
  const up = await sallyport(['up', '--state', store.dir]);
  t.match(up.out, /up on sp-office already/);
  t.match((await sallyport(['status', '--state', store.dir])).out, 'Office: up on sp-office, not logged in');
});

t.test('help, and a name nobody knows', async t => {
  const said = await sallyport(['login', '--help']);
  t.equal(said.code, 0);
  t.match(said.out, /usage: sallyport login/);
  await t.rejects(run(['dance']), { code: 'unknown-command', exit: 2 });
});
