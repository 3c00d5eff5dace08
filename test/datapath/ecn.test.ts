import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { innerEcn, mergedEcn, outerEcn } from '../../src/datapath/ecn.ts';
import { build, fault, parse, randomFlow, randomPacket } from '../fixtures/packets/packets.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

// Not-ECT, ECT(1), ECT(0), CE are 0, 1, 2, 3
t.test('outwards: inner CE leaves as ECT(0)', t => {
  t.strictSame([0, 1, 2, 3].map(outerEcn), [0, 1, 2, 2]);
  t.end();
});

t.test('inwards: RFC 6040 figure 4, CE over Not-ECT passed unchanged', t => {
  const table = [0, 1, 2, 3].map(inner => [0, 1, 2, 3].map(outer => mergedEcn(outer, inner)));
  t.strictSame(table, [
    [0, 0, 0, 0],
    [1, 1, 1, 3],
    [2, 1, 2, 3],
    [3, 3, 3, 3],
  ]);
  t.end();
});

const seed = seedOf(21);
t.test(`the header checksum stays right, seed ${seed}`, t => {
  const random = seeded(seed);
  const arena = new Arena(new ArrayBuffer(4096));
  for (let i = 0; i < 500; i++) {
    const packet = randomPacket(random, randomFlow(random), 20);
    const bytes = build(packet);
    const outer = random.below(4);
    arena.u8.set(bytes, 5);
    innerEcn(arena, 5, outer);
    const after = arena.u8.slice(5, 5 + bytes.length);
    const expected = { ...packet, tos: (packet.tos & ~3) | mergedEcn(outer, packet.tos & 3) };
    if (fault(after) !== null) t.fail(fault(after)!);
    t.strictSame(parse(after), parse(build(expected)));
  }
  const packet = { ...randomPacket(random, randomFlow(random), 0), tos: 2 };
  arena.u8.set(build(packet), 5);
  innerEcn(arena, 5);
  t.equal(parse(arena.u8.slice(5, 200)).tos, 3, 'CE unless said otherwise');
  t.end();
});
