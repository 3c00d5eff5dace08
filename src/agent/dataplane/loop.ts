// Loop: the packet path, run to completion. One turn is a wait, then whole batches: TUN to network, network to TUN, then
// deadlines and commands. Nothing here allocates per packet, waits for a batch to fill, or spins when idle: the wait ends
// with input, a command, or the next deadline.

import { outerEcn, innerEcn } from '../../datapath/ecn.ts';
import { ipLength, vnetBytes } from '../../datapath/inet.ts';
import type { SendBatch } from '../../datapath/batch.ts';
import type { Segmenter } from '../../datapath/segment.ts';
import type { Coalescer } from '../../datapath/coalesce.ts';
import type { Unreachable } from '../../datapath/unreachable.ts';
import type { Arena } from '../../util/arena.ts';
import type { Device } from '../../wireguard/device.ts';
import type { Endpoint } from '../../wireguard/peer/endpoint.ts';
import type { Keypair } from '../../wireguard/noise/keypair.ts';
import type { Outbox } from '../../wireguard/effects.ts';
import type { Peer } from '../../wireguard/peer/peer.ts';
import type { Counters } from './counters.ts';
import type { Slot, Sockets, Tun, Udp } from './ports.ts';

const EAGAIN = 11;
const EBADFD = 77;
const EINVAL = 22;
const EIO = 5;
/** Reads from one source before the other sources are served. */
const readsPerTurn = 64;
const receivesPerTurn = 8;
export const dataMessage = 4;
export const headBytes = 16;
export const overheadBytes = 32;

export interface PathState {
  readonly arena: Arena;
  readonly device: Device;
  readonly tun: Tun;
  readonly sockets: Sockets;
  readonly slot: Slot;
  readonly batch: SendBatch;
  readonly segmenter: Segmenter;
  readonly coalescer: Coalescer;
  readonly unreachable: Unreachable;
  readonly counters: Counters;
  readonly out: Outbox;
}

export class Loop {
  readonly #arena: Arena;
  readonly #device: Device;
  readonly #tun: Tun;
  readonly #sockets: Sockets;
  readonly #segmenter: Segmenter;
  readonly #coalescer: Coalescer;
  readonly #unreachable: Unreachable;
  readonly #counters: Counters;
  readonly #out: Outbox;
  /** The datagrams at hand. */
  protected slot: Slot;
  /** The batch being filled, and the peer of its packets. */
  protected batch: SendBatch;
  protected batchPeer: Peer | null = null;
  /** A batch with this many packets is sent without waiting for more. */
  protected enough: number = Infinity;
  // The run of packets under one key inside a receive batch; timers and roaming happen once per run (R7).
  #run: Keypair<Peer> | null = null;
  #runIndex = 0;
  #runPackets = 0;
  #runBytes = 0;
  #runData = false;

  constructor(parts: PathState) {
    this.#arena = parts.arena;
    this.#device = parts.device;
    this.#tun = parts.tun;
    this.#sockets = parts.sockets;
    this.slot = parts.slot;
    this.batch = parts.batch;
    this.#segmenter = parts.segmenter;
    this.#coalescer = parts.coalescer;
    this.#unreachable = parts.unreachable;
    this.#counters = parts.counters;
    this.#out = parts.out;
  }

  /**
   * TUN to network, until the device has no more or the limit of a turn is reached; a lone packet is one turn. False when the
   * TUN device is gone.
   */
  outbound(now: number, isLone = false): boolean {
    const limit = isLone ? 1 : readsPerTurn;
    const tun = this.#tun;
    const segmenter = this.#segmenter;
    const head = segmenter.headBytes;
    let alive = true;
    for (let reads = 0; reads < limit; reads++) {
      if (this.batch.count >= this.enough || !this.batch.fits(segmenter.mtu)) this.flush(now, true);
      const at = this.batch.readAt;
      const bytes = tun.vnetHeader
        ? tun.readSplit(at, head, segmenter.spillAt + head, segmenter.spillBytes - head)
        : tun.readSplit(
            at + vnetBytes,
            head - vnetBytes,
            segmenter.spillAt + head,
            segmenter.spillBytes - head,
          );
      if (bytes < 0) {
        if (bytes === -EBADFD) alive = false;
        else if (bytes !== -EAGAIN && bytes !== -EIO) this.#counters.tunErrors++;
        break;
      }
      if (bytes === 0) break;
      const verdict = tun.vnetHeader
        ? segmenter.begin(at, bytes, head)
        : segmenter.beginPlain(at + vnetBytes, bytes);
      if (verdict !== 'ok') {
        this.#counters.verdict('malformed');
        continue;
      }
      const peer =
        segmenter.version === 4
          ? this.#device.routes.find4(this.#arena.u8, segmenter.destinationAt)
          : this.#device.routes.find6(this.#arena.u8, segmenter.destinationAt);
      if (peer === null || peer.endpoint.family === 0) {
        this.#counters.verdict(peer === null ? 'no-route' : 'no-endpoint');
        if (peer !== null) peer.txErrors++;
        this.#refuse(now);
        continue;
      }
      if (peer !== this.batchPeer) {
        if (this.batch.count > 0) this.flush(now, false); // the packet at hand may lie in it
        this.batchPeer = peer;
      }
      while (!segmenter.fill(this.batch)) this.flush(now, true);
    }
    this.flush(now, false);
    this.batchPeer = null;
    return alive;
  }

