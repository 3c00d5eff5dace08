import t, { type Test } from 'tap';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type ShowIo } from '../../../src/agent/uapi/show.ts';

type FakeIo = ShowIo & { stdout: string; stderr: string };

function fakeIo(directory: string, more: Partial<ShowIo> = {}): FakeIo {
  return {
    stdout: '',
    stderr: '',
    out(text) {
      this.stdout += text;
    },
    error(text) {
      this.stderr += text;
    },
    isTerminal: false,
    environment: {},
    nowSeconds: 1_700_000_000,
    directory,
    ...more,
  };
}

const answers = {
  wg0: `private_key=${'60'.repeat(32)}
listen_port=51820
fwmark=51820
public_key=${'11'.repeat(32)}
preshared_key=${'0'.repeat(64)}
last_handshake_time_sec=0
last_handshake_time_nsec=0
tx_bytes=0
rx_bytes=0
persistent_keepalive_interval=0
public_key=${'22'.repeat(32)}
preshared_key=${'33'.repeat(32)}
endpoint=[2001:db8::1]:5
last_handshake_time_sec=1699913538
last_handshake_time_nsec=0
tx_bytes=1023
rx_bytes=1536
persistent_keepalive_interval=25
allowed_ip=10.0.0.0/8
allowed_ip=::/0
public_key=${'44'.repeat(32)}
preshared_key=${'0'.repeat(64)}
last_handshake_time_sec=1700000000
last_handshake_time_nsec=1
tx_bytes=5497558138880
rx_bytes=3221225472
persistent_keepalive_interval=3600
errno=0

`,
  wg1: 'errno=0\n\n',
};

async function serve(t: Test, devices: Record<string, string>): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'show-'));
  for (const [name, answer] of Object.entries(devices)) {
    const server = createServer(socket => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(answer));
    });
    await new Promise<void>(resolve => server.listen(join(directory, `${name}.sock`), resolve));
    t.teardown(() => new Promise(resolve => server.close(resolve)));
  }
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

const pretty = `interface: wg0
  public key: PUB0
  private key: (hidden)
  listening port: 51820
  fwmark: 0xca6c

peer: REREREREREREREREREREREREREREREREREREREREREQ=
  allowed ips: (none)
  latest handshake: Now
  transfer: 3.00 GiB received, 5.00 TiB sent
  persistent keepalive: every 1 hour

peer: IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=
  preshared key: (hidden)
  endpoint: [2001:db8::1]:5
  allowed ips: 10.0.0.0/8, ::/0
  latest handshake: 1 day, 1 minute, 2 seconds ago
  transfer: 1.50 KiB received, 1023 B sent
  persistent keepalive: every 25 seconds

peer: ERERERERERERERERERERERERERERERERERERERERERE=
  allowed ips: (none)
`;

t.test('for people', async t => {
  const directory = await serve(t, { wg0: answers.wg0 });
  const io = fakeIo(directory);
  t.equal(await run(['wg0'], io), 0);
  t.equal(io.stdout.replace(/public key: .*/, 'public key: PUB0'), pretty);
  t.notMatch(io.stdout, /MzMz/, 'no PSK');
  const open = fakeIo(directory, { environment: { WG_HIDE_KEYS: 'never' } });
  await run(['wg0'], open);
  t.match(open.stdout, /preshared key: MzMzMz/);
  t.match(open.stdout, /private key: YGBg/);
});

t.test('colours are those of wg', async t => {
  const directory = await serve(t, { wg0: answers.wg0 });
  const io = fakeIo(directory, { isTerminal: true });
  await run(['wg0'], io);
  t.match(
    io.stdout,
    '\x1b[0m\x1b[32m\x1b[1minterface\x1b[0m: \x1b[32mwg0\x1b[0m\n  \x1b[1mpublic key\x1b[0m: ',
  );
  t.match(io.stdout, '10.0.0.0\x1b[36m/\x1b[0m8');
  t.match(io.stdout, '1023 \x1b[36mB\x1b[0m sent');
  const never = fakeIo(directory, { isTerminal: true, environment: { WG_COLOR_MODE: 'never' } });
  await run(['wg0'], never);
  t.notMatch(never.stdout, '\x1b');
});

