// Two flows against each other over a link that loses, doubles, delays, reorders and corrupts, in virtual time: every byte arrives in order
// or the flow says that it ended, and nothing is left over.

import t, { type Test } from 'tap';
import { createChecksum, type Checksum } from '../../../src/datapath/checksum.ts';
import { pseudoSum, protocol } from '../../../src/datapath/inet.ts';
import { type FlowEnd, TcpFlow } from '../../../src/forward/tcp/flow.ts';
import { flag, Segment } from '../../../src/forward/tcp/header.ts';
import { PacketHead } from '../../../src/forward/tcp/packethead.ts';
import { Arena } from '../../../src/util/arena.ts';
import { type Rng, seeded, seedOf } from '../../fixtures/rng.ts';

const addresses = [Uint8Array.of(10, 77, 0, 2), Uint8Array.of(192, 0, 2, 1)] as const;
const six = [new Uint8Array(16).fill(0xfd), new Uint8Array(16).fill(0x20)] as const;

interface Weather {
  readonly loss: number;
  readonly double: number;
  readonly reorder: number;
  readonly corrupt: number;
  readonly delayMs: number;
}

const fair: Weather = { loss: 0, double: 0, reorder: 0, corrupt: 0, delayMs: 10 };

/** What one application has to say, and what it heard. */
class End {
  readonly flow: TcpFlow;
  readonly toSend: Uint8Array;
  readonly heard: Uint8Array;
  heardBytes = 0;
  sentBytes = 0;
  backlog = 0;
  isSlow = false;
  isOpen = false;
  hasHeardEnd = false;
  how: FlowEnd | null = null;
  readonly #chunk: number;

  constructor(world: World, side: 0 | 1, toSend: Uint8Array, expected: number, syn: Segment | null) {
    const pair = world.isSix ? six : addresses;
    const head = new PacketHead(world.checksum, pair[side], 1000 + side, pair[1 - side]!, 1001 - side);
    this.toSend = toSend;
    this.heard = new Uint8Array(expected);
    this.#chunk = 1 + world.rng.below(20_000);
    this.flow = new TcpFlow(world.now, head, world.rng.u32() | 0, this, world.limits, syn);
  }

  deliver(bytes: Uint8Array): void {
    this.heard.set(bytes, this.heardBytes);
    this.heardBytes += bytes.length;
    if (this.isSlow) this.backlog += bytes.length;
  }
  opened(): void {
    this.isOpen = true;
    this.say();
  }
  finished(): void {
    this.hasHeardEnd = true;
  }
  drained(): void {
    this.say();
  }
  ended(how: FlowEnd): void {
    this.how = how;
  }
  say(): void {
    if (!this.isOpen) return;
    while (this.sentBytes < this.toSend.length) {
      const end = Math.min(this.toSend.length, this.sentBytes + this.#chunk);
      const isRoom = this.flow.send(this.toSend.subarray(this.sentBytes, end));
      this.sentBytes = end;
      if (!isRoom && end < this.toSend.length) return;
    }
    this.flow.finish();
  }
}

class World {
  now = 1000;
  readonly rng: Rng;
  readonly weather: Weather;
  readonly isSix: boolean;
  readonly limits: { mtu: number; bufferBytes: number; keepaliveMs: number };
  readonly arena = new Arena(new ArrayBuffer(65536));
  readonly checksum: Checksum = createChecksum(null, this.arena);
  readonly #air: { at: number; to: 0 | 1; packet: Uint8Array }[] = [];
  readonly ends: (End | null)[] = [null, null];
  readonly #segment = new Segment();
  readonly #answer: Uint8Array;
  packets = 0;
  corrupted = 0;

  constructor(
    seed: number,
    weather: Partial<Weather>,
    bytes: readonly [number, number],
    bufferBytes = 65536,
  ) {
    this.rng = seeded(seed);
    this.weather = { ...fair, ...weather };
    this.isSix = seed % 2 === 1;
    this.limits = { mtu: 1420, bufferBytes, keepaliveMs: 300_000 };
    const draw = (length: number): Uint8Array => Uint8Array.from({ length }, () => this.rng.below(256));
    const asked = draw(bytes[0]);
    this.#answer = draw(bytes[1]);
    this.ends[0] = new End(this, 0, asked, bytes[1], null);
    this.ends[0].flow.connect();
  }

