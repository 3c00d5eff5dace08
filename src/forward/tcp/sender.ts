// The sending half: what is in flight, what SACK says of it, what is lost (RFC 6675, RFC 8985), what may be sent next. A ring of typed
// arrays holds one entry per segment in flight.

import { Cubic } from './cubic.ts';
import type { Segment } from './header.ts';
import { Rtt } from './rtt.ts';
import { SendQueue } from './sendqueue.ts';
import { add, distance } from './sequence.ts';

const sacked = 1;
const lost = 2;
const again = 4;
const firstEntries = 16;
export const maxEntries = 1024;
const duplicatesForLoss = 3;

export class Sender {
  readonly queue: SendQueue = new SendQueue();
  readonly rtt: Rtt = new Rtt();
  cubic: Cubic;
  mss: number;
  /** First byte not acknowledged, and the next new one. */
  una: number;
  next: number;
  windowBytes = 0;
  /** No more bytes will come: the FIN follows the last. */
  isEnding = false;
  hasSentFin = false;
  isFinAcknowledged = false;
  hasSack = false;
  /** When the retransmission or probe timer fires. */
  deadline: number = Infinity;
  /** Timeouts since something was acknowledged. */
  timeouts = 0;
  /** What `choose` has chosen. */
  chosenAt = 0;
  chosenBytes = 0;
  chosenFin = false;
  #largestWindow = 0;
  #windowSequence = 0;
  #windowAcknowledged = 0;
  #start = new Int32Array(firstEntries);
  #bytes = new Int32Array(firstEntries); // a FIN counts one
  #sentAt = new Float64Array(firstEntries);
  #state = new Uint8Array(firstEntries);
  #head = 0;
  #count = 0;
  #pipe = 0;
  #lostCount = 0;
  #sackedCount = 0;
  #duplicates = 0;
  #recoverAt: number;
  #isRecovering = false;
  #deliveredSentAt = -Infinity;
  #isProbe = false;
  #hasProbed = false;

  constructor(first: number, mss: number) {
    this.una = this.next = this.#recoverAt = first;
    this.mss = mss;
    this.cubic = new Cubic(mss);
  }

  get inFlight(): number {
    return distance(this.next, this.una);
  }

  /** The first window, from a segment that opened the connection. */
  open(segment: Segment, shift: number): void {
    this.windowBytes = this.#largestWindow = segment.window << shift;
    this.#windowSequence = segment.sequence;
    this.#windowAcknowledged = segment.acknowledged;
  }

  /** The handshake is over: `mss` is what the peer takes in one segment, options included. */
  begin(mss: number, optionBytes: number): void {
    this.mss = Math.min(this.mss, mss - optionBytes);
    this.cubic = new Cubic(this.mss);
    this.una = this.next = this.#recoverAt = add(this.next, 1);
  }

