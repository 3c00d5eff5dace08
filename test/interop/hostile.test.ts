// Hostile input through real sockets: datagrams larger than any WireGuard message (W8) and peers with low-order
// public keys (H8). A live session next to them must not notice.

import t from 'tap';
import { Lab, pause, whyNoLab } from '../fixtures/lab/netns.ts';
import { connect, node26, ours, plan, scratch, whyNoPeers, wireguardGo } from '../fixtures/lab/tunnels.ts';

const skip = whyNoLab() ?? whyNoPeers() ?? false;
t.setTimeout(300_000);

t.test('oversize datagrams', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  const files = scratch();
  t.teardown(async () => {
    files.done();
    await lab.close();
  });
  const { a, b } = await connect(lab, ours(), wireguardGo());
  t.equal(b.namespace.ping(plan.a.inner4, 2), 2);
  // Every type, in the largest UDP payload and around the sizes of the real messages.
  const program = files.write(
    'flood.mjs',
    `import { createSocket } from 'node:dgram';
const socket = createSocket('udp4');
const sizes = [65507, 65506, 9000, 1500, 149, 148, 147, 93, 92, 91, 65, 64, 63, 33, 32, 31, 16, 4, 1, 0];
for (let round = 0; round < 20; round++)
  for (const size of sizes)
    for (let type = 0; type <= 5; type++) {
      const bytes = Buffer.alloc(size, round);
      if (size > 0) bytes[0] = type;
      if (size >= 4) bytes.fill(0, 1, 4);
      await new Promise((resolve, reject) =>
        socket.send(bytes, ${plan.a.port}, '${plan.a.outer4}', error => (error ? reject(error) : resolve())));
    }
socket.close();
`,
  );
  const flood = b.namespace.start(node26, [program]);
  const pings = b.namespace.pingMeanwhile(plan.a.inner4, 100, 0.02);
  t.equal(await flood.ended, 0, flood.stderr);
  const { received } = await pings;
  t.ok(received >= 98, `the live session goes on: ${received} of 100`);
  t.ok(a.process.isAlive, 'the process is alive');
  // And a fresh handshake works.
  b.namespace.ip(`link set ${b.ifname} down`);
  b.namespace.ip(`link set ${b.ifname} up`);
  t.ok(b.namespace.ping(plan.a.inner4, 5, { intervalS: 0.5 }) >= 4, 'a new handshake works');
});

t.test('low-order public keys get not one datagram', { skip, timeout: 60_000 }, async t => {
  const lab = new Lab('itp-');
  t.teardown(() => lab.close());
  const { a, b } = await connect(lab, ours(), wireguardGo());
  t.equal(a.namespace.ping(plan.b.inner4, 1), 1);
  // All that RFC 7748 can decode to (its top bit is ignored) whose product with any scalar is zero, canonical or not.
  const points = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ];
  const program = `const s = require('node:dgram').createSocket('udp4'); let n = 0;
s.on('message', () => n++); s.bind(4999, '${plan.b.outer4}', () => console.log('ready'));
setTimeout(() => { console.log('got ' + n); s.close(); }, 3500);`;
  const listener = b.namespace.start(node26, ['-e', program]);
  await pause(400);
  for (const [i, point] of points.entries()) {
    const key = Buffer.from(point, 'hex').toString('base64');
    a.peer(key, [
      'endpoint',
      `${plan.b.outer4}:4999`,
      'persistent-keepalive',
      '1',
      'allowed-ips',
      `10.66.0.${i}/32`,
    ]);
  }
  const tunnelled = points.map((_, i) => a.namespace.start('ping', ['-c', '1', '-W', '1', `10.66.0.${i}`]));
  await Promise.all(tunnelled.map(ping => ping.ended));
  await listener.ended;
  t.match(listener.stdout, /got 0/, 'two seconds of keepalives and pings: silence');
  t.equal(a.namespace.ping(plan.b.inner4, 3), 3, 'others are served');
});