  /** Seals and sends what the batch holds, or stages it while there is no key. `more`: the turn is not over. */
  protected flush(now: number, _more: boolean): void {
    const { batch } = this;
    if (batch.count === 0) return;
    const peer = this.batchPeer!;
    const keypair = this.sealable(now, batch, peer);
    if (keypair === null) return;
    this.seal(batch, keypair);
    this.send(now, batch, peer, keypair);
  }

  /** The key for a whole batch; or null, and the batch is staged. */
  protected sealable(now: number, batch: SendBatch, peer: Peer): Keypair<Peer> | null {
    const device = this.#device;
    const keypair = device.sendKeypair(now, peer, this.#out, batch.count);
    if (keypair !== null) return keypair;
    for (let i = 0; i < batch.count; i++)
      device.stage(now, peer, batch.packetAt[i]! + headBytes, batch.packetBytes[i]!, this.#out);
    batch.reset();
    return null;
  }

  protected seal(batch: SendBatch, keypair: Keypair<Peer>): void {
    const first = this.number(batch, keypair);
    const aead = keypair.send;
    for (let i = 0; i < batch.count; i++)
      aead.seal(batch.packetAt[i]! + headBytes, batch.packetBytes[i]!, first + i);
  }

  /** Gives every message of the batch its counter: the first is returned. */
  protected number(batch: SendBatch, keypair: Keypair<Peer>): number {
    const counter = keypair.sendCounter;
    keypair.sendCounter = counter + batch.count;
    batch.stamp(keypair.remoteIndex, counter);
    this.#counters.batch(batch.count);
    return counter;
  }

  /** Sends what is sealed, and empties the batch. */
  protected send(now: number, batch: SendBatch, peer: Peer, keypair: Keypair<Peer>): void {
    const udp = this.#sockets.of(peer.endpoint.family);
    let sentPackets = 0;
    let sentBytes = 0;
    if (udp !== null) {
      for (let g = 0; g < batch.groups; g++) {
        const bytes = batch.groupBytes[g]!;
        const result = udp.send(
          batch.groupAt[g]!,
          bytes,
          batch.groupCount[g]! === 1 ? 0 : batch.groupSegment[g]!,
          peer.endpoint,
          outerEcn(batch.groupEcn[g]!),
        );
        if (result < 0) {
          this.#counters.sendErrors += batch.groupCount[g]!;
          continue;
        }
        sentPackets += batch.groupCount[g]!;
        sentBytes += bytes;
      }
    } else this.#counters.sendErrors += batch.count;
    batch.reset();
    // Called even when nothing left, or persistent keepalives would stop; but only a successful send counts as heard by the
    // peer (D7).
    this.#device.sentData(now, peer, keypair, sentPackets, sentBytes, sentPackets > 0, this.#out);
  }

  /** ICMP host or address unreachable back into the tunnel (D1, D2). */
  #refuse(now: number): void {
    const { packetAt, packetBytes } = this.#segmenter;
    const bytes = this.#unreachable.build(now, packetAt, packetBytes);
    if (bytes > 0) this.writePlain(this.#unreachable.at, bytes);
  }

  /** One inner packet into the tunnel device; the ten bytes before `at` may be overwritten. */
  writePlain(at: number, bytes: number): void {
    let from = at;
    if (this.#tun.vnetHeader) {
      from -= vnetBytes;
      this.#arena.u8.fill(0, from, at);
    }
    if (this.#tun.write(from, bytes + at - from) < 0) this.#counters.tunErrors++;
  }

  /** Network to TUN until the socket, if there is one, has no more, or its turn is over. */
  inbound(now: number, udp: Udp | null, isLone = false): void {
    if (udp === null) return;
    const limit = isLone ? 1 : receivesPerTurn;
    for (let receives = 0; receives < limit; receives++) {
      const bytes = udp.receive(this.slot);
      if (bytes < 0) return;
      this.judge(now, bytes);
    }
  }

  /** What one receive has brought, message by message. */
  protected judge(now: number, bytes: number): void {
    const { slot } = this;
    if (slot.truncated) return this.#counters.verdict('malformed'); // W8
    const segment = slot.segment > 0 ? slot.segment : bytes;
    const end = slot.at + bytes;
    for (let at = slot.at; at < end; at += segment) {
      const length = end - at < segment ? end - at : segment;
      if (length >= overheadBytes && this.#arena.view.getUint32(at, true) === dataMessage) {
        this.#transport(now, at, length);
      } else {
        this.#finishRun(now);
        const verdict = this.#device.receiveUdp(now, at, length, slot.from as Endpoint, this.#out);
        if (verdict !== 'ok') this.#counters.verdict(verdict);
      }
    }
    this.endSlot(now);
  }

  /** One transport message: authenticate, then replay, then source (R1 to R5). */
  #transport(now: number, at: number, bytes: number): void {
    const { view } = this.#arena;
    const device = this.#device;
    const index = view.getInt32(at + 4, true);
    let keypair = this.#run;
    if (keypair === null || index !== this.#runIndex) {
      this.#finishRun(now);
      keypair = device.findKeypair(index);
      if (keypair === null) return this.#counters.verdict('unknown-index');
      if (!device.acceptable(now, keypair)) return this.#counters.verdict('expired-key');
    }
    const low = view.getUint32(at + 8, true);
    const high = view.getUint32(at + 12, true);
    if (!keypair.receive.open(at + headBytes, bytes - headBytes, low, high)) {
      return this.#counters.verdict('bad-crypto');
    }
    this.accept(keypair, at, bytes);
  }

  /** One opened message. */
  protected accept(keypair: Keypair<Peer>, at: number, bytes: number): void {
    const { view, u8 } = this.#arena;
    const device = this.#device;
    if (!keypair.replay.accept(view.getUint32(at + 8, true), view.getUint32(at + 12, true)))
      return this.#counters.verdict('replay');
    this.#run = keypair;
    this.#runIndex = keypair.localIndex;
    this.#runPackets++;
    const inner = at + headBytes;
    if (bytes === overheadBytes) {
      this.#runBytes += bytes;
      return;
    }
    this.#runData = true;
    const length = ipLength(view, inner, bytes - overheadBytes);
    const peer = keypair.peer;
    if (length === 0) {
      peer.rxErrors++;
      return this.#counters.verdict('bad-inner');
    }
    const owner =
      u8[inner]! >> 4 === 4 ? device.routes.find4(u8, inner + 12) : device.routes.find6(u8, inner + 8);
    if (owner !== peer) {
      peer.rxErrors++;
      return this.#counters.verdict('bad-source');
    }
    this.#runBytes += bytes;
    if ((this.slot.ecn & 1) !== 0) innerEcn(this.#arena, inner, this.slot.ecn);
    if (!this.#coalescer.add(inner, length)) {
      this.#deliver();
      this.#coalescer.add(inner, length);
    }
  }

  /** Writes what the coalescer has joined; a kernel that refuses a super-packet gets its members one by one. */
  #deliver(): void {
    const coalescer = this.#coalescer;
    const tun = this.#tun;
    if (!tun.vnetHeader) {
      for (let p = 0; p < coalescer.count; p++) {
        if (tun.write(coalescer.packetAt[p]!, coalescer.packetBytes[p]!) < 0) this.#counters.tunErrors++;
      }
      coalescer.reset();
      return;
    }
    const writes = coalescer.finish();
    for (let w = 0; w < writes; w++) {
      const pieces = coalescer.pieces[w]!;
      const result =
        pieces === 0
          ? tun.write(coalescer.writeAt[w]!, coalescer.writeBytes[w]!)
          : tun.writev(coalescer.writeAt[w]!, pieces);
      if (result >= 0) continue;
      if (result !== -EINVAL || pieces === 0) {
        this.#counters.tunErrors++;
        continue;
      }
      coalescer.refuse(w);
      for (let p = coalescer.first[w]!; p >= 0; p = coalescer.next[p]!) {
        this.writePlain(coalescer.packetAt[p]!, coalescer.packetBytes[p]!);
      }
    }
    coalescer.reset();
  }

  /** After the last message of a slot: whatever waits in it is told and written before the slot is used again. */
  protected endSlot(now: number): void {
    this.#finishRun(now);
    this.#deliver();
  }

  #finishRun(now: number): void {
    const keypair = this.#run;
    if (keypair === null) return;
    this.#run = null;
    const from = this.slot.from as Endpoint;
    this.#device.receivedData(now, keypair, from, this.#runPackets, this.#runBytes, this.#runData, this.#out);
    this.#runPackets = this.#runBytes = 0;
    this.#runData = false;
  }
}
