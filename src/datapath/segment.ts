// From the TUN device to the batch: a packet with its virtio_net_hdr becomes the packets that go into the tunnel: TCP and UDP
// segmentation (Linux tcp_gso_segment, __udp_gso_segment), checksums completed (D6), padding (D5). A plain packet is read into its
// place in the batch and not copied; a segment is copied once, while it is summed. The header length in the hdr is not trusted.

import type { Arena } from '../util/arena.ts';
import type { SendBatch } from './batch.ts';
import type { Checksum } from './checksum.ts';
import { fold } from './checksum.ts';
import { gso, ip4, ip4Bytes, ip6, ip6Bytes, ipEcn, ipLength, littleEndian, paddedBytes } from './inet.ts';
import {
  protocol,
  pseudoSum,
  tcp,
  tcpBytes,
  tcpFlag,
  udp,
  udpBytes,
  vnet,
  vnetBytes,
  vnetFlag,
} from './inet.ts';

/** 'malformed': headers that contradict each other; 'unsupported': a kind of super-packet that the kernel was not asked for. */
export type SegmentVerdict = 'ok' | 'malformed' | 'unsupported';

const maxPacketBytes = 65535;
/** In UDP a field of zero says that there is no checksum, so zero is sent as its other form (RFC 768). Not in TCP (RFC 1624 §3). */
const noneInUdp = 0xffff;

export class Segmenter {
  /** Device MTU, for padding and for the size of the first part of a split read. */
  mtu: number;
  /** Where super-packets are read, or spill over to. */
  readonly spillAt: number;
  readonly spillBytes: number = vnetBytes + maxPacketBytes;

  // The packet at hand.
  packetAt = 0;
  packetBytes = 0;
  version = 0;
  ecn = 0;

  #arena: Arena;
  #checksum: Checksum;
  #kind = 0; // gso type without the ECN flag
  #checksumAt = -1; // plain packets: where the sum starts, or -1 when it is complete
  #fieldAt = 0; // where the checksum goes
  #segment = 0; // payload bytes of one segment
  #transport = 0; // bytes before the transport header
  #headers = 0; // bytes before the payload
  #done = 0; // payload bytes already in a batch
  #index = 0; // number of the next segment
  #ipSum = 0; // of the IPv4 header without length, id and checksum
  #transportSum = 0; // pseudo-header and transport header without all that differs between segments

  constructor(arena: Arena, checksum: Checksum, mtu: number) {
    this.#arena = arena;
    this.#checksum = checksum;
    this.mtu = mtu;
    this.spillAt = arena.alloc(this.spillBytes + 16) + 16 - vnetBytes; // the packet itself is aligned
  }

  /** Bytes of the first part of a split read: header and one packet. */
  get headBytes(): number {
    return vnetBytes + this.mtu;
  }

  get destinationAt(): number {
    return this.packetAt + (this.version === 4 ? ip4.to : ip6.to);
  }

  /**
   * Takes up the `bytes` bytes (virtio_net_hdr included) of one TUN read. Only the first `head` of them are at `at`; the
   * rest, if any, is in the spill buffer behind as many bytes.
   */
  begin(at: number, bytes: number, head: number = bytes): SegmentVerdict {
    const { u8, view } = this.#arena;
    if (bytes < vnetBytes + ip4Bytes) return 'malformed';
    if (bytes > head) {
      u8.copyWithin(this.spillAt, at, at + head);
      at = this.spillAt;
    }
    const flags = u8[at + vnet.flags]!;
    const kind = u8[at + vnet.gsoType]! & ~gso.ecn;
    this.packetAt = at + vnetBytes;
    if (kind === gso.none) {
      const verdict = this.beginPlain(at + vnetBytes, bytes - vnetBytes);
      if (verdict !== 'ok' || (flags & vnetFlag.needsChecksum) === 0) return verdict;
      const start = view.getUint16(at + vnet.checksumStart, littleEndian);
      const field = start + view.getUint16(at + vnet.checksumOffset, littleEndian);
      if (start < ip4Bytes || field + 2 > this.packetBytes) return 'malformed';
      this.#checksumAt = this.packetAt + start;
      this.#fieldAt = this.packetAt + field;
      return 'ok';
    }
    if (kind !== gso.tcp4 && kind !== gso.tcp6 && kind !== gso.udp) return 'unsupported';
    this.packetBytes = bytes - vnetBytes;
    this.version = u8[this.packetAt]! >> 4;
    const start =
      (flags & vnetFlag.needsChecksum) === 0 ? 0 : view.getUint16(at + vnet.checksumStart, littleEndian);
    return this.#beginSuper(kind, view.getUint16(at + vnet.gsoBytes, littleEndian), start);
  }

