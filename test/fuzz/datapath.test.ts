// Packet work under mutated and random input from both sides: TUN reads into the segmenter, decrypted packets into the
// coalescer, the ICMP builder and the ECN fix-up. Invariant: a verdict each time, never a throw, nothing written outside
// the memory each of them owns, and what comes out is well-formed. SEED= replays, FUZZ_RUNS= goes on for longer.

import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { SendBatch } from '../../src/datapath/batch.ts';
import { createChecksum } from '../../src/datapath/checksum.ts';
import { Coalescer } from '../../src/datapath/coalesce.ts';
import { innerEcn } from '../../src/datapath/ecn.ts';
import { ipLength } from '../../src/datapath/inet.ts';
import { Segmenter } from '../../src/datapath/segment.ts';
import { Unreachable } from '../../src/datapath/unreachable.ts';
import { randomFlow, randomPacket } from '../fixtures/packets/packets.ts';
import type { Rng } from '../fixtures/rng.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';
import { slowSegment, superPacket } from '../fixtures/twins/slow-segment.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = seedOf(1);
const guardBytes = 128;
const guards: number[] = [];
const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
const arena = new Arena(memory.buffer, 64);
const { u8, view } = arena;

/** Makes a part of the data path with untouchable bytes on either side of its memory. */
function guarded<T>(make: () => T): T {
  guards.push(arena.alloc(guardBytes));
  const made = make();
  guards.push(arena.alloc(guardBytes));
  return made;
}

const checksum = createChecksum(memory, arena);
const segmenter = guarded(() => new Segmenter(arena, checksum, 1420));
const batch = guarded(() => new SendBatch(arena, { bytes: 65664, packets: 40 }));
const coalescer = guarded(() => new Coalescer(arena, checksum, { base: 0, pointerBytes: 8 }, 32));
const unreachable = guarded(() => new Unreachable(arena, checksum, { perSecond: Infinity, burst: Infinity }));
const input = guarded(() => arena.alloc(66000));
const received = guarded(() => arena.alloc(66000));
for (const at of guards) u8.fill(0xa5, at, at + guardBytes);

function broken(): boolean {
  for (const at of guards) {
    for (let i = 0; i < guardBytes; i += 4) if (view.getUint32(at + i) !== 0xa5a5a5a5) return true;
  }
  return false;
}

function corpus(random: Rng): Uint8Array[] {
  return Array.from({ length: 60 }, (_, i) => {
    const packet = randomPacket(random, randomFlow(random), random.below(i % 10 === 0 ? 9000 : 900));
    return superPacket(packet, random.chance(0.3) ? 0 : 1 + random.below(random.pick([10, 400, 1400])));
  });
}

function mutate(random: Rng, read: Uint8Array): Uint8Array {
  if (random.chance(0.02)) return random.bytes(random.below(200));
  const bytes = random.chance(0.2) ? read.slice(0, random.below(read.length + 1)) : read.slice();
  if (bytes.length === 0) return bytes;
  for (let i = random.below(5); i > 0; i--) {
    // mostly in the headers, often a value on an edge
    const at = random.below(random.chance(0.9) ? Math.min(bytes.length, 90) : bytes.length);
    bytes[at] = random.pick([0, 1, 0x0f, 0x40, 0x45, 0x60, 0x7f, 0x80, 0xff, random.u32() & 255]);
  }
  return bytes;
}

