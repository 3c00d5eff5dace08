import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { SendBatch } from '../../src/datapath/batch.ts';
import { createChecksum } from '../../src/datapath/checksum.ts';
import { paddedBytes } from '../../src/datapath/inet.ts';
import { Segmenter } from '../../src/datapath/segment.ts';
import type { Packet } from '../fixtures/packets/packets.ts';
import {
  big,
  build,
  fault,
  pseudoHeader,
  randomFlow,
  randomPacket,
  same,
  slowChecksum,
} from '../fixtures/packets/packets.ts';
import { slowSegment, superPacket } from '../fixtures/twins/slow-segment.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
const arena = new Arena(memory.buffer, 64);
const mtu = 1420;
const segmenter = new Segmenter(arena, createChecksum(memory, arena), mtu);
const batch = new SendBatch(arena);
const elsewhere = arena.alloc(70000);

/** The plaintexts in the batch, padding included. */
function plaintexts(from: SendBatch): Uint8Array[] {
  return Array.from({ length: from.count }, (_, i) => {
    const at = from.packetAt[i]! + 16;
    return arena.u8.slice(at, at + from.packetBytes[i]!);
  });
}

/** Runs one TUN read through: the packets as they would be sealed, with as many flushes as it takes. */
function run(read: Uint8Array, at = elsewhere, into: SendBatch = batch): Uint8Array[] | string {
  arena.u8.set(read, at);
  const verdict = segmenter.begin(at, read.length);
  if (verdict !== 'ok') return verdict;
  into.reset();
  const out: Uint8Array[] = [];
  for (let turns = 0; !segmenter.fill(into); turns++) {
    if (turns > 3000) throw new Error('does not end');
    out.push(...plaintexts(into));
    into.reset();
  }
  return [...out, ...plaintexts(into)];
}

function padded(packet: Uint8Array): Uint8Array {
  const out = new Uint8Array(paddedBytes(packet.length, mtu));
  out.set(packet);
  return out;
}

const seed = seedOf(3);
t.test(`super-packets become what the twin says, seed ${seed}`, t => {
  const random = seeded(seed);
  for (let i = 0; i < 150; i++) {
    const flow = randomFlow(random);
    const segment = random.pick([1, 48, 512, 1000, 1348, 1368, 1372, 1392]);
    const packet = randomPacket(
      random,
      flow,
      1 + random.below(Math.min(random.chance(0.1) ? 60000 : 9000, segment * 200)),
    );
    if (flow.protocol === 'tcp') packet.flags = 0x10 | (random.u32() & 0xcf); // any but SYN and URG
    const expected = slowSegment(packet, segment);
    // the kernel's header length is junk here
    const actual = run(superPacket(packet, segment, random.below(65536)));
    t.equal(actual.length, expected.length, `${actual.length} parts`);
    const wrong = expected.findIndex(
      (bytes, k) => typeof actual === 'string' || !same(actual[k], padded(bytes)),
    );
    t.equal(wrong, -1, `${flow.protocol}${flow.version} ${packet.payload.length}/${segment}`);
    if (expected[0] !== undefined) t.equal(fault(expected[0]), null, 'the twin itself');
    if (segmenter.ecn !== (packet.tos & 3)) t.fail('ECN');
  }
  t.end();
});

t.test('segments lie one stride apart, in one group', t => {
  const random = seeded(1);
  const packet = randomPacket(random, randomFlow(random, 'udp'), 1392 * 10 + 100);
  run(superPacket(packet, 1392));
  t.equal(batch.groups, 1);
  t.equal(batch.groupCount[0], 11);
  t.equal(batch.groupSegment[0], 32 + paddedBytes(batch.packetBytes[0]!, mtu));
  t.equal(batch.packetAt[1]! - batch.packetAt[0]!, batch.groupSegment[0]);
  t.end();
});

t.test('D6: a plain packet gets its checksum, in place or copied', t => {
  const random = seeded(seed);
  for (let i = 0; i < 200; i++) {
    const packet = randomPacket(random, randomFlow(random), random.below(1300));
    const expected = padded(build(packet));
    t.ok(same(first(run(superPacket(packet, 0))), expected), 'copied');
    batch.reset();
    const at = batch.readAt;
    arena.u8.fill(0xee, at, at + 2000);
    arena.u8.set(superPacket(packet, 0), at);
    t.equal(segmenter.begin(at, expected.length + 10), 'ok');
    t.ok(segmenter.fill(batch));
    t.equal(segmenter.packetAt, batch.packetAt[0]! + 16, 'not moved');
    t.ok(same(plaintexts(batch)[0], expected), 'in place, padded with zeros');
  }
  t.end();
});

