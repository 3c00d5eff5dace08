import t from 'tap';
import { jobCount, jobPackets } from '../../../../src/agent/dataplane/offload/jobring.ts';
import { startCipherThread } from '../../../../src/agent/dataplane/offload/cipherthread.ts';
import { loadFfi } from '../../../../src/platform/ffi/load.ts';
import { stablelibProvider } from '../../../../src/wireguard/primitives/stablelib.ts';
import { Arena } from '../../../../src/util/arena.ts';
import { seeded, seedOf } from '../../../fixtures/rng.ts';

const seed = seedOf(11);
const { name: ffi } = await loadFfi('auto');
t.setTimeout(60_000);

function memory(): { memory: WebAssembly.Memory; arena: Arena } {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
  return { memory, arena: new Arena(memory.buffer, 64) };
}

t.test(`a real cipher thread does the same as this one, any number at a time (seed ${seed})`, async t => {
  const random = seeded(seed);
  const { memory: shared, arena } = memory();
  const second = await startCipherThread(arena, shared, { ifname: 'x', ffi, crypto: 'wasm' });
  const { jobs } = second;
  const provider = stablelibProvider(arena);
  const message = 16 + 1440 + 16;
  const place = Array.from({ length: jobCount }, () => arena.alloc(64 + 40 * message) + 64);
  let byOwner = 0;
  let byCryptor = 0;
  for (let round = 0; round < 60; round++) {
    const key = random.bytes(32);
    const aead = provider.aead(key);
    const count = 1 + random.below(jobCount);
    const plain: Uint8Array[][] = [];
    for (let j = 0; j < count; j++) {
      const job = jobs.jobs[j]!;
      job.count = 1 + random.below(40);
      job.kind = 'seal';
      plain.push([]);
      for (let i = 0; i < job.count; i++) {
        const bytes = random.bytes(random.below(1440));
        const to = place[j]! + i * message;
        plain[j]!.push(bytes);
        arena.view.setUint32(to + 8, i, true);
        arena.view.setUint32(to + 12, round, true);
        arena.u8.set(bytes, to + 16);
        job.at[i] = to;
        job.bytes[i] = bytes.length;
      }
    }
    // All at once, or it would be done with the first before the last is written.
    for (let j = 0; j < count; j++) jobs.publish(jobs.jobs[j]!, key);
    for (let j = count - 1; j >= 0; j--) {
      const job = jobs.jobs[j]!;
      if (random.chance(0.5) && job.take('owner')) {
        job.run(aead);
        byOwner++;
        continue;
      }
      const until = Date.now() + 10_000;
      while (jobs.wait(job, 5) === null && Date.now() < until);
      t.equal(jobs.outcome(job), 'done');
      byCryptor++;
    }
    for (let j = 0; j < count; j++) {
      for (const [i, bytes] of plain[j]!.entries()) {
        const from = place[j]! + i * message + 16;
        if (!aead.open(from, bytes.length + 16, i, round)) t.fail(`job ${j}, message ${i} was not sealed`);
        if (Buffer.compare(arena.u8.subarray(from, from + bytes.length), bytes) !== 0)
          t.fail(`job ${j}, message ${i} is not what it was`);
      }
    }
    aead.destroy();
    t.equal(Buffer.from(arena.buffer).indexOf(key), -1, 'no key in shared memory');
  }
  t.ok(byOwner > 0 && byCryptor > 20, `${byOwner} taken back, ${byCryptor} done there`);
  t.ok(jobPackets >= 40);
  second.stop();
  const until = Date.now() + 10_000;
  while (!jobs.isGone && Date.now() < until) await new Promise(resolve => setTimeout(resolve, 10));
  t.ok(jobs.isGone, 'it ends when told');
});

t.test('A cipher thread that cannot start is one line', async t => {
  const { memory: shared, arena } = memory();
  await t.rejects(startCipherThread(arena, shared, { ifname: 'x', ffi, crypto: 'no-such' }), {
    message: /^the cipher thread does not start: .*no-such.*$/,
  });
});
