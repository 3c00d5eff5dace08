// One TCP connection as a state machine (RFC 9293): segments, bytes, time and randomness come in as arguments. Effects go out through
// `FlowEffects`, and segments when `next` is asked for them, so nothing waits in a queue of packets.

import type { Arena } from '../../util/arena.ts';
import { flag, type Segment, smallestMss } from './header.ts';
import type { PacketHead } from './packethead.ts';
import { type Reader, Receiver } from './receiver.ts';
import { Sender } from './sender.ts';
import { add, distance } from './sequence.ts';

export type FlowEnd = 'closed' | 'reset' | 'refused' | 'timeout' | 'aborted';
type State = 'dialing' | 'syn-received' | 'syn-sent' | 'open' | 'time-wait' | 'ended';

export interface FlowEffects extends Reader {
  /** The handshake is complete. */
  opened(): void;
  /** The peer sends no more. */
  finished(): void;
  /** `send` may be called again after it returned false. */
  drained(): void;
  /** Nothing comes after this. */
  ended(how: FlowEnd): void;
}

export interface FlowLimits {
  readonly mtu: number;
  /** Bytes kept per direction. */
  readonly bufferBytes: number;
  readonly keepaliveMs: number;
}

export const defaultLimits: FlowLimits = { mtu: 1420, bufferBytes: 524_288, keepaliveMs: 300_000 };

const ourShift = 4;
const granularity = 1 << ourShift;
const mostSyns = 5;
const mostTimeouts = 12;
const keepaliveProbes = 5;
const keepaliveEveryMs = 30_000;
const timeWaitMs = 5000;
const timesBytes = 12;

export class TcpFlow {
  state: State = 'dialing';
  readonly head: PacketHead;
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly #effects: FlowEffects;
  readonly #limits: FlowLimits;
  #peerShift = 0;
  #scales = false;
  #times = false;
  #recentTime = 0;
  #acksOwed = 0;
  #owesSyn = false;
  #owesReset = false;
  #syns = 0;
  #synAt = Infinity;
  #heardAt: number;
  #probes = 0;
  #waitUntil = Infinity;
  #wasFull = false;
  #wasFinished = false;
  readonly #start = new Int32Array(4);
  readonly #end = new Int32Array(4);

  /** With `syn`, a connection that the peer opens; without, one that `connect` opens. */
  constructor(
    now: number,
    head: PacketHead,
    first: number,
    effects: FlowEffects,
    limits: FlowLimits,
    syn: Segment | null,
  ) {
    this.head = head;
    this.#effects = effects;
    this.#limits = limits;
    this.#heardAt = now;
    const headerBytes = head.ipBytes + 20;
    const ours = limits.mtu - headerBytes;
    const theirs = syn === null ? ours : Math.max(syn.mss, syn.mss === 0 ? smallestMss[head.version] : 64);
    this.sender = new Sender(first, Math.min(ours, theirs) - timesBytes);
    this.receiver = new Receiver(effects, 0, limits.bufferBytes);
    if (syn !== null) this.#agree(syn);
  }

  get mss(): number {
    return this.#limits.mtu - this.head.ipBytes - 20;
  }

