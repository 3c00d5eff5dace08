import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { createChecksum } from '../../src/datapath/checksum.ts';
import { Coalescer } from '../../src/datapath/coalesce.ts';
import type { Packet } from '../fixtures/packets/packets.ts';
import { big, build, number, parse, randomFlow, randomPacket, same } from '../fixtures/packets/packets.ts';
import type { Rng } from '../fixtures/rng.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';
import { slowCoalesce, slowDeliver } from '../fixtures/twins/slow-coalesce.ts';
import { slowSegment } from '../fixtures/twins/slow-segment.ts';

const memory = new WebAssembly.Memory({ initial: 40, maximum: 40, shared: true });
const arena = new Arena(memory.buffer, 64);
const checksum = createChecksum(memory, arena);
const base = 0x7fff_ffe0_0000; // iovecs cross a 4 GiB line
const coalescer = new Coalescer(arena, checksum, { base, pointerBytes: 8 });
const received = arena.alloc(1 << 20);

/** Puts packets where a receive buffer would have them, and adds them. */
function add(packets: readonly Uint8Array[], into = coalescer): void {
  let at = received;
  for (const packet of packets) {
    arena.u8.set(packet, at + 16);
    into.add(at + 16, packet.length);
    at += 32 + packet.length + (packet.length % 16);
  }
}

/** Indices of the packets of each write. */
function members(writes: number, from = coalescer): number[][] {
  return Array.from({ length: writes }, (_, w) => {
    const list: number[] = [];
    for (let p = from.first[w]!; p >= 0; p = from.next[p]!) list.push(p);
    return list;
  });
}

/** The bytes of one write, as the kernel would see them. */
function written(w: number, from = coalescer): Uint8Array {
  const at = from.writeAt[w]!;
  if (from.pieces[w] === 0) return arena.u8.slice(at, at + from.writeBytes[w]!);
  const parts: number[] = [];
  for (let i = 0; i < from.pieces[w]!; i++) {
    const address = Number(arena.view.getBigUint64(at + 16 * i, true)) - base;
    const bytes = Number(arena.view.getBigUint64(at + 16 * i + 8, true));
    for (const byte of arena.u8.subarray(address, address + bytes)) parts.push(byte);
  }
  return Uint8Array.from(parts);
}

function run(packets: readonly Uint8Array[]): number[][] {
  coalescer.reset();
  add(packets);
  return members(coalescer.finish());
}

/** `count` segments of one connection. */
function stream(packet: Packet, count: number, segment: number): Uint8Array[] {
  return slowSegment({ ...packet, payload: new Uint8Array(count * segment).fill(7) }, segment);
}

const seed = seedOf(11);

t.test(`coalesce after segment is the identity, seed ${seed}`, t => {
  const random = seeded(seed);
  for (let i = 0; i < 60; i++) {
    const segment = 100 + random.below(1300);
    const packet = randomPacket(random, randomFlow(random), 1 + random.below(segment * 30));
    packet.flags = random.pick([0x10, 0x18]);
    const parts = slowSegment(packet, segment);
    const writes = run(parts);
    t.strictSame(writes, [parts.map((_, k) => k)]);
    const bytes = written(0);
    t.equal(bytes.length, coalescer.writeBytes[0]);
    const whole = parse(bytes.subarray(10));
    t.strictSame(whole, parse(build(packet)), 'the packet that was cut');
    t.ok(
      slowDeliver(bytes).every((part, k) => same(part, parts[k])),
      'and the kernel cuts it again',
    );
  }
  t.end();
});

