import t, { type Test } from 'tap';
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { Uapi, uapiPath } from '../../../src/agent/uapi/server.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

const k1 = '11'.repeat(32);
const zero = '0'.repeat(64);

async function start(
  t: Test,
  more: { readOnly?: boolean } = {},
): Promise<{ uapi: Uapi; link: FakeLink; gone: Promise<string> }> {
  const link = new FakeLink();
  let onGone!: (why: string) => void;
  const gone = new Promise<string>(resolve => (onGone = resolve));
  const uapi = await Uapi.listen({ ifname: 'wg7', link, directory: shortDirectory(t), onGone, ...more });
  t.teardown(() => uapi.close());
  return { uapi, link, gone };
}

/** Sends the pieces one by one, then ends; resolves to all that came back. */
function talk(uapi: Pick<Uapi, 'path'>, ...pieces: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: uapi.path, allowHalfOpen: true });
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', chunk => (text += chunk));
    socket.on('end', () => {
      socket.end();
      resolve(text);
    });
    socket.on('error', reject);
    const send = (): void => {
      const piece = pieces.shift();
      if (piece === undefined) socket.end();
      else socket.write(piece, () => setImmediate(send));
    };
    send();
  });
}

t.test('U1 the socket is ours alone', async t => {
  const { uapi } = await start(t);
  t.equal(lstatSync(uapi.path).mode & 0o777, 0o600);
  t.equal(uapi.path, uapiPath('wg7', dirname(uapi.path)));
  t.equal(uapiPath('wg0'), '/var/run/wireguard/wg0.sock');
});

t.test('U2 get, U1 several operations per connection, however cut', async t => {
  const { uapi, link } = await start(t);
  link.listenPort = 5;
  const get = 'listen_port=5\nerrno=0\n\n';
  t.equal(await talk(uapi, 'get=1\n\n'), get);
  t.equal(await talk(uapi, 'get=1\n\nget=1\n\n'), get + get);
  t.equal(await talk(uapi, ...'get=1\n\nget=1\n\n'), get + get);
  t.equal(await talk(uapi, 'set=1\nlisten_port=6\n\nget=1\n\n'), 'errno=0\n\nlisten_port=6\nerrno=0\n\n');
  t.equal(await talk(uapi, 'set=1\r\nlisten_port=7\r\n\r\n'), '', 'the operation line is taken literally');
  t.equal(await talk(uapi, 'set=1\nlisten_port=7\r\n\r\n'), 'errno=0\n\n', 'the lines behind it are scanned');
  t.equal(link.listenPort, 7);
});

t.test('U3 set', async t => {
  const { uapi, link } = await start(t);
  t.equal(
    await talk(
      uapi,
      `set=1\nprivate_key=${k1}\nfwmark=3\npublic_key=${k1}\nendpoint=1.2.3.4:5\nallowed_ip=10.0.0.1/8\n\nget=1\n\n`,
    ),
    `errno=0

private_key=${k1}
fwmark=3
public_key=${k1}
preshared_key=${zero}
protocol_version=1
endpoint=1.2.3.4:5
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
allowed_ip=10.0.0.0/8
errno=0

`,
  );
  t.equal(await talk(uapi, 'set=1\nlisten_port=9'), 'errno=0\n\n', 'the end of input ends the operation too');
  t.equal(link.listenPort, 9);
});

t.test('U4 errors', async t => {
  const { uapi, link } = await start(t);
  t.equal(await talk(uapi, 'set=1\nwhat=1\n\n'), 'errno=-22\n\n');
  t.equal(await talk(uapi, 'set=1\nwhat\n\n'), 'errno=-71\n\n');
  t.equal(
    await talk(uapi, 'set=1\nwhat\nlisten_port=1\n\nget=1\n\n'),
    'errno=-71\n\nerrno=0\n\n',
    'the rest is not applied',
  );
  t.equal(
    await talk(uapi, 'set=1\nwhat\n', 'get=1\n\n'),
    'errno=-71\n\nerrno=0\n\n',
    'a client may give up and start anew',
  );
  t.equal(await talk(uapi, 'get=1\nx'), 'errno=-22\n\n');
  t.equal(await talk(uapi, 'list=1\n\n'), '', 'closed without an answer');
  t.equal(await talk(uapi, '\n'), '');
  t.equal(await talk(uapi, 'get=1'), '', 'no newline, no operation');
  t.equal(await talk(uapi, ''), '');
  link.failNext = -98;
  t.equal(await talk(uapi, 'set=1\nlisten_port=80\nfwmark=9\n\n'), 'errno=-98\n\n');
  t.equal(link.fwmark, 0, 'what follows a failure is not applied');
  t.equal(await talk(uapi, `set=1\npublic_key=${k1}\nallowed_ip=1\n\n`), 'errno=-22\n\n');
  t.equal(link.peers.size, 1, 'U5 what came before stays');
  link.isGone = true;
  t.equal(await talk(uapi, 'get=1\n\nset=1\nlisten_port=1\n\n'), 'errno=-5\n\nerrno=-5\n\n');
});