  /** Milliseconds at which `poll` has work. */
  get deadline(): number {
    if (this.state === 'ended') return Infinity;
    const keepalive =
      this.state === 'open'
        ? this.#heardAt + this.#limits.keepaliveMs + this.#probes * keepaliveEveryMs
        : Infinity;
    return Math.min(this.sender.deadline, this.#synAt, this.#waitUntil, keepalive);
  }

  /** The outer side answered: so does this one. */
  accept(): void {
    if (this.state !== 'dialing') return;
    this.state = 'syn-received';
    this.#owesSyn = true;
  }

  connect(): void {
    this.state = 'syn-sent';
    this.#owesSyn = true;
  }

  /** False: wait for `drained`. The chunk belongs to the flow. */
  send(chunk: Uint8Array): boolean {
    if (this.state === 'ended' || this.sender.isEnding) return false;
    this.sender.queue.push(chunk);
    this.#wasFull = this.sender.queue.bytes >= this.#limits.bufferBytes;
    return !this.#wasFull;
  }

  /** No more will be sent. */
  finish(): void {
    this.sender.isEnding = true;
  }

  /** Ends at once; `next` gives the RST. */
  abort(how: FlowEnd = 'aborted'): void {
    if (this.state === 'ended') return;
    this.#owesReset = this.state !== 'time-wait';
    this.#close(how);
  }

  /** The outer side took bytes: tells the peer when the window has opened enough. */
  read(): void {
    if (this.state !== 'open' || this.receiver.isFinished) return;
    if (this.receiver.gain >= Math.min(2 * this.sender.mss, this.#limits.bufferBytes / 2))
      this.#acksOwed ||= 1;
  }

  input(now: number, segment: Segment, u8: Uint8Array): void {
    this.#heardAt = now;
    this.#probes = 0;
    if (this.state === 'dialing') {
      if ((segment.flags & flag.rst) !== 0) this.#close('reset');
    } else if (this.state === 'syn-sent') this.#answered(segment);
    else if (this.state === 'syn-received') this.#confirmed(now, segment, u8);
    else if (this.state === 'open') this.#inOpen(now, segment, u8);
    else if (this.state === 'time-wait') this.#inTimeWait(segment);
  }

  poll(now: number): void {
    if (this.state === 'ended') return;
    if (this.#waitUntil <= now) return this.#close('closed');
    if (this.#synAt <= now) {
      if (this.#syns >= mostSyns) return this.#close('timeout');
      this.sender.rtt.backOff();
      this.#synAt = Infinity;
      this.#owesSyn = true;
    }
    if (this.sender.deadline <= now) {
      const isProbing = this.sender.windowBytes === 0 && now - this.#heardAt < 2 * 60_000 + 1000;
      if (this.sender.timeouts >= mostTimeouts && !isProbing) return this.abort('timeout');
      this.sender.expire(now);
    }
    this.#keepalive(now);
  }

  /** Writes the next packet to `at` and returns its bytes; 0 when there is none for now. */
  next(now: number, arena: Arena, at: number): number {
    if (this.#owesReset) {
      this.#owesReset = false;
      return this.#write(now, arena, at, flag.rst | flag.ack, this.sender.next, 0, 0);
    }
    if (this.#owesSyn) return this.#writeSyn(now, arena, at);
    if (this.state !== 'open' && this.state !== 'time-wait') return 0;
    const hasGap = this.#acksOwed > 0 && this.receiver.hasGap;
    if (!hasGap && this.state === 'open' && this.sender.choose(now)) {
      const { chosenAt, chosenBytes, chosenFin } = this.sender;
      const isLast =
        chosenFin || distance(chosenAt, this.sender.una) + chosenBytes === this.sender.queue.bytes;
      const flags = flag.ack | (isLast ? flag.psh : 0) | (chosenFin ? flag.fin : 0);
      return this.#write(now, arena, at, flags, chosenAt, chosenBytes, 0);
    }
    if (this.#acksOwed === 0) return 0;
    const blocks = hasGap && this.sender.hasSack ? this.receiver.blocks(this.#start, this.#end, 3) : 0;
    // One acknowledgement says all, unless the peer counts duplicates.
    const left = hasGap && !this.sender.hasSack ? this.#acksOwed - 1 : 0;
    const bytes = this.#write(now, arena, at, flag.ack, this.sender.next, 0, blocks);
    this.#acksOwed = left;
    return bytes;
  }

  #agree(syn: Segment): void {
    this.receiver.begin(add(syn.sequence, 1));
    this.#scales = syn.shift >= 0;
    this.#peerShift = this.#scales ? syn.shift : 0;
    this.#times = syn.hasTimes;
    this.#recentTime = syn.time;
    this.sender.hasSack = syn.mayAcknowledgeSelectively;
    this.sender.open(syn, 0); // the window of a SYN is never scaled
  }

  #open(now: number): void {
    this.state = 'open';
    this.#synAt = Infinity;
    this.#owesSyn = false;
    this.sender.rtt.progress();
    this.#heardAt = now;
    this.#effects.opened();
  }

  #answered(segment: Segment): void {
    const isAcknowledged =
      (segment.flags & flag.ack) !== 0 && segment.acknowledged === add(this.sender.next, 1);
    if (!isAcknowledged) return;
    if ((segment.flags & flag.rst) !== 0) return this.#close('refused');
    if ((segment.flags & flag.syn) === 0) return;
    this.#agree(segment);
    this.sender.begin(segment.mss === 0 ? smallestMss[this.head.version] : segment.mss, timesBytes);
    this.#acksOwed = 1;
    this.#open(this.#heardAt);
  }

  #confirmed(now: number, segment: Segment, u8: Uint8Array): void {
    const { flags } = segment;
    if ((flags & flag.rst) !== 0) {
      if (segment.sequence === this.receiver.next) this.#close('reset');
      return;
    }
    if ((flags & flag.syn) !== 0) {
      this.#owesSyn = true;
      return;
    }
    if ((flags & flag.ack) === 0 || segment.acknowledged !== add(this.sender.next, 1)) return;
    this.sender.begin(this.sender.mss + timesBytes, timesBytes);
    this.#open(now);
    this.#inOpen(now, segment, u8);
  }

  #inOpen(now: number, segment: Segment, u8: Uint8Array): void {
    const { flags } = segment;
    const isReset = (flags & flag.rst) !== 0;
    if (this.#times && segment.hasTimes && !isReset && distance(segment.time, this.#recentTime) < 0) {
      this.#acksOwed++; // PAWS, RFC 7323 §5
      return;
    }
    if (isReset) {
      if (segment.sequence === this.receiver.next) this.#close('reset');
      else if (this.receiver.accepts(segment)) this.#acksOwed++; // RFC 5961
      return;
    }
    if (!this.receiver.accepts(segment) || (flags & flag.syn) !== 0) {
      this.#acksOwed++;
      return;
    }
    if ((flags & flag.ack) === 0) return;
    const echoedMs = this.#times && segment.hasTimes ? distance(Math.floor(now) | 0, segment.echo) : -1;
    if (!this.sender.acknowledge(now, segment, this.#peerShift, echoedMs)) {
      this.#acksOwed++;
      return;
    }
    if (segment.hasTimes && distance(segment.sequence, this.receiver.next) <= 0)
      this.#recentTime = segment.time;
    if (segment.payloadBytes > 0 || (flags & flag.fin) !== 0) {
      this.receiver.take(u8, segment);
      this.#acksOwed++;
    }
    this.#afterInput(now);
  }

  #afterInput(now: number): void {
    if (this.receiver.isFinished && !this.#wasFinished) {
      this.#wasFinished = true;
      this.#effects.finished();
    }
    if (this.state !== 'open') return; // the effect may have ended it
    if (this.#wasFull && this.sender.queue.bytes <= this.#limits.bufferBytes / 2) {
      this.#wasFull = false;
      this.#effects.drained();
    }
    if (!this.sender.isFinAcknowledged || !this.receiver.isFinished) return;
    this.state = 'time-wait';
    this.sender.clear();
    this.#waitUntil = now + timeWaitMs;
  }

  #inTimeWait(segment: Segment): void {
    if ((segment.flags & flag.rst) !== 0) this.#close('closed');
    else if (segment.payloadBytes > 0 || (segment.flags & (flag.fin | flag.syn)) !== 0) this.#acksOwed++;
  }

  #keepalive(now: number): void {
    if (this.state !== 'open') return;
    if (now < this.#heardAt + this.#limits.keepaliveMs + this.#probes * keepaliveEveryMs) return;
    if (this.#probes++ >= keepaliveProbes) return this.abort('timeout');
    this.#isKeepalive = true;
    this.#acksOwed ||= 1;
  }

  /** The next acknowledgement lies one before the window, so that it is answered. */
  #isKeepalive = false;

  #close(how: FlowEnd): void {
    this.state = 'ended';
    this.sender.clear();
    this.receiver.clear();
    this.#acksOwed = 0;
    this.#owesSyn = false;
    this.#synAt = this.#waitUntil = Infinity;
    this.#effects.ended(how);
  }

  #writeSyn(now: number, arena: Arena, at: number): number {
    const { view } = arena;
    const isAnswer = this.state === 'syn-received';
    const tcpAt = at + this.head.ipBytes;
    let option = tcpAt + 20;
    view.setUint32(option, 0x0204_0000 | this.mss);
    option += 4;
    if (!isAnswer || this.sender.hasSack) {
      view.setUint32(option, 0x0101_0402);
      option += 4;
    }
    if (!isAnswer || this.#times) {
      this.#writeTimes(now, view, option);
      option += timesBytes;
    }
    if (!isAnswer || this.#scales) {
      view.setUint32(option, 0x0103_0300 | ourShift);
      option += 4;
    }
    this.#owesSyn = false;
    this.#syns++;
    this.#synAt = now + this.sender.rtt.timeoutMs;
    const window = Math.min(0xffff, this.receiver.announce(1, 0xffff));
    const flags = flag.syn | (isAnswer ? flag.ack : 0);
    const acknowledged = isAnswer ? this.receiver.next : 0;
    return this.head.finish(arena, at, option - tcpAt, 0, this.sender.next, acknowledged, flags, window);
  }

  #writeTimes(now: number, view: DataView, at: number): void {
    view.setUint32(at, 0x0101_080a);
    view.setInt32(at + 4, Math.floor(now) | 0);
    view.setInt32(at + 8, this.#recentTime);
  }

  #write(
    now: number,
    arena: Arena,
    at: number,
    flags: number,
    sequence: number,
    bytes: number,
    blocks: number,
  ): number {
    const { view, u8 } = arena;
    const tcpAt = at + this.head.ipBytes;
    let option = tcpAt + 20;
    if (this.#times && this.state !== 'dialing') {
      this.#writeTimes(now, view, option);
      option += timesBytes;
    }
    if (blocks > 0) {
      view.setUint32(option, 0x0101_0500 | (2 + 8 * blocks));
      option += 4;
      for (let b = 0; b < blocks; b++, option += 8) {
        view.setInt32(option, this.#start[b]!);
        view.setInt32(option + 4, this.#end[b]!);
      }
    }
    if (bytes > 0) this.sender.queue.copy(distance(sequence, this.sender.una), bytes, u8, option);
    const shift = this.#scales ? ourShift : 0;
    const window = Math.min(
      0xffff,
      this.receiver.announce(this.#scales ? granularity : 1, 0xffff << shift) >> shift,
    );
    const from = this.#isKeepalive && bytes === 0 ? add(sequence, -1) : sequence;
    this.#isKeepalive = false;
    this.#acksOwed = 0;
    return this.head.finish(arena, at, option - tcpAt, bytes, from, this.receiver.next, flags, window);
  }
}