t.test(`random traffic is grouped as the twin groups it, and comes out whole, seed ${seed}`, t => {
  const random = seeded(seed + 1);
  for (let i = 0; i < 150; i++) {
    const packets = traffic(random);
    const kinds = { tcp: random.chance(0.9), udp: random.chance(0.9) };
    coalescer.tcp = kinds.tcp;
    coalescer.udp = kinds.udp;
    const writes = run(packets);
    const expected = slowCoalesce(packets, kinds);
    if (JSON.stringify(writes) === JSON.stringify(expected)) t.pass(`run ${i}`);
    else {
      // Two flows in one slot of the flow table join less than they could, which is allowed. Alone they must agree.
      for (const flow of new Set(packets.map(flowOf))) {
        const own = packets.filter(bytes => flowOf(bytes) === flow);
        t.strictSame(run(own), slowCoalesce(own, kinds), `run ${i}`);
      }
      continue;
    }
    const out: string[] = [];
    for (let w = 0; w < writes.length; w++) {
      const delivered = slowDeliver(written(w));
      if (delivered.length !== writes[w]!.length) t.fail('a packet lost or made');
      if (delivered.length > 1) delivered.forEach(bytes => out.push(essence(bytes)));
      else out.push(essence(delivered[0]!));
    }
    t.strictSame(out.sort(), packets.map(essence).sort());
    // the originals are untouched
    for (let p = 0; p < packets.length; p++) {
      const at = coalescer.packetAt[p]!;
      if (!same(arena.u8.subarray(at, at + packets[p]!.length), packets[p]))
        t.fail('an original has changed');
    }
  }
  coalescer.tcp = coalescer.udp = true;
  t.end();
});

function flowOf(bytes: Uint8Array): string {
  const { version, protocol, source, destination, sourcePort } = parse(bytes);
  return [version, protocol, ...source, ...destination, sourcePort].join();
}

/** All of a packet but what joining may lose: the id of one that is never fragmented, and a window that was overtaken. */
function essence(bytes: Uint8Array): string {
  const copy = bytes.slice();
  if (copy[0]! >> 4 === 4 && (copy[6]! & 0x40) !== 0) copy.fill(0, 4, 6);
  if (copy[0]! >> 4 === 4) copy.fill(0, 10, 12);
  const transport = copy[0]! >> 4 === 4 ? 20 : 40;
  if (copy[transport === 20 ? 9 : 6] === 6) {
    copy.fill(0, transport + 14, transport + 18);
  }
  return copy.join();
}

/** A few flows, mixed: mostly in order, sometimes swapped, short, pushed, changed or broken. */
function traffic(random: Rng): Uint8Array[] {
  const flows = Array.from({ length: 1 + random.below(4) }, () => {
    const packet = randomPacket(random, randomFlow(random), 0);
    return { packet, segment: 20 + random.below(200) };
  });
  const packets: Uint8Array[] = [];
  for (let i = 0; i < 5 + random.below(60); i++) {
    const flow = random.pick(flows);
    const { packet } = flow;
    const size = random.chance(0.9) ? flow.segment : random.below(flow.segment + 40);
    packet.payload = random.bytes(size);
    const odd = random.below(60);
    if (odd === 0) packet.acknowledge = random.u32();
    if (odd === 1) packet.ttl = 1 + random.below(255);
    if (odd === 2) packet.tos ^= 3;
    if (odd === 3) packet.dontFragment = !packet.dontFragment;
    if (odd === 4) packet.options = random.bytes(packet.options.length);
    if (odd === 5) packet.id = random.below(65536);
    packet.flags = random.chance(0.93)
      ? 0x10
      : random.pick([0x18, 0x11, 0x02, 0x14, 0x30, 0x50, 0x90, 0x110]);
    const bytes = build(packet);
    if (random.chance(0.03)) bytes[random.below(bytes.length - 24) + 24]! ^= 1 << random.below(8);
    if (isWellFormed(bytes)) packets.push(bytes);
    packet.sequence = (packet.sequence + size) % 2 ** 32;
    packet.id = (packet.id + 1) % 65536;
  }
  for (let k = 1; k < packets.length; k++) {
    if (random.chance(0.05)) [packets[k - 1], packets[k]] = [packets[k]!, packets[k - 1]!];
  }
  return packets;
}

/** What `parse` can read: flipped bits may have made options of nothing. */
function isWellFormed(bytes: Uint8Array): boolean {
  const transport = bytes[0]! >> 4 === 4 ? 20 : 40;
  const isTcp = bytes[transport === 20 ? 9 : 6] === 6;
  const offset = (bytes[transport + 12]! >> 4) * 4;
  return !isTcp || (offset >= 20 && transport + offset <= bytes.length);
}

t.test('a single packet is written in place, its checksum vouched for', t => {
  const packet = build(randomPacket(seeded(1), randomFlow(seeded(1)), 50));
  t.strictSame(run([packet]), [[0]]);
  t.equal(coalescer.writeAt[0], received + 6);
  t.equal(coalescer.pieces[0], 0);
  t.ok(same(written(0), Uint8Array.of(2, ...new Uint8Array(9), ...packet)));
  t.end();
});