t.test(`segmenter, ${runs} runs, seed ${seed}`, t => {
  const random = seeded(seed);
  const bases = corpus(random);
  const verdicts = { ok: 0, malformed: 0, unsupported: 0 };
  let fault = '';
  for (let run = 0; run < runs && fault === ''; run++) {
    const bytes = mutate(random, random.pick(bases));
    let at = input;
    let head = bytes.length;
    if (random.chance(0.3)) batch.reset();
    if (random.chance(0.5) && batch.fits(1420)) {
      at = batch.readAt;
      head = Math.min(head, segmenter.headBytes);
      u8.set(bytes.subarray(head), segmenter.spillAt + head);
    }
    u8.set(bytes.subarray(0, head), at);
    const verdict = segmenter.begin(at, bytes.length, head);
    verdicts[verdict]++;
    if (verdict === 'ok') {
      for (let turn = 0; !segmenter.fill(batch); turn++) {
        if (turn > 66000) fault = 'no end';
        batch.reset();
      }
    }
    for (let i = 0; i < batch.count; i++) {
      const length = ipLength(view, batch.packetAt[i]! + 16, batch.packetBytes[i]!);
      if (length === 0) fault = 'a packet the other side will refuse';
    }
    let grouped = 0;
    for (let g = 0; g < batch.groups; g++) grouped += batch.groupBytes[g]!;
    let end = batch.at;
    for (let i = 0; i < batch.count; i++) {
      if (batch.packetAt[i] !== end) fault = 'a gap';
      end += 32 + batch.packetBytes[i]!;
    }
    if (end !== batch.at + grouped) fault = 'groups do not cover the batch';
    if (broken()) fault = 'a write outside';
    if (fault !== '') fault += ` in run ${run}`;
  }
  t.equal(fault, '');
  for (const [verdict, count] of Object.entries(verdicts)) t.ok(count > runs / 1000, `${verdict}: ${count}`);
  t.end();
});

t.test(`coalescer, unreachable, ECN, ${runs} packets, seed ${seed}`, t => {
  const random = seeded(seed + 1);
  const flows = Array.from({ length: 60 }, () => {
    const size = 1 + random.below(random.pick([20, 400, 1400]));
    return slowSegment(
      { ...randomPacket(random, randomFlow(random), size * 40), options: random.bytes(12) },
      size,
    );
  });
  let fault = '';
  let joined = 0;
  for (let run = 0; run < runs && fault === '';) {
    coalescer.reset();
    let at = received;
    let accepted = 0;
    const flow = random.pick(flows);
    const outer = random.below(4);
    const last = random.below(40);
    for (let i = 0; i < last && at < received + 60000; i++, run++) {
      const segment = flow[random.chance(0.9) ? i : random.below(40)]!;
      const bytes = random.chance(0.8) ? segment : mutate(random, segment);
      u8.set(bytes, at + 16);
      const length = ipLength(view, at + 16, bytes.length);
      const answer = unreachable.build(run, at + 16, bytes.length);
      if (answer !== 0 && ipLength(view, unreachable.at, answer) !== answer) fault = 'a bad answer';
      if (length > 0) {
        innerEcn(arena, at + 16, outer);
        if (coalescer.add(at + 16, length)) accepted++;
        else if (!coalescer.full) fault = 'refused for no reason';
      }
      at += bytes.length + 32;
    }
    const writes = coalescer.finish();
    const seen = new Set<number>();
    for (let w = 0; w < writes; w++) {
      for (let p = coalescer.first[w]!; p >= 0; p = coalescer.next[p]!) {
        if (seen.has(p)) fault = 'a packet twice';
        seen.add(p);
      }
      if (coalescer.pieces[w] === 0) continue;
      joined++;
      let bytes = 0;
      for (let piece = 0; piece < coalescer.pieces[w]!; piece++) {
        const iovec = coalescer.writeAt[w]! + 16 * piece;
        const from = view.getUint32(iovec, true);
        const size = view.getUint32(iovec + 8, true);
        bytes += size;
        if (piece > 0 && (from < received || from + size > at)) fault = 'a piece from elsewhere';
      }
      if (bytes !== coalescer.writeBytes[w]) fault = 'pieces do not add up';
    }
    if (seen.size !== accepted) fault = 'a packet lost';
    if (broken()) fault = 'a write outside';
    if (fault !== '') fault += ` by run ${run}`;
  }
  t.equal(fault, '');
  t.ok(joined > runs / 1000, `${joined} super-packets`);
  t.end();
});
