import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { createChecksum } from '../../src/datapath/checksum.ts';
import { Unreachable } from '../../src/datapath/unreachable.ts';
import { build, number, randomFlow, randomPacket, slowChecksum } from '../fixtures/packets/packets.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

const arena = new Arena(new ArrayBuffer(1 << 18), 64);
const checksum = createChecksum(null, arena);
const input = arena.alloc(70000);

function answer(packet: Uint8Array, unreachable = new Unreachable(arena, checksum)): Uint8Array {
  arena.u8.set(packet, input);
  const bytes = unreachable.build(0, input, packet.length);
  return arena.u8.slice(unreachable.at, unreachable.at + bytes);
}

const seed = seedOf(31);
t.test(`host and address unreachable, seed ${seed}`, t => {
  const random = seeded(seed);
  for (let i = 0; i < 60; i++) {
    const flow = randomFlow(random);
    const packet = build(randomPacket(random, flow, random.below(2000)));
    const out = answer(packet);
    if (flow.version === 4) {
      const quoted = Math.min(packet.length, 548);
      t.equal(out.length, 28 + quoted);
      t.equal(number(out, 2, 2), out.length);
      t.equal(slowChecksum(out.subarray(0, 20)), 0, 'IPv4 header');
      t.equal(slowChecksum(out.subarray(20)), 0, 'ICMP');
      t.strictSame([...out.subarray(20, 22)], [3, 1]);
      t.equal(out[9], 1);
      t.strictSame(out.slice(12, 16), flow.destination, 'from the address that cannot be reached');
      t.strictSame(out.slice(16, 20), flow.source);
      t.strictSame(out.slice(28), packet.slice(0, quoted));
    } else {
      const quoted = Math.min(packet.length, 1232);
      t.equal(out.length, 48 + quoted);
      t.equal(number(out, 4, 2), out.length - 40);
      t.strictSame([...out.subarray(40, 42)], [1, 3]);
      t.equal(out[6], 58);
      t.strictSame(out.slice(8, 24), flow.destination);
      t.strictSame(out.slice(24, 40), flow.source);
      const pseudo = [...out.subarray(8, 40), 0, 0, ...out.subarray(4, 6), 0, 0, 0, 58];
      t.equal(slowChecksum(Uint8Array.of(...pseudo, ...out.subarray(40))), 0, 'ICMPv6');
      t.strictSame(out.slice(48), packet.slice(0, quoted));
    }
  }
  t.end();
});

t.test('silence towards errors, groups, fragments and nonsense: IPv4', t => {
  const header = (
    change: Partial<Record<number, number>>,
    rest: number[] = [8, 0, 0, 0, 0, 0, 0, 0],
  ): Uint8Array => {
    const bytes = Uint8Array.of(0x45, 0, 0, 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, ...rest);
    for (const [at, value] of Object.entries(change)) bytes[Number(at)] = value!;
    return bytes;
  };
  const isSilent = (bytes: Uint8Array): boolean => answer(bytes).length === 0;
  t.notOk(isSilent(header({})), 'an echo request is answered');
  t.notOk(isSilent(header({ 6: 0x20 })), 'so is a first fragment');
  for (const type of [3, 4, 5, 11, 12, 40])
    t.ok(isSilent(header({}, [type, 0, 0, 0, 0, 0, 0, 0])), `ICMP ${type}`);
  t.ok(isSilent(header({ 7: 1 })), 'later fragment');
  t.ok(isSilent(header({ 6: 0x01 })), 'later fragment');
  for (const first of [0, 127, 224, 240, 255]) t.ok(isSilent(header({ 12: first })), `from ${first}/8`);
  for (const first of [0, 224, 255]) t.ok(isSilent(header({ 16: first })), `to ${first}/8`);
  t.ok(isSilent(header({ 0: 0x44 })));
  t.ok(isSilent(header({ 0: 0x4f })), 'options beyond the end');
  t.ok(isSilent(header({ 0: 0x75 })), 'no IP version');
  t.ok(isSilent(header({}).subarray(0, 19)));
  t.ok(isSilent(header({}).subarray(0, 20)), 'ICMP of unknown type');
  t.end();
});

t.test('silence towards errors, groups, fragments and nonsense: IPv6', t => {
  const header = (next: number, rest: number[], change: Partial<Record<number, number>> = {}): Uint8Array => {
    const bytes = new Uint8Array(40 + rest.length);
    bytes.set([0x60, 0, 0, 0, 0, rest.length, next, 64, 0xfd], 0);
    bytes[24] = 0xfd;
    bytes.set(rest, 40);
    for (const [at, value] of Object.entries(change)) bytes[Number(at)] = value!;
    return bytes;
  };
  const isSilent = (bytes: Uint8Array): boolean => answer(bytes).length === 0;
  t.notOk(isSilent(header(58, [128, 0])), 'an echo request is answered');
  t.notOk(isSilent(header(0, [58, 0, 0, 0, 0, 0, 0, 0, 128, 0])), 'behind hop-by-hop options too');
  t.notOk(isSilent(header(44, [17, 0, 0, 1, 0, 0, 0, 0, 1, 2])), 'first fragment');
  t.ok(isSilent(header(44, [17, 0, 0, 8, 0, 0, 0, 0, 1, 2])), 'later fragment');
  t.ok(isSilent(header(58, [1, 3])), 'an error');
  t.ok(isSilent(header(58, [137, 0])), 'a redirect');
  t.ok(isSilent(header(58, [])), 'ICMPv6 of unknown type');
  t.ok(isSilent(header(60, [58, 0, 0, 0, 0, 0, 0, 0, 1, 0])), 'an error behind options');
  t.ok(isSilent(header(60, [58, 200, 0, 0])), 'options beyond the end');
  t.ok(isSilent(header(58, [128, 0], { 8: 0xff })), 'from a group');
  t.ok(isSilent(header(58, [128, 0], { 8: 0 })), 'from nobody');
  t.ok(isSilent(header(58, [128, 0], { 24: 0xff })), 'to a group');
  t.ok(isSilent(header(58, []).subarray(0, 39)));
  t.end();
});

t.test('a token bucket', t => {
  const unreachable = new Unreachable(arena, checksum, { perSecond: 10, burst: 2 });
  const packet = build(randomPacket(seeded(1), randomFlow(seeded(1)), 10));
  arena.u8.set(packet, input);
  const at = (now: number): boolean => unreachable.build(now, input, packet.length) > 0;
  t.strictSame([at(5000), at(5000), at(5000)], [true, true, false]);
  t.strictSame([at(5099), at(5101), at(5102)], [false, true, false]);
  t.strictSame([at(9000), at(9000), at(9000)], [true, true, false], 'never more than the burst');
  t.end();
});