  /** Takes up a packet without virtio_net_hdr whose checksum is complete. */
  beginPlain(at: number, bytes: number): SegmentVerdict {
    const { u8, view } = this.#arena;
    const length = ipLength(view, at, bytes);
    if (length === 0) return 'malformed';
    this.packetAt = at;
    this.packetBytes = length;
    this.version = u8[at]! >> 4;
    this.ecn = ipEcn(u8, at);
    this.#kind = gso.none;
    this.#checksumAt = -1;
    return 'ok';
  }

  #beginSuper(kind: number, segment: number, checksumStart: number): SegmentVerdict {
    const { u8, view } = this.#arena;
    const at = this.packetAt;
    const bytes = this.packetBytes;
    const version = this.version;
    const next = kind === gso.udp ? protocol.udp : protocol.tcp;
    let transport = 0;
    let extended = false;
    if (version === 4 && kind !== gso.tcp6) {
      transport = (u8[at]! & 15) * 4;
      if (transport < ip4Bytes || u8[at + ip4.protocol] !== next) return 'malformed';
    } else if (version === 6 && kind !== gso.tcp4) {
      // Behind extension headers only the kernel knows where the transport header is, and it says so.
      extended = bytes >= ip6Bytes && u8[at + ip6.next] !== next;
      transport = extended ? checksumStart : ip6Bytes;
      if (transport < ip6Bytes) return 'malformed';
    } else return 'malformed';
    const smallest = kind === gso.udp ? udpBytes : tcpBytes;
    if (segment === 0 || transport + smallest > bytes) return 'malformed';
    const at4 = at + transport;
    const headers = transport + (kind === gso.udp ? udpBytes : (u8[at4 + tcp.offset]! >> 4) * 4);
    if (headers < transport + smallest || headers > bytes) return 'malformed';

    this.ecn = ipEcn(u8, at);
    this.#kind = kind;
    this.#segment = segment;
    this.#transport = transport;
    this.#headers = headers;
    this.#fieldAt = at4 + (kind === gso.udp ? udp.checksum : tcp.checksum);
    this.#done = 0;
    this.#index = 0;

    const field = view.getUint16(this.#fieldAt);
    // With a routing header the kernel's own pseudo-header sum is the only one that names the final destination.
    const total = bytes - transport;
    const pseudo = extended ? fold(field + (~fold(total) & 0xffff)) : pseudoSum(view, at, version, next, 0);
    let sum = pseudo + (~field & 0xffff);
    for (let word = at4; word < at + headers; word += 4) {
      const value = view.getUint32(word);
      sum += (value >>> 16) + (value & 0xffff);
    }
    if (kind === gso.udp) sum += ~view.getUint16(at4 + udp.length) & 0xffff;
    else {
      const sequence = view.getUint32(at4 + tcp.sequence);
      sum += (~(sequence >>> 16) & 0xffff) + (~sequence & 0xffff);
      sum += ~view.getUint16(at4 + tcp.offset) & 0xffff;
    }
    this.#transportSum = fold(sum);
    if (version === 4) {
      sum = 0;
      for (let word = at; word < at4; word += 4) {
        const value = view.getUint32(word);
        sum += (value >>> 16) + (value & 0xffff);
      }
      sum += ~view.getUint16(at + ip4.total) & 0xffff;
      sum += ~view.getUint16(at + ip4.id) & 0xffff;
      sum += ~view.getUint16(at + ip4.checksum) & 0xffff;
      this.#ipSum = fold(sum);
    }
    return 'ok';
  }