t.test('a packet without offload passes unchanged', t => {
  const random = seeded(4);
  for (let i = 0; i < 8; i++) {
    const packet = build(randomPacket(random, randomFlow(random), 333));
    t.ok(same(first(run(Uint8Array.of(...new Uint8Array(10), ...packet))), padded(packet)));
    arena.u8.set(packet, elsewhere);
    t.equal(segmenter.beginPlain(elsewhere, packet.length), 'ok');
    batch.reset();
    t.ok(segmenter.fill(batch));
    t.ok(same(plaintexts(batch)[0], padded(packet)), 'a device without virtio_net_hdr');
    t.equal(segmenter.destinationAt - segmenter.packetAt, packet[0]! >> 4 === 4 ? 16 : 24);
  }
  t.end();
});

t.test('a UDP checksum that comes out as zero is sent as 0xffff', t => {
  const random = seeded(5);
  const packet = randomPacket(random, { ...randomFlow(random, 'udp') }, 4);
  packet.payload.fill(0);
  const bytes = build(packet);
  const udp = packet.version === 4 ? 20 : 40;
  // The checksum as data makes the sum 0xffff, so the complement is zero.
  packet.payload.set(bytes.subarray(udp + 6, udp + 8));
  const [plain] = run(superPacket(packet, 0)) as Uint8Array[];
  t.strictSame([...plain!.subarray(udp + 6, udp + 8)], [255, 255]);
  const [parted] = run(superPacket(packet, 100)) as Uint8Array[];
  t.ok(same(parted, plain));
  t.end();
});

t.test('a split read: the head in place, the rest in the spill buffer', t => {
  const random = seeded(6);
  const packet = randomPacket(random, randomFlow(random, 'tcp'), 20000);
  const read = superPacket(packet, 1300);
  batch.reset();
  const at = batch.readAt;
  const head = segmenter.headBytes;
  t.equal(head, 10 + mtu);
  arena.u8.set(read.subarray(0, head), at);
  arena.u8.set(read.subarray(head), segmenter.spillAt + head);
  t.equal(segmenter.begin(at, read.length, head), 'ok');
  t.ok(segmenter.fill(batch));
  const expected = slowSegment(packet, 1300).map(padded);
  t.ok(plaintexts(batch).every((bytes, i) => same(bytes, expected[i])));
  t.end();
});

t.test('a small super-packet in the place of its own segments', t => {
  const random = seeded(7);
  const packet = randomPacket(random, randomFlow(random, 'tcp'), 1000);
  const actual = run(superPacket(packet, 90), batch.at + 6);
  const expected = slowSegment(packet, 90).map(padded);
  t.equal(actual.length, expected.length);
  t.ok(expected.every((bytes, i) => same(bytes, actual[i] as Uint8Array)));
  t.end();
});

t.test('a plain packet read behind a batch that had to be flushed', t => {
  const random = seeded(8);
  const bytes = build(randomPacket(random, randomFlow(random), 700));
  batch.reset();
  batch.append(96, 0);
  const at = batch.readAt;
  arena.u8.fill(0, at, at + 10);
  arena.u8.set(bytes, at + 10);
  t.equal(segmenter.begin(at, bytes.length + 10), 'ok');
  batch.reset(); // the packet belongs to another peer
  t.ok(segmenter.fill(batch));
  t.ok(same(plaintexts(batch)[0], padded(bytes)), 'moved over itself');
  t.end();
});

t.test('a full batch is left alone', t => {
  const packet = build(randomPacket(seeded(8), randomFlow(seeded(8)), 700));
  arena.u8.set(packet, elsewhere);
  t.equal(segmenter.beginPlain(elsewhere, packet.length), 'ok');
  batch.reset();
  while (batch.append(16, 0) > 0);
  t.notOk(segmenter.fill(batch));
  batch.reset();
  t.ok(segmenter.fill(batch));
  t.ok(same(plaintexts(batch)[0], padded(packet)));
  t.end();
});