t.test('for scripts', async t => {
  const directory = await serve(t, { wg0: answers.wg0 });
  const p1 = 'ERERERERERERERERERERERERERERERERERERERERERE=';
  const p2 = 'IiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiI=';
  const p4 = 'REREREREREREREREREREREREREREREREREREREREREQ=';
  const psk = 'MzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM=';
  const show = async (parameter: string): Promise<string> => {
    const io = fakeIo(directory);
    t.equal(await run(['wg0', parameter], io), 0, parameter);
    return io.stdout;
  };
  t.equal(await show('peers'), `${p1}\n${p2}\n${p4}\n`);
  t.match(await show('public-key'), /^[A-Za-z0-9+/]{43}=\n$/);
  t.equal(await show('private-key'), 'YGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGA=\n');
  t.equal(await show('listen-port'), '51820\n');
  t.equal(await show('fwmark'), '0xca6c\n');
  t.equal(await show('preshared-keys'), `${p1}\t(none)\n${p2}\t${psk}\n${p4}\t(none)\n`);
  t.equal(await show('endpoints'), `${p1}\t(none)\n${p2}\t[2001:db8::1]:5\n${p4}\t(none)\n`);
  t.equal(await show('allowed-ips'), `${p1}\t(none)\n${p2}\t10.0.0.0/8 ::/0\n${p4}\t(none)\n`);
  t.equal(await show('latest-handshakes'), `${p1}\t0\n${p2}\t1699913538\n${p4}\t1700000000\n`);
  t.equal(await show('transfer'), `${p1}\t0\t0\n${p2}\t1536\t1023\n${p4}\t3221225472\t5497558138880\n`);
  t.equal(await show('persistent-keepalive'), `${p1}\toff\n${p2}\t25\n${p4}\t3600\n`);
  const dump = (await show('dump')).split('\n');
  t.match(dump[0], /^YGBg\S+\t\S{44}\t51820\t0xca6c$/);
  t.equal(dump[1], `${p1}\t(none)\t(none)\t(none)\t0\t0\t0\toff`);
  t.equal(dump[2], `${p2}\t${psk}\t[2001:db8::1]:5\t10.0.0.0/8,::/0\t1699913538\t1536\t1023\t25`);
  const all = fakeIo(directory);
  await run(['all', 'listen-port'], all);
  t.equal(all.stdout, 'wg0\t51820\n');
});

t.test('an empty device, several, none', async t => {
  const directory = await serve(t, answers);
  const io = fakeIo(directory);
  t.equal(await run(['interfaces'], io), 0);
  t.equal(io.stdout, 'wg0 wg1\n');
  const dump = fakeIo(directory);
  await run(['wg1', 'dump'], dump);
  t.equal(dump.stdout, '(none)\t(none)\t0\toff\n');
  const all = fakeIo(directory);
  t.equal(await run([], all), 0);
  t.match(all.stdout, /\n\ninterface: wg1\n$/);
  const empty = fakeIo(await serve(t, {}));
  t.equal(await run([], empty), 0);
  t.equal(await run(['interfaces'], empty), 0);
  t.equal(empty.stdout, '');
});

t.test('what goes wrong', async t => {
  const directory = await serve(t, { bad: 'x\n\n', wg1: answers.wg1 });
  const missing = fakeIo(directory);
  t.equal(await run(['wg9'], missing), 1);
  t.equal(missing.stderr, 'Unable to access interface: No such device\n');
  const all = fakeIo(directory);
  t.equal(await run(['all'], all), 0, 'one answered');
  t.equal(all.stderr, 'Unable to access interface bad: Protocol error\n');
  for (const [args, status] of [
    [['wg1', 'nonsense'], 1],
    [['all', 'nonsense'], 1],
    [['a', 'b', 'c'], 1],
    [['interfaces', 'x'], 1],
    [['--help'], 0],
  ] as const) {
    const io = fakeIo(directory);
    t.equal(await run(args, io), status, args.join(' '));
    t.match(io.stderr, /Usage: sallyport show \{ <interface> \| all/);
  }
});