t.test('reordered segments are put in front', t => {
  const packet = { ...randomPacket(seeded(2), randomFlow(seeded(2), 'tcp'), 0), dontFragment: true };
  const parts = stream(packet, 4, 100);
  t.strictSame(run([parts[1]!, parts[0]!, parts[2]!, parts[3]!]), [[1, 0, 2, 3]]);
  t.strictSame(run([parts[2]!, parts[1]!, parts[0]!]), [[2, 1, 0]]);
  const long = slowSegment({ ...packet, payload: new Uint8Array(150) }, 100);
  t.strictSame(run([long[1]!, long[0]!]), [[1, 0]], 'a longer one before the only one');
  t.strictSame(run([long[1]!, long[0]!, parts[0]!]).length, 2, 'then nothing follows the short one');
  t.end();
});

t.test('packets of a flow do not overtake what cannot be joined', t => {
  const packet = { ...randomPacket(seeded(3), randomFlow(seeded(3), 'tcp'), 0), dontFragment: true };
  const parts = stream(packet, 3, 100);
  const bare = build({ ...packet, flags: 0x10, payload: new Uint8Array(0) });
  t.strictSame(run([parts[0]!, bare, parts[1]!, parts[2]!]), [[0], [1], [2, 3]]);
  t.end();
});

t.test('fragments, options and extension headers stay alone', t => {
  const flow = { ...randomFlow(seeded(4), 'udp'), version: 4 as const };
  flow.source = flow.source.slice(0, 4);
  flow.destination = flow.destination.slice(0, 4);
  const plain = build({ ...randomPacket(seeded(4), flow, 100), dontFragment: true });
  t.strictSame(run([plain, plain]), [[0, 1]]);
  const fragment = plain.slice();
  fragment[6] = 0x20;
  t.equal(run([fragment, fragment]).length, 2, 'first fragment');
  fragment[6] = 0;
  fragment[7] = 9;
  t.equal(run([fragment, fragment]).length, 2, 'later fragment');
  const options = Uint8Array.of(0x46, ...plain.subarray(1, 20), 1, 1, 1, 1, ...plain.subarray(20));
  options.set(big(options.length, 2), 2);
  t.equal(run([options, options]).length, 2, 'IPv4 options');
  const six = build(
    randomPacket(
      seeded(5),
      { ...flow, version: 6, source: seeded(6).bytes(16), destination: seeded(7).bytes(16) },
      80,
    ),
  );
  t.strictSame(run([six, six]), [[0, 1]]);
  const extended = Uint8Array.of(...six.subarray(0, 40), 17, 0, 0, 0, 0, 0, 0, 0, ...six.subarray(40));
  extended[6] = 60;
  extended.set(big(extended.length - 40, 2), 4);
  t.equal(run([extended, extended]).length, 2, 'destination options');
  const unsummed = plain.slice();
  unsummed.fill(0, 26, 28);
  t.equal(run([unsummed, unsummed]).length, 2, 'UDP without a checksum');
  const echo = plain.slice();
  echo[9] = 1;
  t.equal(run([echo, echo]).length, 2, 'ICMP');
  t.end();
});

t.test('flows that share their ports and meet in the flow table are not joined', t => {
  const random = seeded(16);
  for (const version of [4, 6] as const) {
    const flow = { ...randomFlow(random, 'udp'), version };
    const packets = Array.from({ length: 200 }, () => {
      const [source, destination] = [
        random.bytes(version === 4 ? 4 : 16),
        random.bytes(version === 4 ? 4 : 16),
      ];
      return build({ ...randomPacket(seeded(16), { ...flow, source, destination }, 20), dontFragment: true });
    });
    t.equal(run(packets).length, 200);
  }
  t.end();
});