  /** Chooses the next segment; false when nothing may be sent now. */
  choose(now: number): boolean {
    if (this.#lostCount > 0 && (this.#pipe < this.cubic.windowBytes || this.#pipe === 0)) {
      for (let i = 0; i < this.#count; i++) {
        const at = this.#at(i);
        if ((this.#state[at]! & lost) !== 0) return this.#again(now, at);
      }
    }
    return this.#fresh(now);
  }

  #again(now: number, at: number): boolean {
    this.#state[at] = again;
    this.#lostCount--;
    this.#pipe += this.#bytes[at]!;
    this.#sentAt[at] = now;
    this.chosenAt = this.#start[at]!;
    const end = add(this.chosenAt, this.#bytes[at]!);
    this.chosenFin = this.hasSentFin && end === this.next;
    this.chosenBytes = this.#bytes[at]! - (this.chosenFin ? 1 : 0);
    if (this.deadline === Infinity) this.#arm(now);
    return true;
  }

  #fresh(now: number): boolean {
    if (this.hasSentFin || this.#count >= maxEntries) return false;
    const unsent = this.queue.bytes - this.inFlight;
    const isProbe = this.#isProbe && this.#count === 0;
    const open = this.windowBytes - this.inFlight;
    const window = isProbe ? Math.max(1, open) : open;
    let bytes = Math.min(unsent, this.mss, window);
    if (this.#pipe + bytes > this.cubic.windowBytes && this.#pipe > 0) return false;
    if (bytes < 0) bytes = 0;
    // Silly windows: a small segment only when it is the last, or half of the largest window.
    if (!isProbe && bytes < unsent && bytes < this.mss && bytes < this.#largestWindow / 2) bytes = 0;
    const fin = this.isEnding && bytes === unsent;
    if (bytes === 0 && !fin) {
      if (unsent > 0 && this.#count === 0 && this.deadline === Infinity) this.#arm(now);
      return false;
    }
    this.#isProbe = false;
    this.chosenAt = this.next;
    this.chosenBytes = bytes;
    this.chosenFin = fin;
    this.#record(now, bytes + (fin ? 1 : 0));
    if (fin) this.hasSentFin = true;
    return true;
  }

  #record(now: number, bytes: number): void {
    if (this.#count === this.#start.length) this.#grow();
    const at = this.#at(this.#count++);
    this.#start[at] = this.next;
    this.#bytes[at] = bytes;
    this.#sentAt[at] = now;
    this.#state[at] = 0;
    this.next = add(this.next, bytes);
    this.#pipe += bytes;
    this.#hasProbed = false;
    this.#arm(now);
  }

  /** An acceptable segment of the peer with ACK set. False when it acknowledges what was never sent. */
  acknowledge(now: number, segment: Segment, shift: number, echoedMs: number): boolean {
    const { acknowledged } = segment;
    if (distance(acknowledged, this.next) > 0) return false;
    const advance = distance(acknowledged, this.una);
    if (advance < 0) return true;
    const window = segment.window << shift;
    const isDuplicate =
      advance === 0 && segment.payloadBytes === 0 && window === this.windowBytes && this.#count > 0;
    this.#updateWindow(segment, window);
    const wasFull = this.#pipe + this.mss > this.cubic.windowBytes;
    if (advance > 0) this.#advance(now, acknowledged, advance, echoedMs);
    if (segment.blocks > 0 && this.hasSack) this.#select(now, segment);
    else if (isDuplicate && !this.hasSack && ++this.#duplicates === duplicatesForLoss) this.#lose(0);
    if (this.#sackedCount > 0) this.#detect();
    if (advance > 0) {
      if (this.#isRecovering && distance(this.una, this.#recoverAt) >= 0) this.#isRecovering = false;
      else if (this.#isRecovering && !this.hasSack) this.#lose(0); // RFC 6582
      if (!this.#isRecovering && wasFull) this.cubic.acknowledged(now, advance, this.rtt.smoothMs);
    }
    if (this.#lostCount > 0) this.#recover();
    return true;
  }

  /** The timer fired. */
  expire(now: number): void {
    this.deadline = Infinity;
    if (this.#count === 0) {
      if (this.queue.bytes === 0) return;
      this.#isProbe = true; // the window is shut
      this.rtt.backOff();
      return;
    }
    if (!this.#hasProbed && this.timeouts === 0 && this.#lostCount === 0) {
      // RFC 8985 §7: the last segment once more, before the timeout proper.
      this.#hasProbed = true;
      this.#lose(this.#count - 1);
      this.deadline = now + this.rtt.timeoutMs;
      return;
    }
    this.timeouts++;
    this.rtt.backOff();
    this.#duplicates = this.#sackedCount = this.#pipe = 0;
    this.#lostCount = this.#count;
    for (let i = 0; i < this.#count; i++) this.#state[this.#at(i)] = lost;
    if (this.windowBytes > 0 && distance(this.una, this.#recoverAt) >= 0) this.cubic.timedOut();
    else this.cubic.windowBytes = this.mss;
    this.#recoverAt = this.next;
    this.#isRecovering = false;
    this.deadline = now + this.rtt.timeoutMs;
  }

  clear(): void {
    this.queue.clear();
    this.deadline = Infinity;
    this.#count = this.#pipe = this.#lostCount = this.#sackedCount = 0;
  }

  /** RFC 9293 §3.10.7.4: only a segment that is not older than the last one moves the window. */
  #updateWindow(segment: Segment, window: number): void {
    const newer = distance(segment.sequence, this.#windowSequence);
    if (newer < 0 || (newer === 0 && distance(segment.acknowledged, this.#windowAcknowledged) < 0)) return;
    const wasShut = this.windowBytes === 0;
    this.#windowSequence = segment.sequence;
    this.#windowAcknowledged = segment.acknowledged;
    this.windowBytes = window;
    if (window > this.#largestWindow) this.#largestWindow = window;
    if (wasShut && window > 0) {
      this.rtt.progress();
      if (this.#count === 0) this.deadline = Infinity;
      // What was sent into the shut window was dropped there: no sign of congestion.
      this.#recoverAt = this.next;
      for (let i = 0; i < this.#count; i++) this.#lose(i);
    }
  }

  #advance(now: number, acknowledged: number, advance: number, echoedMs: number): void {
    let sampleMs = echoedMs;
    while (this.#count > 0) {
      const at = this.#head;
      const covered = distance(acknowledged, this.#start[at]!);
      const bytes = this.#bytes[at]!;
      if (covered <= 0) break;
      const state = this.#state[at]!;
      if (covered < bytes) {
        if ((state & (sacked | lost)) === 0) this.#pipe -= covered;
        this.#start[at] = acknowledged;
        this.#bytes[at] = bytes - covered;
        break;
      }
      if ((state & sacked) !== 0) this.#sackedCount--;
      else if ((state & lost) !== 0) this.#lostCount--;
      else this.#pipe -= bytes;
      if (sampleMs < 0 && state === 0) sampleMs = now - this.#sentAt[at]!;
      this.#delivered(now, at);
      this.#head = (at + 1) % this.#start.length;
      this.#count--;
    }
    this.una = acknowledged;
    const isAll = this.hasSentFin && this.una === this.next;
    this.queue.drop(isAll ? advance - 1 : advance);
    if (isAll) this.isFinAcknowledged = true;
    if (sampleMs >= 0) this.rtt.sample(sampleMs);
    this.rtt.progress();
    this.timeouts = this.#duplicates = 0;
    this.deadline = Infinity;
    if (this.#count > 0) this.#arm(now);
  }

  #delivered(now: number, at: number): void {
    const sentAt = this.#sentAt[at]!;
    // A retransmission that was answered too soon: the answer is to the first one.
    if ((this.#state[at]! & again) !== 0 && now - sentAt < this.rtt.minMs) return;
    if (sentAt > this.#deliveredSentAt) this.#deliveredSentAt = sentAt;
  }

  #select(now: number, segment: Segment): void {
    for (let i = 0; i < this.#count; i++) {
      const at = this.#at(i);
      const state = this.#state[at]!;
      if ((state & sacked) !== 0) continue;
      const start = this.#start[at]!;
      const end = add(start, this.#bytes[at]!);
      for (let b = 0; b < segment.blocks; b++) {
        if (distance(start, segment.blockStart[b]!) < 0 || distance(segment.blockEnd[b]!, end) < 0) continue;
        this.#delivered(now, at);
        if ((state & lost) !== 0) this.#lostCount--;
        else this.#pipe -= this.#bytes[at]!;
        this.#state[at] = sacked;
        this.#sackedCount++;
        break;
      }
    }
  }

  /** By order: three segments behind it arrived. By time: one that was sent clearly later arrived. */
  #detect(): void {
    const allowedMs = Math.max(1, Math.min(this.rtt.minMs, this.rtt.smoothMs) / 4);
    let above = 0;
    for (let i = this.#count - 1; i >= 0; i--) {
      const at = this.#at(i);
      const state = this.#state[at]!;
      if ((state & sacked) !== 0) above++;
      else if ((state & lost) === 0 && above > 0) {
        const byOrder = above >= duplicatesForLoss && (state & again) === 0;
        if (byOrder || this.#sentAt[at]! + allowedMs < this.#deliveredSentAt) this.#lose(i);
      }
    }
  }

  #lose(index: number): void {
    if (index < 0 || index >= this.#count) return;
    const at = this.#at(index);
    if ((this.#state[at]! & (lost | sacked)) !== 0) return;
    this.#state[at] = lost;
    this.#lostCount++;
    this.#pipe -= this.#bytes[at]!;
  }

  #recover(): void {
    if (this.#isRecovering || distance(this.una, this.#recoverAt) < 0 || this.#hasProbed) return;
    this.#isRecovering = true;
    this.#recoverAt = this.next;
    this.cubic.lost();
  }

  #arm(now: number): void {
    const { smoothMs, timeoutMs } = this.rtt;
    const isEarly = this.#count > 0 && !this.#hasProbed && smoothMs > 0 && this.timeouts === 0;
    this.deadline = now + (isEarly ? Math.min(timeoutMs, Math.max(2 * smoothMs, 10) + 50) : timeoutMs);
  }

  #at(index: number): number {
    return (this.#head + index) % this.#start.length;
  }

  #grow(): void {
    const before = { start: this.#start, bytes: this.#bytes, sentAt: this.#sentAt, state: this.#state };
    const length = this.#start.length;
    this.#start = new Int32Array(2 * length);
    this.#bytes = new Int32Array(2 * length);
    this.#sentAt = new Float64Array(2 * length);
    this.#state = new Uint8Array(2 * length);
    for (let i = 0; i < this.#count; i++) {
      const from = (this.#head + i) % length;
      this.#start[i] = before.start[from]!;
      this.#bytes[i] = before.bytes[from]!;
      this.#sentAt[i] = before.sentAt[from]!;
      this.#state[i] = before.state[from]!;
    }
    this.#head = 0;
  }
}
