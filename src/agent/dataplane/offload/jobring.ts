// A bounded ring in shared memory by which the worker hands whole batches to the cipher thread. A job's state word leaves `ready` only
// by compare-exchange, so exactly one thread works on it; the worker commits jobs in the order it handed them out (pipelinedloop.ts).
// A key is in shared memory only between `publish` and the moment one side takes the job.

import type { Arena } from '../../../util/arena.ts';
import type { Aead } from '../../../wireguard/primitives/provider.ts';

/** Most packets of one job; the worker does the rest itself. */
export const jobPackets = 128;
export const jobCount = 8;

const keyBytes = 32;
const headBytes = 16; // of a transport message: its counter is read from there
const counterAt = 8;

const free = 0;
const ready = 1;
const taken = 2;
const done = 3;
const failed = 4;

// Words in front of the jobs.
const bell = 0; // counts publications: the cipher thread waits on it
const asleep = 1; // 1 while the cipher thread waits, or is about to
const stopped = 2;
const gone = 3; // 1 once the cipher thread has ended
const ringWords = 16; // a cache line of its own

// Words of a job.
const state = 0;
const kind = 1;
const packets = 2;
const awaited = 3; // 1 while the owner waits for the state to change
const keyAt = 4;
const listAt = 16;
const jobWords = listAt + 3 * jobPackets;

const spins = 1000;

export type Kind = 'seal' | 'open';
export type Outcome = 'done' | 'failed';

export class Job {
  /** Where each message (header included) starts, its bytes behind the header, without the tag when sealing. */
  readonly at: Int32Array;
  readonly bytes: Int32Array;
  /** After opening: 1 where the message was authentic. */
  readonly isOpen: Int32Array;
  readonly key: Uint8Array;
  readonly words: Int32Array;
  readonly #view: DataView;

  constructor(arena: Arena, at: number) {
    this.words = new Int32Array(arena.buffer, at, jobWords);
    const list = (n: number): Int32Array =>
      new Int32Array(arena.buffer, at + 4 * (listAt + n * jobPackets), jobPackets);
    this.at = list(0);
    this.bytes = list(1);
    this.isOpen = list(2);
    this.key = new Uint8Array(arena.buffer, at + 4 * keyAt, keyBytes);
    this.#view = arena.view;
  }

  get count(): number {
    return this.words[packets]!;
  }

  set count(count: number) {
    this.words[packets] = count;
  }

  set kind(which: Kind) {
    this.words[kind] = which === 'seal' ? 1 : 0;
  }

  /** All of it, in place. */
  run(aead: Aead): void {
    const { at, bytes, isOpen, count } = this;
    const view = this.#view;
    const isSeal = this.words[kind] === 1;
    for (let i = 0; i < count; i++) {
      const message = at[i]!;
      const low = view.getUint32(message + counterAt, true);
      const high = view.getUint32(message + counterAt + 4, true);
      if (isSeal) aead.seal(message + headBytes, bytes[i]!, high * 0x1_0000_0000 + low);
      else isOpen[i] = aead.open(message + headBytes, bytes[i]!, low, high) ? 1 : 0;
    }
  }

  /** True for the one thread that gets it; the key is gone from shared memory then, and in `key` if asked for. */
  take(by: 'owner' | 'cipher', key?: Uint8Array): boolean {
    if (Atomics.load(this.words, state) !== ready) return false;
    const next = by === 'owner' ? free : taken;
    if (Atomics.compareExchange(this.words, state, ready, next) !== ready) return false;
    key?.set(this.key);
    this.key.fill(0);
    return true;
  }
}

export class JobRing {
  readonly jobs: readonly Job[];
  readonly #ring: Int32Array;
  #next = 0;

  /** Over memory that `room` has made, from either side. */
  constructor(arena: Arena, at: number) {
    this.#ring = new Int32Array(arena.buffer, at, ringWords);
    this.jobs = Array.from(
      { length: jobCount },
      (_, i) => new Job(arena, at + 4 * (ringWords + i * jobWords)),
    );
  }

  /** Fresh memory for a ring. */
  static room(arena: Arena): number {
    const bytes = 4 * (ringWords + jobCount * jobWords);
    const at = arena.alloc(bytes);
    arena.u8.fill(0, at, at + bytes);
    return at;
  }

  // The owner's side.

  /** A filled job is up for taking. */
  publish(job: Job, key: Uint8Array): void {
    job.key.set(key);
    Atomics.store(job.words, state, ready);
    Atomics.add(this.#ring, bell, 1);
    // The cipher thread sets `asleep`, then waits only while the bell is unchanged: no notification is lost.
    if (Atomics.load(this.#ring, asleep) === 1) Atomics.notify(this.#ring, bell);
  }

  /** Whether a published job is finished with, one way or the other; does not wait. */
  outcome(job: Job): Outcome | null {
    const now = Atomics.load(job.words, state);
    return now === done ? 'done' : now === failed ? 'failed' : null;
  }

  /** Waits a moment for a job that the cipher thread has taken: `timeoutMs` at most. */
  wait(job: Job, timeoutMs: number): Outcome | null {
    for (let i = 0; i < spins; i++) if (Atomics.load(job.words, state) !== taken) return this.outcome(job);
    Atomics.store(job.words, awaited, 1);
    Atomics.wait(job.words, state, taken, timeoutMs);
    Atomics.store(job.words, awaited, 0);
    return this.outcome(job);
  }

  stop(): void {
    Atomics.store(this.#ring, stopped, 1);
    Atomics.add(this.#ring, bell, 1);
    Atomics.notify(this.#ring, bell);
  }

  get isGone(): boolean {
    return Atomics.load(this.#ring, gone) === 1;
  }

  // The cipher thread's side.

  /** The next job, taken, with its key in `key`; waits for one. Null when it is time to end. */
  next(key: Uint8Array): Job | null {
    const ring = this.#ring;
    while (Atomics.load(ring, stopped) === 0) {
      const rung = Atomics.load(ring, bell);
      const job = this.#find(key);
      if (job !== null) return job;
      for (let i = 0; i < spins && Atomics.load(ring, bell) === rung; i++);
      if (Atomics.load(ring, bell) !== rung) continue;
      Atomics.store(ring, asleep, 1);
      Atomics.wait(ring, bell, rung);
      Atomics.store(ring, asleep, 0);
    }
    return null;
  }

  /** The owner may have it back. */
  finish(job: Job, outcome: Outcome): void {
    Atomics.store(job.words, state, outcome === 'done' ? done : failed);
    if (Atomics.load(job.words, awaited) === 1) Atomics.notify(job.words, state);
  }

  leave(): void {
    Atomics.store(this.#ring, gone, 1);
  }

  /** In turn, so that the oldest comes first while the owner fills the ring in order. */
  #find(key: Uint8Array): Job | null {
    for (let i = 0; i < jobCount; i++) {
      const at = (this.#next + i) % jobCount;
      const job = this.jobs[at]!;
      if (!job.take('cipher', key)) continue;
      this.#next = (at + 1) % jobCount;
      return job;
    }
    return null;
  }
}