  /**
   * Appends the packet, or as many of its segments as find room, to `batch`. False when the batch is full and there is
   * more: flush it and call again.
   */
  fill(batch: SendBatch): boolean {
    if (this.#kind === gso.none) return this.#fillPlain(batch);
    if (batch.holds(this.packetAt)) this.#moveToSpill();
    return this.#fillSegments(batch);
  }

  #fillPlain(batch: SendBatch): boolean {
    const { u8, view } = this.#arena;
    const from = this.packetAt;
    const bytes = this.packetBytes;
    const padded = paddedBytes(bytes, this.mtu);
    if (!batch.fits(padded)) return false;
    if (this.#checksumAt >= 0) {
      const sum = ~this.#checksum.sum(this.#checksumAt, bytes - (this.#checksumAt - from), 0) & 0xffff;
      const isUdp = this.#fieldAt - this.#checksumAt === udp.checksum;
      view.setUint16(this.#fieldAt, sum === 0 && isUdp ? noneInUdp : sum);
      this.#checksumAt = -1;
    }
    const to = batch.append(padded, this.ecn);
    if (to !== from) u8.copyWithin(to, from, from + bytes);
    for (let pad = to + bytes; pad < to + padded; pad++) u8[pad] = 0;
    return true;
  }

  #fillSegments(batch: SendBatch): boolean {
    const { u8, view } = this.#arena;
    const checksum = this.#checksum;
    const from = this.packetAt;
    const transport = this.#transport;
    const headers = this.#headers;
    const segment = this.#segment;
    const payload = this.packetBytes - headers;
    const field = this.#fieldAt - from;
    const isTcp = this.#kind !== gso.udp;
    const sequence = view.getInt32(from + transport + tcp.sequence);
    const id = view.getUint16(from + ip4.id);
    const offsetAndFlags = isTcp ? view.getUint16(from + transport + tcp.offset) : 0;
    let done = this.#done;
    let index = this.#index;
    do {
      const piece = payload - done < segment ? payload - done : segment;
      const bytes = headers + piece;
      const padded = paddedBytes(bytes, this.mtu);
      const to = batch.append(padded, this.ecn);
      if (to < 0) {
        this.#done = done;
        this.#index = index;
        return false;
      }
      let word = 0;
      for (; word < headers; word += 4) view.setUint32(to + word, view.getUint32(from + word));
      if (this.version === 4) {
        const segmentId = (id + index) & 0xffff;
        view.setUint16(to + ip4.total, bytes);
        view.setUint16(to + ip4.id, segmentId);
        view.setUint16(to + ip4.checksum, ~fold(this.#ipSum + bytes + segmentId));
      } else view.setUint16(to + ip6.payload, bytes - ip6Bytes);
      let sum = this.#transportSum + (bytes - transport);
      if (isTcp) {
        const number = (sequence + done) | 0;
        let flags = offsetAndFlags;
        if (index > 0) flags &= ~tcpFlag.cwr;
        if (done + piece < payload) flags &= ~(tcpFlag.fin | tcpFlag.psh);
        view.setUint32(to + transport + tcp.sequence, number);
        view.setUint16(to + transport + tcp.offset, flags);
        sum += ((number >>> 16) & 0xffff) + (number & 0xffff) + flags;
      } else {
        view.setUint16(to + transport + udp.length, bytes - transport);
        sum += bytes - transport;
      }
      sum = ~checksum.copySum(to + headers, from + headers + done, piece, sum) & 0xffff;
      view.setUint16(to + field, sum === 0 && !isTcp ? noneInUdp : sum);
      for (let pad = to + bytes; pad < to + padded; pad++) u8[pad] = 0;
      done += piece;
      index++;
    } while (done < payload);
    return true;
  }

  /** A small super-packet was read in place: out of the way of its own segments. */
  #moveToSpill(): void {
    const at = this.packetAt;
    this.packetAt = this.spillAt + vnetBytes;
    this.#fieldAt += this.packetAt - at;
    this.#arena.u8.copyWithin(this.packetAt, at, at + this.packetBytes);
  }
}
