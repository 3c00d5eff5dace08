// One thread, and what is its own: a turn after a silence. Against the loop of two threads it is held in pipelinedloop.test.ts, against
// real devices and peers in test/interop and test/e2e.

import t from 'tap';
import { ipv4 } from '../../fixtures/packets/packets.ts';
import { mtu, Path } from '../../fixtures/packets/path.ts';
import { seedOf } from '../../fixtures/rng.ts';

const seed = seedOf(7);

const ours = [10, 0, 1, 1];
const plain = new Uint8Array(10); // a virtio_net_hdr that asks for nothing
const counterOf = (message: Uint8Array): number => new DataView(message.buffer).getUint32(8, true);
const lastOfSource = (written: Uint8Array): number => written[plain.length + 15]!;

t.test('after a silence one packet is read and sent, and nobody asks for a second', async t => {
  const path = new Path({ seed });
  for (let n = 1; n <= 3; n++)
    path.fromTun.push(Uint8Array.of(...plain, ...ipv4(ours, [10, 0, 2, n], new Uint8Array(64))));
  path.loneTurn();
  t.equal(path.fromTun.length, 2, 'which the wait that follows will see');
  t.equal(path.sent.length, 1);
  path.outbound();
  const first = counterOf(path.sent[0]!);
  t.strictSame(path.sent.map(counterOf), [first, first + 1, first + 2], 'and the next turn takes');
});

t.test('after a silence one datagram is received, opened and written', async t => {
  const path = new Path({ seed });
  for (let n = 1; n <= 3; n++) {
    path.bob.tun(ipv4([10, 0, 2, n], ours, new Uint8Array(0)));
    path.fromNet.push({ bytes: path.bob.take(), segment: 0 });
  }
  path.loneTurn();
  t.equal(path.fromNet.length, 2);
  t.strictSame(path.written.map(lastOfSource), [1]);
  path.inbound();
  t.strictSame(path.written.map(lastOfSource), [1, 2, 3]);
});

t.test('a super-packet after a silence goes out whole', async t => {
  const path = new Path({ seed });
  const header = Uint8Array.of(1, 1, 40, 0, (mtu - 40) & 255, (mtu - 40) >> 8, 20, 0, 16, 0);
  path.fromTun.push(
    Uint8Array.of(...header, ...ipv4(ours, [10, 0, 2, 1], new Uint8Array(5 * (mtu - 40)), 'tcp')),
  );
  path.loneTurn();
  t.equal(path.sent.length, 5);
});