t.test('lines and lists are bounded', async t => {
  const { uapi, link } = await start(t);
  const long = 'x'.repeat(200_000);
  t.equal(
    await talk(uapi, `set=1\nlisten_port=1\n${long}\nlisten_port=2\n\nget=1\n\n`),
    'errno=-5\n\nlisten_port=1\nerrno=0\n\n',
  );
  t.equal(await talk(uapi, long), '');
  const peers = Array.from(
    { length: 2000 },
    (_, i) => `public_key=${i.toString(16).padStart(64, '0')}\n`,
  ).join('');
  t.equal(await talk(uapi, `set=1\nreplace_peers=true\n${peers}\n`), 'errno=0\n\n');
  t.equal(link.peers.size, 2000);
  t.ok(link.asks('configure').every(({ change }) => change.peers.length <= 256));
  link.peers.clear();
  link.asked.length = 0;
  const first = talk(uapi, `set=1\n${peers}\n`);
  link.failNext = -22;
  t.equal(await first, 'errno=-22\n\n');
  t.equal(link.asks('configure').length, 1, 'nothing after a failed piece');
});

t.test('the agent lets nobody set', async t => {
  const { uapi, link } = await start(t, { readOnly: true });
  t.equal(await talk(uapi, 'set=1\nlisten_port=1\n\nget=1\n\n'), 'errno=-1\n\nerrno=0\n\n');
  t.equal(link.asks('configure').length, 0);
});

t.test('removing the file stops the daemon', async t => {
  const { uapi, gone } = await start(t);
  unlinkSync(uapi.path);
  t.match(await gone, /wg7\.sock was removed/);
});

t.test('L5 closing removes the file and ends conversations', async t => {
  const { uapi } = await start(t);
  const socket = connect(uapi.path);
  await new Promise(resolve => socket.on('connect', resolve));
  const closed = new Promise(resolve => socket.on('close', resolve));
  await uapi.close();
  await closed;
  t.notOk(existsSync(uapi.path));
});

t.test('U1 a stale socket is replaced, a live one is not', async t => {
  const { uapi, link } = await start(t);
  const again = Uapi.listen({ ifname: 'wg7', link, directory: dirname(uapi.path), onGone: () => undefined });
  await t.rejects(again, { code: 'uapi-in-use' });
  t.ok(existsSync(uapi.path));
  const path = join(dirname(uapi.path), 'wg8.sock');
  writeFileSync(path, '');
  const third = await Uapi.listen({
    ifname: 'wg8',
    link,
    directory: dirname(uapi.path),
    onGone: () => undefined,
  });
  t.ok(lstatSync(path).isSocket());
  await third.close();
});

t.test('`wg show` during the start removed the socket that was bound and did not listen yet', async t => {
  const directory = shortDirectory(t);
  const path = join(directory, 'wg7.sock');
  const born = `${path}.${process.pid}`;
  // A file that cannot be replaced shows what has happened by then: it listened elsewhere, and cleans up after itself.
  mkdirSync(join(path, 'x'), { recursive: true });
  const failed = Uapi.listen({ ifname: 'wg7', link: new FakeLink(), directory, onGone: () => undefined });
  await t.rejects(failed, new RegExp(`rename '${born}'`));
  t.notOk(existsSync(born));
});

t.test('WG_UAPI_FD: an inherited socket', async t => {
  const path = join(shortDirectory(t), 'wg9.sock');
  // Both processes accept from the one socket; closing ours would unlink it. Whoever gets us instead of the child asks again.
  const server = createServer(socket => socket.destroy());
  await new Promise<void>(resolve => server.listen(path, resolve));
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  const program = `
    import { Uapi } from ${JSON.stringify(new URL('../../../src/agent/uapi/server.ts', import.meta.url).href)};
    import { FakeLink } from ${JSON.stringify(new URL('../../fixtures/fakes/fakelink.ts', import.meta.url).href)};
    await Uapi.listen({ ifname: 'wg9', link: new FakeLink(), directory: ${JSON.stringify(dirname(path))}, fd: 3,
      onGone: why => { console.log(why); process.exit(0) } });
    console.log('ready');`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit', fd],
  });
  t.teardown(() => child.kill());
  const output = child.stdout!.setEncoding('utf8')[Symbol.asyncIterator]();
  t.match((await output.next()).value, /ready/);
  let answer = '';
  for (let tries = 0; answer === '' && tries < 200; tries++)
    answer = await talk({ path }, 'get=1\n\n').catch(() => '');
  t.equal(answer, 'errno=0\n\n');
  unlinkSync(path);
  t.match((await output.next()).value, /was removed/);
  server.close();
});
