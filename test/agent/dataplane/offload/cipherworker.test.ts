import t from 'tap';
import { work } from '../../../../src/agent/dataplane/offload/cipherworker.ts';
import { JobRing } from '../../../../src/agent/dataplane/offload/jobring.ts';
import { stablelibProvider } from '../../../../src/wireguard/primitives/stablelib.ts';
import type { Aead } from '../../../../src/wireguard/primitives/provider.ts';
import { Arena } from '../../../../src/util/arena.ts';

const key = Uint8Array.from({ length: 32 }, (_, i) => 200 - i);

/** JobRing with one message each, all published, and a cipher thread told to stop behind the last. */
function ready(count: number): { arena: Arena; jobs: JobRing; at: number[] } {
  const arena = new Arena(new SharedArrayBuffer(1 << 20), 64);
  const jobs = new JobRing(arena, JobRing.room(arena));
  const at = Array.from({ length: count }, (_, i) => {
    const message = arena.alloc(256);
    arena.view.setUint32(message + 8, i, true);
    const job = jobs.jobs[i]!;
    job.at[0] = message;
    job.bytes[0] = 100;
    job.count = 1;
    job.kind = 'seal';
    jobs.publish(job, key);
    return message;
  });
  return { arena, jobs, at };
}

t.test('it has a key only while it works under it', t => {
  const { arena, jobs, at } = ready(3);
  const plain = stablelibProvider(arena);
  let alive = 0;
  let worked = 0;
  let seen: Uint8Array = new Uint8Array(0);
  work(jobs, {
    aead(secret) {
      seen = secret;
      t.strictSame([...secret], [...key]);
      const inner = plain.aead(secret);
      t.equal(++alive, 1, 'one at a time');
      return {
        seal: (...args) => inner.seal(...args),
        open: (...args) => inner.open(...args),
        destroy() {
          inner.destroy();
          alive--;
          if (++worked === 3) jobs.stop();
        },
      } satisfies Aead;
    },
  });
  t.equal(alive, 0);
  t.ok(
    seen.every(byte => byte === 0),
    'its copy is wiped',
  );
  t.equal(Buffer.from(arena.buffer).indexOf(key), -1);
  const check = plain.aead(key);
  for (const [i, message] of at.entries()) {
    t.equal(jobs.outcome(jobs.jobs[i]!), 'done');
    t.ok(check.open(message + 16, 116, i, 0));
  }
  t.end();
});

t.test('a cipher that throws: the job is spoilt, the key gone, the thread ends', t => {
  const { arena, jobs } = ready(1);
  const fail = (): never => {
    throw new Error('no');
  };
  let destroyed = 0;
  t.throws(() => work(jobs, { aead: () => ({ seal: fail, open: fail, destroy: () => void destroyed++ }) }));
  t.equal(jobs.outcome(jobs.jobs[0]!), 'failed');
  t.equal(destroyed, 1);
  t.equal(Buffer.from(arena.buffer).indexOf(key), -1);
  t.end();
});
