import t from 'tap';
import type { LentAead } from '../../../../src/agent/dataplane/offload/lentcipher.ts';
import type { Host } from '../../../fixtures/packets/pair.ts';
import { FakeCipherThread, type Mood } from '../../../fixtures/fakes/fakecipherworker.ts';
import { mtu, Path } from '../../../fixtures/packets/path.ts';
import { ipv4 } from '../../../fixtures/packets/packets.ts';
import { seeded, seedOf, type Rng } from '../../../fixtures/rng.ts';

const seed = seedOf(7);

/** Numbered, and of some length. */
function payload(n: number, bytes: number): Uint8Array {
  const out = new Uint8Array(bytes).fill(n);
  new DataView(out.buffer).setUint32(0, n);
  return out;
}

/** What a TUN read gives: a plain packet, or now and then a TCP super-packet. */
function reads(random: Rng, count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, n) => {
    const to = [10, 0, random.chance(0.98) ? 2 : 3, 9];
    if (random.chance(0.1)) {
      const bytes = ipv4([10, 0, 1, 1], to, payload(n, 4 + random.below(60_000)), 'tcp');
      const header = Uint8Array.of(1, 1, 40, 0, (mtu - 40) & 255, (mtu - 40) >> 8, 20, 0, 16, 0);
      return Uint8Array.of(...header, ...bytes);
    }
    const size = random.chance(0.5) ? mtu - 28 : 4 + random.below(mtu - 32);
    return Uint8Array.of(...new Uint8Array(10), ...ipv4([10, 0, 1, 1], to, payload(n, size)));
  });
}

/** Sealed by the far end; the n-th message of that end. */
function sealed(host: Host, inner: Uint8Array): Uint8Array {
  host.tun(inner);
  return host.take();
}

/** Receives of all kinds: GRO batches, single messages, forgeries, replays, handshakes, two senders, garbage. */
function receives(random: Rng, path: Path, count: number): { bytes: Uint8Array; segment: number }[] {
  let n = 0;
  let old: Uint8Array = new Uint8Array(0);
  return Array.from({ length: count }, () => {
    const host = random.chance(0.9) ? path.bob : path.carol;
    const source = [10, 0, host === path.bob ? 2 : 3, 9];
    const messages = random.chance(0.2) ? 1 : 1 + random.below(44);
    const size = random.chance(0.7) ? mtu - 28 : 16 * (1 + random.below(60)) + 4;
    const list = Array.from({ length: messages }, (_, i) => {
      const bytes = i === messages - 1 && random.chance(0.3) ? 4 + random.below(size - 3) : size;
      const from = random.chance(0.99) ? source : [10, 0, 9, 9];
      const message = sealed(host, ipv4(from, [10, 0, 1, 1], payload(n++, bytes)));
      if (random.chance(0.01)) message[20] = message[20]! ^ 1;
      if (random.chance(0.005)) message[4] = message[4]! ^ 1;
      if (random.chance(0.01) && old.length === message.length) return old;
      old = message;
      return message;
    });
    return { bytes: Uint8Array.from(list.flatMap(m => [...m])), segment: list[0]!.length };
  });
}

function twoThreads(moods: () => Mood, random: Rng): { path: Path; cipherThread: FakeCipherThread } {
  let cipherThread!: FakeCipherThread;
  const path = new Path({
    seed,
    jobs: (arena, crypto) => (cipherThread = new FakeCipherThread(arena, crypto, random, moods)),
  });
  return { path, cipherThread };
}

/** The message counters of what was sent, receiver by receiver, rise one by one. */
function inOrder(sent: readonly Uint8Array[]): boolean {
  const last = new Map<number, number>();
  return sent.every(message => {
    const view = new DataView(message.buffer);
    const before = last.get(view.getInt32(4));
    const counter = view.getUint32(8, true);
    last.set(view.getInt32(4), counter);
    return before === undefined || counter === before + 1;
  });
}

t.test(`any cipher thread: what one thread would send, in the same order (seed ${seed})`, t => {
  const seen = { prompt: 0, late: 0, absent: 0 };
  for (let round = 0; round < 6; round++) {
    const random = seeded(seed + round);
    const one = new Path({ seed });
    const { path: two, cipherThread } = twoThreads(() => random.pick(['prompt', 'late', 'absent']), random);
    for (let turn = 0; turn < 6; turn++) {
      const input = reads(random, random.below(120));
      for (const path of [one, two]) {
        path.fromTun.push(...input);
        path.outbound();
      }
    }
    t.ok(two.sent.length > 200 && inOrder(two.sent), `${two.sent.length} messages in order`);
    t.strictSame(two.sent.map(hex), one.sent.map(hex));
    for (const mood of ['prompt', 'late', 'absent'] as const) seen[mood] += cipherThread.seen[mood];
    t.equal(two.lost, 0);
    const bytes = (path: Path): number[] => [...path.device.peers()].map(peer => peer.txBytes);
    t.strictSame(bytes(two), bytes(one));
  }
  t.ok(Math.min(seen.prompt, seen.late, seen.absent) > 10, `all kinds of jobs: ${JSON.stringify(seen)}`);
  t.end();
});

