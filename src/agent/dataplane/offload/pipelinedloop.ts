// The packet path with a cipher thread (`threads = 2`): one batch is sealed or opened there while this thread reads the next. All state
// stays here, and batches are judged and leave in the order they came. A lone batch, or the last of a turn, is done here. When
// `outbound` and `inbound` return, no batch is out, so commands and deadlines never meet a key in use elsewhere.

import type { SendBatch } from '../../../datapath/batch.ts';
import type { Aead } from '../../../wireguard/primitives/provider.ts';
import type { Keypair } from '../../../wireguard/noise/keypair.ts';
import type { Peer } from '../../../wireguard/peer/peer.ts';
import type { Job, JobRing } from './jobring.ts';
import { jobPackets } from './jobring.ts';
import { LentAead } from './lentcipher.ts';
import { dataMessage, headBytes, Loop, overheadBytes, type PathState } from '../loop.ts';
import type { Slot, Udp } from '../ports.ts';

/** Fewer packets than this are done here: handing them over costs more. */
const worthwhile = 8;
/** A batch is handed over once it holds so many, that the two threads overlap early; a full TCP super-packet brings 45. */
const enough = 32;
/** A cipher thread that keeps a batch so long is given up for good. */
const patienceMs = 2000;
const napMs = 5;
const tagBytes = 16;
/** More than the plain loop's, since the last of a turn is opened here; about as many bytes as a turn the other way. */
const receivesPerTurn = 32;

/** Batches of one direction; job i belongs to lane i. */
export const lanes = 4;

interface Lane {
  readonly job: Job;
  aead: Aead | null;
  keypair: Keypair<Peer> | null;
  isLent: boolean;
  isDone: boolean;
}

interface SendLane extends Lane {
  readonly batch: SendBatch;
  peer: Peer | null;
}

interface ReceiveLane extends Lane {
  readonly slot: Slot;
}

/** A ring of lanes: the one being filled, and before it those that are out, oldest first. */
class Line<L extends Lane> {
  readonly lanes: readonly L[];
  /** How many are out. */
  out = 0;
  #first = 0;

  constructor(all: readonly L[]) {
    this.lanes = all;
  }

  get current(): L {
    return this.at(this.out);
  }