  /** Until nothing moves any more, or `untilMs` of virtual time. */
  run(untilMs: number): void {
    const end = this.now + untilMs;
    while (this.now < end) {
      for (const side of [0, 1] as const) this.#emit(side);
      const next = Math.min(
        ...this.#air.map(({ at }) => at),
        ...this.ends.map(side => side?.flow.deadline ?? Infinity),
      );
      if (next === Infinity) return;
      this.now = Math.max(this.now, next);
      if (this.now >= end) return;
      for (const side of this.ends)
        if (side !== null && side.flow.deadline <= this.now) side.flow.poll(this.now);
      for (let i = 0; i < this.#air.length;)
        if (this.#air[i]!.at <= this.now) this.#land(this.#air.splice(i, 1)[0]!);
        else i++;
    }
  }

  get inAir(): number {
    return this.#air.length;
  }

  #emit(side: 0 | 1): void {
    const end = this.ends[side];
    if (end === null || end === undefined) return;
    for (let bytes; (bytes = end.flow.next(this.now, this.arena, 64)) > 0;) {
      this.packets++;
      const copies = this.rng.chance(this.weather.double) ? 2 : 1;
      for (let n = 0; n < copies; n++) {
        if (this.rng.chance(this.weather.loss)) continue;
        const packet = this.arena.u8.slice(64, 64 + bytes);
        if (this.rng.chance(this.weather.corrupt)) packet[this.rng.below(bytes)]! ^= 1 << this.rng.below(8);
        const late = this.rng.chance(this.weather.reorder) ? this.rng.below(30) : 0;
        this.#air.push({ at: this.now + this.weather.delayMs + late, to: side === 0 ? 1 : 0, packet });
      }
    }
  }

  #land({ to, packet }: { to: 0 | 1; packet: Uint8Array }): void {
    this.arena.u8.set(packet, 64);
    const { view } = this.arena;
    const ipBytes = this.isSix ? 40 : 20;
    const bytes = packet.length - ipBytes;
    const version = this.isSix ? 6 : 4;
    const pseudo = pseudoSum(view, 64, version, protocol.tcp, bytes);
    if (this.checksum.sum(64 + ipBytes, bytes, pseudo) !== 0xffff) {
      this.corrupted++;
      return;
    }
    if (!this.#segment.read(view, 64 + ipBytes, bytes)) return;
    if (to === 1 && this.ends[1] === null) {
      if (this.#segment.flags !== flag.syn) return;
      const asked = this.ends[0]!.toSend.length;
      this.ends[1] = new End(this, 1, this.#answer, asked, this.#segment);
      this.ends[1].flow.accept();
      return;
    }
    const end = this.ends[to]!;
    if (end.how === null) end.flow.input(this.now, this.#segment, this.arena.u8);
  }
}

function check(t: Test, world: World, what: string): void {
  const [asker, answerer] = world.ends as [End, End];
  t.strictSame([asker.how, answerer.how], ['closed', 'closed'], `${what}: both closed`);
  t.equal(answerer.heardBytes, asker.toSend.length, `${what}: all of the question`);
  t.ok(Buffer.compare(answerer.heard, asker.toSend) === 0, `${what}: the question`);
  t.equal(asker.heardBytes, answerer.toSend.length, `${what}: all of the answer`);
  t.ok(Buffer.compare(asker.heard, answerer.toSend) === 0, `${what}: the answer`);
  t.equal(asker.hasHeardEnd && answerer.hasHeardEnd, true, `${what}: both heard the end`);
  for (const { flow } of [asker, answerer]) {
    t.equal(flow.deadline, Infinity, `${what}: no timer is left`);
    t.equal(flow.sender.queue.bytes, 0, `${what}: no byte is left`);
  }
  t.equal(world.inAir, 0, `${what}: no packet is left`);
}

t.test('a fair link', async t => {
  const world = new World(2, {}, [300_000, 500_000]);
  world.run(60_000);
  check(t, world, 'fair');
});

t.test('IPv6, one byte and none', async t => {
  const world = new World(1, {}, [1, 0]);
  world.run(60_000);
  check(t, world, 'small');
});

const seed = seedOf(20_261_128);
t.test(`any weather (seed ${seed})`, async t => {
  const draw = seeded(seed);
  for (let n = 0; n < 60; n++) {
    const weather = {
      loss: draw.below(15) / 100,
      double: draw.below(10) / 100,
      reorder: draw.below(30) / 100,
      corrupt: draw.below(5) / 100,
      delayMs: draw.below(60),
    };
    const one = draw.u32();
    const world = new World(one, weather, [draw.below(200_000), draw.below(200_000)], 8192 << draw.below(5));
    world.run(3_600_000);
    const what = `${n}: seed ${one} ${JSON.stringify(weather)}`;
    if (world.ends.every(end => end?.how === 'closed')) check(t, world, what);
    else
      t.fail(`${what}: ${world.ends.map(end => `${end?.how} ${end?.flow.state} ${end?.heardBytes}`).join()}`);
  }
});

t.test('a reader that stops: the window shuts, memory stays bounded, probes find it open again', async t => {
  const world = new World(4, { loss: 0.05 }, [400_000, 0], 32_768);
  world.run(50);
  const [asker, answerer] = world.ends as [End, End];
  answerer.isSlow = true;
  world.run(300_000);
  t.ok(answerer.backlog <= 32_768 + 1, `${answerer.backlog} bytes wait`);
  t.ok(asker.how === null && answerer.how === null, 'both live');
  answerer.isSlow = false;
  answerer.backlog = 0;
  world.run(3_600_000);
  check(t, world, 'after the pause');
});

t.test('a link that goes silent ends the flow', async t => {
  const world = new World(6, {}, [4_000_000, 0], 32_768);
  world.run(100);
  (world.weather as { loss: number }).loss = 1;
  world.run(4 * 3_600_000);
  t.strictSame(
    world.ends.map(end => end!.how),
    ['timeout', 'timeout'],
  );
});

t.test('an end that aborts resets the other', async t => {
  const world = new World(8, {}, [4_000_000, 0], 32_768);
  world.run(100);
  world.ends[1]!.flow.abort();
  world.run(10_000);
  t.strictSame(
    world.ends.map(end => end!.how),
    ['reset', 'aborted'],
  );
});
