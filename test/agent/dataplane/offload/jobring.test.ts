import t from 'tap';
import { JobRing, jobCount } from '../../../../src/agent/dataplane/offload/jobring.ts';
import { stablelibProvider } from '../../../../src/wireguard/primitives/stablelib.ts';
import { Arena } from '../../../../src/util/arena.ts';

const key = Uint8Array.from({ length: 32 }, (_, i) => i + 1);

/** Both sides of one ring. */
function ring(): { arena: Arena; owner: JobRing; cipherThread: JobRing } {
  const arena = new Arena(new SharedArrayBuffer(1 << 20), 64);
  const at = JobRing.room(arena);
  return { arena, owner: new JobRing(arena, at), cipherThread: new JobRing(arena, at) };
}

function holdsKey(arena: Arena): boolean {
  return Buffer.from(arena.buffer).indexOf(key) >= 0;
}

t.test('one thread gets a job, with its key, which is gone from shared memory then', t => {
  const { arena, owner, cipherThread } = ring();
  const copy = new Uint8Array(32);
  owner.publish(owner.jobs[0]!, key);
  t.ok(holdsKey(arena));
  const job = cipherThread.next(copy)!;
  t.equal(job, cipherThread.jobs[0]);
  t.strictSame(copy, key);
  t.notOk(holdsKey(arena));
  t.notOk(owner.jobs[0]!.take('owner'), 'begun: the owner cannot have it back');
  t.equal(owner.outcome(owner.jobs[0]!), null);
  cipherThread.finish(job, 'done');
  t.equal(owner.outcome(owner.jobs[0]!), 'done');

  owner.publish(owner.jobs[1]!, key);
  t.ok(owner.jobs[1]!.take('owner'), 'not begun: the owner takes it back');
  t.notOk(holdsKey(arena));
  t.notOk(cipherThread.jobs[1]!.take('cipher', copy), 'and the cipher thread does not get it');
  t.end();
});

t.test('jobs are begun in the order they were given out', t => {
  const { owner, cipherThread } = ring();
  const copy = new Uint8Array(32);
  for (let round = 0; round < 3; round++) {
    for (const job of owner.jobs) owner.publish(job, key);
    for (let i = 0; i < jobCount; i++) {
      const job = cipherThread.next(copy)!;
      t.equal(cipherThread.jobs.indexOf(job), i);
      cipherThread.finish(job, i === 3 ? 'failed' : 'done');
    }
    t.strictSame(
      owner.jobs.map(job => owner.outcome(job)),
      owner.jobs.map((_, i) => (i === 3 ? 'failed' : 'done')),
    );
  }
  t.end();
});

t.test('the owner waits for a moment only', t => {
  const { owner, cipherThread } = ring();
  owner.publish(owner.jobs[0]!, key);
  const job = cipherThread.next(new Uint8Array(32))!;
  const before = performance.now();
  t.equal(owner.wait(owner.jobs[0]!, 20), null);
  t.ok(performance.now() - before < 1000);
  cipherThread.finish(job, 'done');
  t.equal(owner.wait(owner.jobs[0]!, 20), 'done');
  t.end();
});

t.test('stopped: no more jobs', t => {
  const { owner, cipherThread } = ring();
  owner.stop();
  t.equal(cipherThread.next(new Uint8Array(32)), null);
  t.equal(owner.isGone, false);
  cipherThread.leave();
  t.equal(owner.isGone, true);
  t.end();
});

t.test('sealing and opening read the counter from the message', t => {
  const { arena, owner } = ring();
  const aead = stablelibProvider(arena).aead(key);
  const at = arena.alloc(400);
  const plain = Uint8Array.from({ length: 100 }, (_, i) => i);
  for (const [low, high] of [
    [5, 0],
    [0xffff_fffe, 3],
  ] as const) {
    arena.u8.set(plain, at + 16);
    arena.view.setUint32(at + 8, low, true);
    arena.view.setUint32(at + 12, high, true);
    const job = owner.jobs[0]!;
    job.at[0] = job.at[1] = at;
    job.bytes[0] = plain.length;
    job.count = 1;
    job.kind = 'seal';
    job.run(aead);
    t.not(Buffer.compare(arena.u8.slice(at + 16, at + 116), plain), 0);
    job.kind = 'open';
    job.bytes[0] = job.bytes[1] = plain.length + 16;
    job.count = 2; // the second time it is no longer what was sealed
    job.run(aead);
    t.strictSame([...job.isOpen.subarray(0, 2)], [1, 0]);
  }
  t.end();
});