  /** Number `n` of those that are out; 0 is the oldest. */
  at(n: number): L {
    return this.lanes[(this.#first + n) % this.lanes.length]!;
  }

  push(): void {
    this.out++;
  }

  shift(): void {
    this.#first = (this.#first + 1) % this.lanes.length;
    this.out--;
  }
}

export interface PipelinedParts extends PathState {
  readonly jobs: JobRing;
  /** `lanes` of each; the first are the `batch` and `slot` of the plain loop. */
  readonly batches: readonly SendBatch[];
  readonly slots: readonly Slot[];
  /** The cipher thread is lost; everything goes on without it. */
  readonly lost: () => void;
}

export class PipelinedLoop extends Loop {
  readonly #parts: PipelinedParts;
  readonly #sends: Line<SendLane>;
  readonly #receives: Line<ReceiveLane>;
  #isLost = false;

  constructor(parts: PipelinedParts) {
    super(parts);
    this.#parts = parts;
    const { jobs } = parts.jobs;
    const lane = (job: Job): Lane => ({ job, aead: null, keypair: null, isLent: false, isDone: false });
    this.#sends = new Line(parts.batches.map((batch, i) => ({ ...lane(jobs[i]!), batch, peer: null })));
    this.#receives = new Line(parts.slots.map((slot, i) => ({ ...lane(jobs[lanes + i]!), slot })));
    this.enough = enough;
  }

  /** Returns only when no batch is out: a key is about to be destroyed. */
  settle(): void {
    for (let i = 0; i < this.#sends.out; i++) this.#complete(this.#sends, i);
    for (let i = 0; i < this.#receives.out; i++) this.#complete(this.#receives, i);
  }

  // Outbound.

  protected override flush(now: number, more: boolean): void {
    const { batch } = this;
    if (batch.count === 0) {
      if (!more) this.#sendOut(now, 0);
      return;
    }
    const peer = this.batchPeer!;
    // A batch that is to be staged must not overtake those under way.
    if (this.#sends.out > 0 && peer.current?.usable(now, batch.count) !== true) this.#sendOut(now, 0);
    const keypair = this.sealable(now, batch, peer);
    if (keypair === null) return;
    const aead = keypair.send;
    if (!more || this.#isLost || batch.count < worthwhile || !(aead instanceof LentAead)) {
      this.seal(batch, keypair);
      this.#sendOut(now, 0);
      this.send(now, batch, peer, keypair);
      return;
    }
    const lane = this.#sends.current;
    this.number(batch, keypair);
    for (let i = 0; i < batch.count; i++) {
      lane.job.at[i] = batch.packetAt[i]!;
      lane.job.bytes[i] = batch.packetBytes[i]!;
    }
    lane.job.count = batch.count;
    lane.job.kind = 'seal';
    lane.peer = peer;
    this.#push(this.#sends, keypair, aead);
    this.#lend(lane);
    while (this.#isBack(this.#sends)) this.#sendOldest(now);
    this.#sendOut(now, lanes - 1);
    this.batch = this.#sends.current.batch;
  }

  /** Until no more than `left` batches are out. */
  #sendOut(now: number, left: number): void {
    while (this.#sends.out > left) this.#sendOldest(now);
  }

  #sendOldest(now: number): void {
    const lane = this.#sends.at(0);
    const ok = this.#complete(this.#sends, 0);
    this.#sends.shift();
    const { batch, peer, keypair } = lane;
    if (ok && !keypair!.isDestroyed) return this.send(now, batch, peer!, keypair!);
    this.#parts.counters.sendErrors += batch.count;
    batch.reset();
  }

  // Inbound.

  override inbound(now: number, udp: Udp | null): void {
    if (udp === null) return;
    const line = this.#receives;
    let held: ReceiveLane | null = null;
    for (let receives = 0; receives < receivesPerTurn; receives++) {
      const lane = line.current;
      const bytes = udp.receive(lane.slot);
      if (bytes < 0) break;
      if (held !== null) this.#lend(held); // something follows it
      held = null;
      if (!this.#isLost && this.#prepare(now, lane, bytes)) {
        held = lane;
        while (this.#isBack(line)) this.#judgeOldest(now);
        this.#judgeOut(now, lanes - 1);
      } else {
        this.#judgeOut(now, 0);
        this.slot = lane.slot;
        this.judge(now, bytes);
      }
    }
    this.#judgeOut(now, 0);
  }

  /** Whether what came can be handed over: all messages under one live key. Its job is filled then. */
  #prepare(now: number, lane: ReceiveLane, bytes: number): boolean {
    const { slot, job } = lane;
    const { device, arena } = this.#parts;
    const { view } = arena;
    const segment = slot.segment > 0 ? slot.segment : bytes;
    const count = Math.ceil(bytes / segment);
    if (slot.truncated || count < worthwhile || count > jobPackets) return false;
    const index = view.getInt32(slot.at + 4, true);
    const end = slot.at + bytes;
    for (let i = 0, at = slot.at; i < count; i++, at += segment) {
      const length = end - at < segment ? end - at : segment;
      if (length < overheadBytes) return false;
      if (view.getUint32(at, true) !== dataMessage || view.getInt32(at + 4, true) !== index) return false;
      job.at[i] = at;
      job.bytes[i] = length - headBytes;
    }
    const keypair = device.findKeypair(index);
    if (keypair === null || !device.acceptable(now, keypair)) return false;
    if (!(keypair.receive instanceof LentAead)) return false;
    job.count = count;
    job.kind = 'open';
    this.#push(this.#receives, keypair, keypair.receive);
    return true;
  }

  #judgeOut(now: number, left: number): void {
    while (this.#receives.out > left) this.#judgeOldest(now);
  }

  #judgeOldest(now: number): void {
    const lane = this.#receives.at(0);
    const ok = this.#complete(this.#receives, 0);
    this.#receives.shift();
    const { job, keypair } = lane;
    const { counters } = this.#parts;
    this.slot = lane.slot;
    for (let i = 0; i < job.count; i++) {
      if (!ok || job.isOpen[i] !== 1) counters.verdict('bad-crypto');
      else if (keypair!.isDestroyed) counters.verdict('unknown-index');
      else this.accept(keypair!, job.at[i]!, job.bytes[i]! + tagBytes);
    }
    this.endSlot(now);
  }

  // Both.

  #push<L extends Lane>(line: Line<L>, keypair: Keypair<Peer>, aead: Aead): void {
    const lane = line.current;
    lane.keypair = keypair;
    lane.aead = aead;
    lane.isLent = lane.isDone = false;
    line.push();
  }

  #lend(lane: Lane): void {
    if (this.#isLost || lane.isDone) return;
    lane.isLent = true;
    this.#parts.jobs.publish(lane.job, (lane.aead as LentAead).key);
  }

  /** Whether the oldest that is out needs no more waiting for. */
  #isBack<L extends Lane>(line: Line<L>): boolean {
    if (line.out === 0) return false;
    const { job, isLent, isDone } = line.at(0);
    return isDone || (isLent && this.#parts.jobs.outcome(job) !== null);
  }

  /** Sees to it that job `n` of those out is done: here, if it has not begun. False when it is spoilt. */
  #complete<L extends Lane>(line: Line<L>, n: number): boolean {
    const lane = line.at(n);
    if (this.#runHere(lane)) return true;
    const { jobs } = this.#parts;
    // Rather than wait, do a newer one.
    for (let other = line.out - 1; other > n && jobs.outcome(lane.job) === null; other--)
      this.#runHere(line.at(other));
    let outcome = jobs.outcome(lane.job);
    for (let since = 0; outcome === null; outcome = jobs.wait(lane.job, napMs)) {
      if (since === 0) since = performance.now();
      else if (this.#isLost || jobs.isGone || performance.now() - since > patienceMs) break;
    }
    outcome ??= jobs.outcome(lane.job); // it may have ended between two looks
    if (outcome === 'done') lane.isDone = true;
    else this.#lose();
    return outcome === 'done';
  }

  /** True when the job of this lane is done, as far as this thread can make it so. */
  #runHere(lane: Lane): boolean {
    if (lane.isDone) return true;
    if (lane.isLent && !lane.job.take('owner')) return false;
    lane.job.run(lane.aead!);
    lane.isLent = false;
    lane.isDone = true;
    return true;
  }

  /** The buffers of the lost job are never touched again: from now on one lane per direction is in use. */
  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    this.enough = Infinity;
    this.#parts.lost();
  }
}
