import t from 'tap';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Uapi } from '../../../src/agent/uapi/server.ts';
import { listInterfaces, parseDevice, readDevice } from '../../../src/agent/uapi/client.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

const k1 = '11'.repeat(32);

t.test('a device as wg reads it', async t => {
  const device = parseDevice(
    'wg0',
    `private_key=${'60'.repeat(32)}
listen_port=51820
fwmark=4294967295
future=1
public_key=${k1}
preshared_key=${'0'.repeat(64)}
future=2
endpoint=[::1]:5
last_handshake_time_sec=1700000000
last_handshake_time_nsec=5
tx_bytes=18446744073709551615
rx_bytes=1
persistent_keepalive_interval=25
allowed_ip=10.0.0.0/8
allowed_ip=::/0
public_key=${k1}
preshared_key=${k1}
errno=0

`,
  );
  t.match(device, { ifname: 'wg0', listenPort: 51820, fwmark: 4294967295 });
  t.equal(device.publicKey?.length, 32);
  t.match(device.peers[0], {
    presharedKey: null,
    endpoint: '[::1]:5',
    handshakeSeconds: 1_700_000_000,
    handshakeNanos: 5,
    txBytes: 18446744073709551615n,
    rxBytes: 1n,
    persistentKeepalive: 25,
    allowedIps: ['10.0.0.0/8', '::/0'],
  });
  t.equal(device.peers[1]!.presharedKey?.[0], 0x11);
});

t.test('what is no answer', async t => {
  for (const text of [
    '',
    'nonsense\nerrno=0\n\n',
    'errno=x\n\n',
    'listen_port=65536\nerrno=0\n\n',
    'listen_port=-1\nerrno=0\n\n',
    'private_key=11\nerrno=0\n\n',
    `public_key=${k1}\nrx_bytes=18446744073709551616\nerrno=0\n\n`,
    `public_key=${'x'.repeat(64)}\nerrno=0\n\n`,
  ])
    t.throws(() => parseDevice('wg0', text), { message: 'Protocol error' }, text);
  t.throws(() => parseDevice('wg0', 'errno=-5\n\n'), { message: /error 5/ });
});

t.test('over a socket', async t => {
  const where = shortDirectory(t);
  const link = new FakeLink();
  link.listenPort = 7;
  const uapi = await Uapi.listen({ ifname: 'wg7', link, directory: where, onGone: () => undefined });
  t.teardown(() => uapi.close());
  writeFileSync(join(where, 'stale.sock'), '');
  writeFileSync(join(where, '.sock'), '');
  writeFileSync(join(where, 'other'), '');
  t.strictSame(await listInterfaces(where), ['wg7']);
  t.strictSame(await listInterfaces(join(where, 'nowhere')), []);
  t.match(await readDevice('wg7', where), { listenPort: 7 });
  await t.rejects(readDevice('wg9', where), { message: 'No such device' });
  await t.rejects(readDevice('stale', where), { message: 'Bad file descriptor' });
  await t.rejects(readDevice('a/b', where), { message: 'Invalid argument' });
  const rude = createServer(socket => socket.resume().end('listen_port=1\n'));
  await new Promise<void>(resolve => rude.listen(join(where, 'rude.sock'), resolve));
  await t.rejects(readDevice('rude', where), { message: 'Protocol error' });
  await new Promise(resolve => rude.close(resolve));
});