t.test('a broken packet is passed on as it is, not repaired', t => {
  const packet = { ...randomPacket(seeded(8), randomFlow(seeded(8), 'tcp'), 0), dontFragment: true };
  const parts = stream(packet, 4, 100);
  const broken = (i: number): Uint8Array[] =>
    parts.map((bytes, k) =>
      k === i ? bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)) : bytes,
    );
  t.strictSame(run(broken(0)), [[0], [1, 2, 3]]);
  t.strictSame(run(broken(2)), [[0, 1], [2], [3]]);
  t.strictSame(run(broken(3)), [[0, 1, 2], [3]]);
  const four = { ...randomFlow(seeded(8), 'udp'), version: 4 as const, source: seeded(8).bytes(4) };
  four.destination = seeded(9).bytes(4);
  const sound = build({ ...randomPacket(seeded(8), four, 100), dontFragment: true });
  const header = sound.slice();
  header[11]! ^= 1;
  t.strictSame(run([sound, header, sound]), [[0], [1], [2]], 'IPv4 header checksum');
  t.end();
});

t.test('limits: 64 datagrams, 64 KiB', t => {
  const flow = randomFlow(seeded(9), 'udp');
  const datagram = build({ ...randomPacket(seeded(9), flow, 10), dontFragment: true });
  const many = Array.from({ length: 100 }, () => datagram);
  t.strictSame(
    run(many).map(list => list.length),
    [64, 36],
  );
  const packet = { ...randomPacket(seeded(10), randomFlow(seeded(10), 'tcp'), 0), dontFragment: true };
  packet.payload = new Uint8Array(60000);
  const more = { ...packet, sequence: (packet.sequence + 60000) % 2 ** 32, payload: new Uint8Array(6000) };
  t.strictSame(run([build(packet), build(more)]), [[0], [1]]);
  t.end();
});

t.test('the newest window is kept', t => {
  const packet = {
    ...randomPacket(seeded(12), randomFlow(seeded(12), 'tcp'), 100),
    dontFragment: true,
    window: 1,
  };
  const next = { ...packet, sequence: (packet.sequence + 100) % 2 ** 32, window: 2 };
  t.strictSame(run([build(packet), build(next)]), [[0, 1]]);
  t.equal(parse(written(0).subarray(10)).window, 2);
  t.end();
});

t.test('a refused kind is off, and the packets are still there', t => {
  const tcp = { ...randomPacket(seeded(13), randomFlow(seeded(13), 'tcp'), 0), dontFragment: true };
  const udp = { ...randomPacket(seeded(14), randomFlow(seeded(14), 'udp'), 0), dontFragment: true };
  const packets = [...stream(tcp, 2, 100), ...stream(udp, 2, 100)];
  const own = new Coalescer(arena, checksum, { base, pointerBytes: 8 });
  add(packets, own);
  t.equal(own.finish(), 2);
  own.refuse(1);
  t.strictSame([own.tcp, own.udp], [true, false]);
  own.refuse(0);
  t.strictSame([own.tcp, own.udp], [false, false]);
  for (let p = own.first[0]!, k = 0; p >= 0; p = own.next[p]!, k++) {
    const at = own.packetAt[p]! - 10;
    const bytes = arena.u8.subarray(at, at + 10 + own.packetBytes[p]!);
    t.ok(same(bytes, Uint8Array.of(2, ...new Uint8Array(9), ...packets[k]!)));
  }
  own.reset();
  add(packets, own);
  t.equal(own.finish(), 4);
  t.equal(own.joined, 2);
  t.end();
});

t.test('a full coalescer says so; the next batch is new', t => {
  const own = new Coalescer(arena, checksum, { base: 4096, pointerBytes: 4 }, 4);
  const packet = { ...randomPacket(seeded(15), randomFlow(seeded(15), 'tcp'), 0), dontFragment: true };
  const parts = stream(packet, 5, 100);
  add(parts, own);
  t.ok(own.full);
  t.equal(own.finish(), 1);
  t.equal(own.pieces[0], 5);
  t.equal(
    arena.view.getUint32(own.writeAt[0]! + 8, true),
    4096 + received + 16 + parts[0]!.length - 100,
    '32-bit iovec',
  );
  t.equal(arena.view.getUint32(own.writeAt[0]! + 12, true), 100);
  t.equal(number(arena.u8.slice(received + 16, received + 17), 0, 1) >> 4, packet.version);
  own.reset();
  t.notOk(own.full);
  own.add(received + 16, parts[0]!.length);
  t.equal(own.finish(), 1);
  t.equal(own.pieces[0], 0);
  t.end();
});