t.test('IPv6 extension headers: the kernel names the transport header and the final destination', t => {
  const random = seeded(9);
  const flow = { ...randomFlow(random, 'tcp'), version: 6 as const };
  flow.source = random.bytes(16);
  flow.destination = random.bytes(16);
  const packet = { ...randomPacket(random, flow, 3000), options: new Uint8Array(0) };
  const final = random.bytes(16);
  const inner = build(packet);
  const routing = [6, 2, 2, 1, 0, 0, 0, 0, ...final]; // a type 2 routing header, 24 bytes
  const bytes = Uint8Array.of(...inner.subarray(0, 40), ...routing, ...inner.subarray(40));
  bytes[6] = 43;
  bytes.set(big(bytes.length - 40, 2), 4);
  const tcp = 64;
  const sumOf = (p: Packet, length: number): number =>
    slowChecksum(pseudoHeader({ ...p, destination: final }, length));
  bytes.set(big(sumOf(packet, bytes.length - tcp) ^ 0xffff, 2), tcp + 16);
  const words = new Uint8Array(Uint16Array.of(0, 1300, tcp, 16).buffer);
  const out = run(Uint8Array.of(1, 4, ...words, ...bytes)) as Uint8Array[];
  t.equal(out.length, 3);
  for (const part of out) {
    const length = part[4]! * 256 + part[5]!;
    const transport = part.slice(tcp, 40 + length);
    const pseudo = pseudoHeader({ ...packet, destination: final }, transport.length);
    t.equal(slowChecksum(Uint8Array.of(...pseudo, ...transport)), 0);
  }
  // without a pointer to it there is nothing to cut
  t.equal(run(Uint8Array.of(0, 4, ...words, ...bytes)), 'malformed');
  t.end();
});

t.test('what contradicts itself is refused', t => {
  const random = seeded(10);
  const tcp = randomPacket(random, { ...randomFlow(random, 'tcp') }, 500);
  const good = superPacket(tcp, 100);
  const ip = tcp.version === 4 ? 20 : 40;
  const changed = (change: (bytes: Uint8Array) => void): Uint8Array[] | string => {
    const bytes = good.slice();
    change(bytes);
    return run(bytes);
  };
  t.equal(
    changed(b => (b[1] = 3)),
    'unsupported',
    'UFO',
  );
  t.equal(
    changed(b => (b[1] = 2)),
    'unsupported',
    'an unknown kind',
  );
  t.equal(
    changed(b => b.fill(0, 4, 6)),
    'malformed',
    'segments of no bytes',
  );
  t.equal(
    changed(b => (b[10] = 0x10)),
    'malformed',
    'version',
  );
  t.equal(
    changed(b => (b[1] = tcp.version === 4 ? 4 : 1)),
    'malformed',
    'kind of the other version',
  );
  t.equal(
    changed(b => (b[1] = 5)),
    'malformed',
    'UDP kind, TCP packet',
  );
  t.equal(
    changed(b => (b[10 + ip + 12] = 0x40)),
    'malformed',
    'data offset below 5',
  );
  t.equal(run(good.subarray(0, 10 + ip + 19)), 'malformed', 'no room for a TCP header');
  t.equal(run(good.subarray(0, 10 + ip)), 'malformed');
  t.equal(run(good.subarray(0, 29)), 'malformed');
  const plain = superPacket(tcp, 0);
  const words = new Uint16Array(4);
  words[2] = 10;
  plain.set(new Uint8Array(words.buffer), 2);
  t.equal(run(plain), 'malformed', 'checksum starts inside the address');
  words[2] = 20;
  words[3] = 65535;
  plain.set(new Uint8Array(words.buffer), 2);
  t.equal(run(plain), 'malformed', 'checksum outside the packet');
  t.equal(run(new Uint8Array(64)), 'malformed', 'no IP version');
  t.end();
});

function first(out: Uint8Array[] | string): Uint8Array | undefined {
  return typeof out === 'string' ? undefined : out[0];
}

t.test('a TCP checksum of zero was sent as 0xffff, which tshark called bad in one packet of 65,536', t => {
  const random = seeded(seed + 9);
  for (const protocol of ['tcp', 'udp'] as const)
    for (const segment of [0, 100]) {
      const flow = { ...randomFlow(random), protocol };
      const packet: Packet = {
        ...randomPacket(random, flow, 150),
        protocol,
        payload: new Uint8Array(150).fill(3),
      };
      packet.payload.fill(0, 0, 2);
      const field = (packet.version === 4 ? 20 : 40) + (protocol === 'tcp' ? 16 : 6);
      const first = (): number => {
        const [part] = run(superPacket(packet, segment)) as Uint8Array[];
        return part![field]! * 256 + part![field + 1]!;
      };
      packet.payload.set(big(first(), 2)); // what the sum lacks to be 0xffff
      t.equal(first(), protocol === 'tcp' ? 0 : 0xffff, `${protocol}, ${segment === 0 ? 'alone' : 'cut'}`);
    }
  t.end();
});