t.test(`any cipher thread: what one thread would accept, in the same order (seed ${seed})`, t => {
  const seen = { prompt: 0, late: 0, absent: 0 };
  for (let round = 0; round < 4; round++) {
    const random = seeded(seed + round);
    const one = new Path({ seed });
    const { path: two, cipherThread } = twoThreads(() => random.pick(['prompt', 'late', 'absent']), random);
    const input = receives(random, one, 60);
    for (const path of [one, two]) {
      path.fromNet.push(...input);
      path.inbound();
    }
    t.ok(two.written.length > 20, `${two.written.length} writes`);
    t.strictSame(two.written.map(hex), one.written.map(hex));
    t.strictSame(two.drops, one.drops);
    t.ok(one.drops['bad-crypto']! > 0 && one.drops['replay']! > 0 && one.drops['bad-source']! > 0);
    for (const mood of ['prompt', 'late', 'absent'] as const) seen[mood] += cipherThread.seen[mood];
    const bytes = (path: Path): number[] => [...path.device.peers()].map(peer => peer.rxBytes);
    t.strictSame(bytes(two), bytes(one));
  }
  t.ok(Math.min(seen.prompt, seen.late, seen.absent) > 10, `all kinds of jobs: ${JSON.stringify(seen)}`);
  t.end();
});

t.test('few packets, and the last of a turn, are not lent', t => {
  const { path, cipherThread } = twoThreads(() => 'prompt', seeded(1));
  const one = ipv4([10, 0, 1, 1], [10, 0, 2, 9], payload(0, 100));
  for (let n = 0; n < 20; n++) path.fromTun.push(Uint8Array.of(...new Uint8Array(10), ...one));
  path.outbound();
  path.fromNet.push(...receives(seeded(5), path, 1));
  path.inbound();
  t.ok(path.sent.length > 0 && path.written.length > 0);
  t.equal(cipherThread.seen.prompt, 0);
  t.end();
});

for (const mood of ['hangs', 'fails'] as const) {
  t.test(`a cipher thread that ${mood} costs its batch and nothing else`, t => {
    let jobs = 0;
    const { path: two } = twoThreads(() => (++jobs === 3 ? mood : 'prompt'), seeded(1));
    const one = new Path({ seed });
    const full = Array.from({ length: 400 }, (_, n) =>
      Uint8Array.of(...new Uint8Array(10), ...ipv4([10, 0, 1, 1], [10, 0, 2, 9], payload(n, 1000))),
    );
    for (const path of [one, two]) {
      path.fromTun.push(...full);
      while (path.fromTun.length > 0) path.outbound();
    }
    t.equal(two.lost, 1, 'told once');
    t.equal(two.sent.length, 400 - 32, 'one batch is missing');
    t.equal(two.drops['send-error'], 32);
    const there = new Set(two.sent.map(hex));
    t.strictSame(
      two.sent.map(hex),
      one.sent.map(hex).filter(message => there.has(message)),
      'the rest is in order',
    );
    const input = receives(seeded(5), one, 20);
    for (const path of [one, two]) {
      path.fromNet.push(...input);
      path.inbound();
    }
    t.strictSame(two.written.map(hex), one.written.map(hex), 'the other way too');
    t.end();
  });

  t.test(`a cipher thread that ${mood} while opening costs its batch and nothing else`, t => {
    let jobs = 0;
    const { path: two } = twoThreads(() => (++jobs === 2 ? mood : 'late'), seeded(1));
    const one = new Path({ seed });
    const list = Array.from({ length: 6 }, (_, k) => {
      const messages = Array.from({ length: 20 }, (_, i) =>
        sealed(one.bob, ipv4([10, 0, 2, 9], [10, 0, 1, 1], payload(20 * k + i, 1000 + 4 * (i & 1)))),
      );
      return { bytes: Uint8Array.from(messages.flatMap(m => [...m])), segment: messages[0]!.length };
    });
    for (const path of [one, two]) {
      path.fromNet.push(...list);
      path.inbound();
    }
    t.equal(two.lost, 1);
    t.equal(two.drops['bad-crypto'], 20);
    const there = new Set(two.written.map(hex));
    t.ok(there.size < one.written.length);
    t.strictSame(
      two.written.map(hex),
      one.written.map(hex).filter(written => there.has(written)),
    );
    t.end();
  });
}

t.test('a revocation in the middle of a turn: nothing passes, and no key is left', t => {
  for (const mood of ['late', 'absent', 'prompt'] as const) {
    const { path, cipherThread } = twoThreads(() => mood, seeded(3));
    const peer = path.device.peer(path.bob.publicKey)!;
    const keys = [peer.current!.send, peer.current!.receive].map(aead =>
      Uint8Array.from((aead as LentAead).key),
    );
    const batch = (n: number): { bytes: Uint8Array; segment: number } => {
      const messages = Array.from({ length: 20 }, (_, i) =>
        sealed(path.bob, ipv4([10, 0, 2, 9], [10, 0, 1, 1], payload(20 * n + i, 1000))),
      );
      return { bytes: Uint8Array.from(messages.flatMap(m => [...m])), segment: messages[0]!.length };
    };
    path.fromNet.push(...[0, 1, 2, 3, 4].map(batch));
    let before = -1;
    path.onWrite = () => {
      if (before >= 0) return;
      before = path.written.length;
      path.device.revoke(path.now, path.bob.publicKey);
      for (const key of keys) t.not(find(path.arena.u8, key), 'the key is nowhere in shared memory');
    };
    path.inbound();
    t.ok(cipherThread.seen[mood] > 0);
    // The batch at hand had been judged before the first write of it.
    const after = path.written
      .slice(before)
      .filter(bytes => new DataView(bytes.buffer).getUint32(10 + 28) >= 20);
    t.equal(after.length, 0, 'nothing of the later batches');
    t.ok(path.drops['unknown-index']! >= 80);
    t.ok((peer.current ?? null) === null);
  }
  t.end();
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

function find(memory: Uint8Array, needle: Uint8Array): boolean {
  return Buffer.from(memory.buffer as ArrayBuffer).indexOf(needle) >= 0;
}
