import t from 'tap';
import { headerSum, ipEcn, ipLength, paddedBytes, pseudoSum } from '../../src/datapath/inet.ts';
import { build, pseudoHeader, randomFlow, randomPacket, slowChecksum } from '../fixtures/packets/packets.ts';
import { slowPadded } from '../fixtures/twins/slow-segment.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

const u8 = new Uint8Array(4096);
const view = new DataView(u8.buffer);

t.test('R3: version, length and padding', t => {
  const length = (bytes: number[], available: number): number => {
    u8.fill(0);
    u8.set(bytes, 32);
    return ipLength(view, 32, available);
  };
  t.equal(length([0x45, 0, 0, 20], 20), 20);
  t.equal(length([0x45, 0, 0, 20], 32), 20, 'padding is trimmed');
  t.equal(length([0x45, 0, 0, 33], 32), 0, 'claims more than there is');
  t.equal(length([0x45, 0, 0, 19], 32), 0, 'shorter than a header');
  t.equal(length([0x46, 0, 0, 20], 32), 0, 'shorter than its options');
  t.equal(length([0x40, 0, 0, 20], 32), 20, 'as the kernel: the header length is not checked from below');
  t.equal(length([0x45, 0, 0, 20], 19), 0);
  t.equal(length([0x60], 40), 40);
  t.equal(length([0x60], 39), 0);
  t.equal(length([0x60, 0, 0, 0, 0, 8], 48), 48);
  t.equal(length([0x60, 0, 0, 0, 0, 9], 48), 0);
  t.equal(length([0x60, 0, 0, 0, 0xff, 0xff], 4000), 0, 'no 16-bit overflow');
  for (const version of [0, 1, 5, 7, 15]) t.equal(length([version << 4, 0, 0, 20], 64), 0);
  t.equal(length([], 0), 0);
  t.end();
});

t.test('D5: padding, every length and several MTUs', t => {
  for (const mtu of [1420, 1280, 1421, 68, 1408]) {
    const lengths = Array.from({ length: 3 * mtu }, (_, bytes) => bytes);
    const wrong = lengths.find(bytes => paddedBytes(bytes, mtu) !== slowPadded(bytes, mtu));
    t.equal(wrong, undefined, `MTU ${mtu}`);
  }
  t.equal(paddedBytes(1401, 1420), 1408);
  t.equal(paddedBytes(1417, 1420), 1420);
  t.equal(paddedBytes(1421, 1420), 1436);
  t.end();
});

const seed = seedOf(2);
t.test(`sums and ECN, seed ${seed}`, t => {
  const random = seeded(seed);
  for (let run = 0; run < 200; run++) {
    const flow = randomFlow(random);
    const packet = randomPacket(random, flow, 20);
    const bytes = build(packet);
    u8.set(bytes, 3);
    const length = random.below(65536);
    const next = flow.protocol === 'tcp' ? 6 : 17;
    const expected = slowChecksum(pseudoHeader(flow, length)) ^ 0xffff;
    t.equal(pseudoSum(view, 3, flow.version, next, length), expected);
    t.equal(ipEcn(u8, 3), packet.tos & 3);
    if (flow.version === 4) t.equal(headerSum(view, 3, 20), 0xffff);
  }
  t.end();
});
