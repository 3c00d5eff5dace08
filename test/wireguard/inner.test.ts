import t from 'tap';
import { packet4, packet6 } from '../fixtures/packets/pair.ts';
import { ipLength } from '../../src/datapath/inet.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';
import { innerLength, sourceOwner, destinationOwner } from '../../src/wireguard/inner.ts';
import { AllowedIps } from '../../src/wireguard/peer/allowedips.ts';

const length = (packet: Uint8Array): number => innerLength(packet, 0, packet.length);

t.test('R3 version, length and padding', async t => {
  t.equal(length(packet4(1, 2, 20)), 20);
  t.equal(length(packet6(1, 2, 40)), 40);
  const padded = new Uint8Array(112);
  padded.set(packet4(1, 2, 100));
  t.equal(length(padded), 100, 'padding trimmed');
  t.equal(length(new Uint8Array(0)), -1);
  t.equal(length(packet4(1, 2, 64).subarray(0, 19)), -1, 'shorter than a header');
  t.equal(length(packet6(1, 2, 64).subarray(0, 39)), -1);
  t.equal(length(packet4(1, 2, 64).subarray(0, 63)), -1, 'longer than what came');
  t.equal(length(packet6(1, 2, 64).subarray(0, 63)), -1);
  for (const version of [0, 1, 5, 7, 15]) {
    const other = packet4(1, 2, 64);
    other[0] = (version << 4) | 5;
    t.equal(length(other), -1, `version ${version}`);
  }
  const short = packet4(1, 2, 64);
  short[3] = 19;
  t.equal(length(short), -1, 'total length below 20');
  const huge = packet6(1, 2, 64);
  huge[4] = huge[5] = 0xff;
  t.equal(length(huge), -1, 'no 16-bit overflow');
});

t.test('addresses by version', async t => {
  const routes = new AllowedIps<object>();
  const one = {};
  const two = {};
  routes.insert({ family: 4, address: Uint8Array.of(10, 0, 0, 1), prefix: 32 }, one);
  routes.insert({ family: 4, address: Uint8Array.of(10, 0, 0, 2), prefix: 32 }, two);
  routes.insert({ family: 6, address: packet6(1, 2).slice(8, 24), prefix: 128 }, one);
  for (const packet of [packet4(1, 2), packet6(1, 2)]) t.equal(sourceOwner(routes, packet, 0), one);
  t.equal(destinationOwner(routes, packet4(1, 2), 0), two);
  t.equal(destinationOwner(routes, packet6(1, 2), 0), null);
});

const seed = seedOf(791);
t.test(`the packet path in batches judges lengths alike (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const wrong: string[] = [];
  for (let i = 0; i < 20_000; i++) {
    const packet = rng.bytes(rng.below(64));
    if (packet.length > 4) {
      packet[0] = (rng.pick([4, 4, 6, 6, 5]) << 4) | rng.below(16);
      packet[2] = packet[4] = 0;
      packet[3] = rng.below(70);
      packet[5] = rng.below(30);
    }
    const one = innerLength(packet, 0, packet.length);
    const other = ipLength(new DataView(packet.buffer, packet.byteOffset), 0, packet.length);
    if (one !== (other === 0 ? -1 : other)) wrong.push(Buffer.from(packet).toString('hex'));
  }
  t.same(wrong, []);
});
