// From the tunnel to the TUN device: adjacent segments of one TCP connection, and equal UDP datagrams of one flow, leave as
// one super-packet in one write (rules of Linux tcp_gro_receive and wireguard-go's offload_linux.go; conformance R6). The
// packets stay where they were decrypted: a super-packet is a header of its own followed by pieces of the originals, as an
// iovec list for writev, so no payload is copied and a kernel that refuses the super-packet can still have the originals.
//
// A broken packet must not be repaired by giving it a fresh checksum on the way: checksums are verified before two packets
// are joined, and only then, because nothing else changes a packet. Packets of one flow never overtake each other.
//
// How the worker drives it, once per receive batch:
//
//   coalescer.add(at, ipLength(view, at, bytes));   // each accepted packet; at least 10 bytes in front of it are free
//   for (let w = 0, writes = coalescer.finish(); w < writes; w++) {
//     const pieces = coalescer.pieces[w];
//     let result = pieces === 0 ? tun.write(coalescer.writeAt[w], coalescer.writeBytes[w])
//                               : tun.writev(coalescer.writeAt[w], pieces);          // offset of iovecs in the arena
//     if (result === -EINVAL && pieces > 0) {
//       coalescer.refuse(w);                                                          // this kind is off from now on
//       for (let p = coalescer.first[w]; p >= 0; p = coalescer.next[p])
//         tun.write(coalescer.packetAt[p] - 10, coalescer.packetBytes[p] + 10);
//     }
//   }
//   coalescer.reset();

import type { Arena } from '../util/arena.ts';
import type { Checksum } from './checksum.ts';
import { gso, headerSum, ip4, ip4Bytes, ip6, ip6Bytes, littleEndian, protocol, pseudoSum } from './inet.ts';
import { tcp, tcpBytes, tcpFlag, udp, udpBytes, vnet, vnetBytes, vnetFlag } from './inet.ts';

/** What writev needs to know: the address of arena offset 0 and the size of a pointer. */
export interface IovecShape {
  readonly base: number;
  readonly pointerBytes: 4 | 8;
}

const maxPacketBytes = 65535;
/** UDP_MAX_SEGMENTS of kernels before 6.9: more in one UDP_L4 packet and the write fails with EINVAL. */
const maxDatagrams = 64;
const flowSlots = 1024;
/** Room for one virtio_net_hdr, IPv6 header and TCP header with all its options. */
const headStride = 128;

export class Coalescer {
  /** Joining can be switched off at any time, one kind at a time. */
  tcp = true;
  udp = true;

  // The writes, in order: `pieces[w]` is 0 for one packet with its virtio_net_hdr at `writeAt[w]`, else the number of
  // iovecs at `writeAt[w]`. Also the builder's groups: a packet that stands alone is a group of one.
  readonly writeAt: Int32Array;
  readonly writeBytes: Int32Array;
  readonly pieces: Int32Array;
  /** First packet of each write; -1 behind the last. */
  readonly first: Int32Array;
  readonly next: Int32Array;
  readonly packetAt: Int32Array;
  readonly packetBytes: Int32Array;
  /** Packets joined to another one, since the start. */
  joined = 0;
  count = 0;
  groups = 0;

  #arena: Arena;
  #checksum: Checksum;
  #iovec: IovecShape;
  #iovecAt: number;
  #headAt: number;
  #last: Int32Array;
  #members: Int32Array;
  #payload: Int32Array; // bytes of all members together
  #segment: Int32Array; // payload bytes of each member but the last
  #headers: Int32Array; // bytes before the payload, equal in all members
  #kind: Int32Array; // gso type
  #pushed: Uint8Array; // PSH seen in some member
  #verified: Uint8Array; // checksums of all members are known to be right
  // The open group of each flow; a slot is valid when its stamp is the current one.
  #flow: Int32Array = new Int32Array(flowSlots);
  #stamp: Int32Array = new Int32Array(flowSlots);
  #now = 1;

  constructor(arena: Arena, checksum: Checksum, iovec: IovecShape, packets = 256) {
    this.#arena = arena;
    this.#checksum = checksum;
    this.#iovec = iovec;
    this.#iovecAt = arena.alloc(2 * packets * 2 * iovec.pointerBytes);
    this.#headAt = arena.alloc((packets >> 1) * headStride + 16) + 16 - vnetBytes;
    this.writeAt = new Int32Array(packets);
    this.writeBytes = new Int32Array(packets);
    this.pieces = new Int32Array(packets);
    this.first = new Int32Array(packets);
    this.next = new Int32Array(packets);
    this.packetAt = new Int32Array(packets);
    this.packetBytes = new Int32Array(packets);
    this.#last = new Int32Array(packets);
    this.#members = new Int32Array(packets);
    this.#payload = new Int32Array(packets);
    this.#segment = new Int32Array(packets);
    this.#headers = new Int32Array(packets);
    this.#kind = new Int32Array(packets);
    this.#pushed = new Uint8Array(packets);
    this.#verified = new Uint8Array(packets);
  }

  /** True when no further packet can be added before `finish` and `reset`. */
  get full(): boolean {
    return this.count === this.packetAt.length;
  }

  reset(): void {
    this.count = this.groups = 0;
    this.#now = (this.#now + 1) | 0 || 1;
  }

  /** A packet of exactly `bytes` bytes, trimmed by `ipLength`; overwrites the 10 bytes before it. False when full. */
  add(at: number, bytes: number): boolean {
    if (this.full) return false;
    const { u8, view } = this.#arena;
    const packet = this.count++;
    this.packetAt[packet] = at;
    this.packetBytes[packet] = bytes;
    this.next[packet] = -1;
    view.setUint32(at - 10, 0);
    view.setUint32(at - 6, 0);
    view.setUint16(at - 2, 0);
    u8[at - vnetBytes + vnet.flags] = vnetFlag.dataValid;

    // Where the transport header is. Options, extension headers and fragments are nobody's flow.
    const version = u8[at]! >> 4;
    let transport = 0;
    let next = 0;
    if (version === 4) {
      if (u8[at] === 0x45 && (view.getUint16(at + ip4.fragment) & 0x3fff) === 0) {
        transport = ip4Bytes;
        next = u8[at + ip4.protocol]!;
      }
    } else if (version === 6 && bytes >= ip6Bytes) {
      transport = ip6Bytes;
      next = u8[at + ip6.next]!;
    }
    if (next === protocol.tcp && this.tcp && bytes >= transport + tcpBytes)
      this.#addTcp(packet, at, bytes, version, transport);
    else if (next === protocol.udp && this.udp && bytes >= transport + udpBytes)
      this.#addUdp(packet, at, bytes, version, transport);
    else this.#open(packet, 0, 0, 0);
    return true;
  }

  #addTcp(packet: number, at: number, bytes: number, version: number, transport: number): void {
    const { u8, view } = this.#arena;
    const slot = flowSlot(view, at, version, transport);
    const headers = transport + (u8[at + transport + tcp.offset]! >> 4) * 4;
    const payload = bytes - headers;
    const flags = u8[at + transport + tcp.flags]!;
    const pushed = (flags & tcpFlag.psh) !== 0;
    if ((flags & ~tcpFlag.psh) !== tcpFlag.ack || headers < transport + tcpBytes || payload <= 0) {
      this.#stamp[slot] = 0; // what follows in this flow must not overtake it
      this.#open(packet, 0, 0, 0);
      return;
    }
    if (this.#stamp[slot] === this.#now) {
      const group = this.#flow[slot]!;
      const head = this.packetAt[this.first[group]!]!;
      if (this.#headers[group] === headers && sameTcp(view, head, at, version, transport, headers)) {
        const segment = this.#segment[group]!;
        const total = this.#payload[group]!;
        const sequence = view.getUint32(at + transport + tcp.sequence);
        const start = view.getUint32(head + transport + tcp.sequence);
        if (headers + total + payload <= maxPacketBytes) {
          if (
            sequence === (start + total) >>> 0 &&
            payload <= segment &&
            this.#pushed[group] === 0 &&
            total === segment * this.#members[group]! &&
            ipIdFollows(view, this.packetAt[this.#last[group]!]!, at, version) &&
            this.#verifyBoth(group, packet, version, transport)
          ) {
            this.#append(group, packet, payload);
            if (pushed) this.#pushed[group] = 1;
            return;
          }
          if (
            start === (sequence + payload) >>> 0 &&
            !pushed &&
            (payload === segment || (payload > segment && this.#members[group] === 1)) &&
            ipIdFollows(view, at, head, version) &&
            this.#verifyBoth(group, packet, version, transport)
          ) {
            this.next[packet] = this.first[group]!;
            this.first[group] = packet;
            this.#segment[group] = payload;
            this.#members[group] = this.#members[group]! + 1;
            this.#payload[group] = total + payload;
            this.joined++;
            return;
          }
        }
      }
    }
    this.#flow[slot] = this.#open(packet, version === 4 ? gso.tcp4 : gso.tcp6, headers, payload);
    this.#stamp[slot] = this.#now;
    this.#pushed[this.groups - 1] = pushed ? 1 : 0;
  }

  #addUdp(packet: number, at: number, bytes: number, version: number, transport: number): void {
    const { view } = this.#arena;
    const slot = flowSlot(view, at, version, transport);
    const headers = transport + udpBytes;
    const payload = bytes - headers;
    const sound =
      payload > 0 &&
      view.getUint16(at + transport + udp.length) === bytes - transport &&
      view.getUint16(at + transport + udp.checksum) !== 0;
    if (!sound) {
      this.#stamp[slot] = 0;
      this.#open(packet, 0, 0, 0);
      return;
    }
    if (this.#stamp[slot] === this.#now) {
      const group = this.#flow[slot]!;
      const head = this.packetAt[this.first[group]!]!;
      const segment = this.#segment[group]!;
      const total = this.#payload[group]!;
      if (
        this.#kind[group] === gso.udp &&
        payload <= segment &&
        total === segment * this.#members[group]! &&
        this.#members[group]! < maxDatagrams &&
        headers + total + payload <= maxPacketBytes &&
        sameFlow(view, head, at, version, transport) &&
        ipIdFollows(view, this.packetAt[this.#last[group]!]!, at, version) &&
        this.#verifyBoth(group, packet, version, transport)
      ) {
        this.#append(group, packet, payload);
        return;
      }
    }
    this.#flow[slot] = this.#open(packet, gso.udp, headers, payload);
    this.#stamp[slot] = this.#now;
  }

  /** Starts a group; kind 0 never grows. */
  #open(packet: number, kind: number, headers: number, payload: number): number {
    const group = this.groups++;
    this.first[group] = this.#last[group] = packet;
    this.#members[group] = 1;
    this.#payload[group] = this.#segment[group] = payload;
    this.#headers[group] = headers;
    this.#kind[group] = kind;
    this.#pushed[group] = this.#verified[group] = 0;
    return group;
  }

  #append(group: number, packet: number, payload: number): void {
    this.next[this.#last[group]!] = packet;
    this.#last[group] = packet;
    this.#members[group] = this.#members[group]! + 1;
    this.#payload[group] = this.#payload[group]! + payload;
    this.joined++;
  }

  /** Both sides of a join have right checksums. A group is asked once: its later members were verified as they joined. */
  #verifyBoth(group: number, packet: number, version: number, transport: number): boolean {
    if (this.#verified[group] === 0) {
      if (!this.#verify(this.first[group]!, version, transport)) {
        this.#kind[group] = 0; // stays alone
        this.#headers[group] = 0;
        return false;
      }
      this.#verified[group] = 1;
    }
    return this.#verify(packet, version, transport);
  }

  #verify(packet: number, version: number, transport: number): boolean {
    const { u8, view } = this.#arena;
    const at = this.packetAt[packet]!;
    const length = this.packetBytes[packet]! - transport;
    if (version === 4 && headerSum(view, at, ip4Bytes) !== 0xffff) return false;
    const next = version === 4 ? u8[at + ip4.protocol]! : u8[at + ip6.next]!;
    return this.#checksum.sum(at + transport, length, pseudoSum(view, at, version, next, length)) === 0xffff;
  }

  /** Closes all groups: returns the number of writes. */
  finish(): number {
    let iovec = this.#iovecAt;
    let head = this.#headAt;
    for (let group = 0; group < this.groups; group++) {
      const packet = this.first[group]!;
      if (this.#members[group] === 1) {
        this.pieces[group] = 0;
        this.writeAt[group] = this.packetAt[packet]! - vnetBytes;
        this.writeBytes[group] = this.packetBytes[packet]! + vnetBytes;
        continue;
      }
      const headers = this.#headers[group]!;
      this.#writeHead(head, group);
      this.writeAt[group] = iovec;
      this.writeBytes[group] = vnetBytes + headers + this.#payload[group]!;
      this.pieces[group] = this.#members[group]! + 1;
      iovec = this.#writeIovec(iovec, head, vnetBytes + headers);
      for (let member = packet; member >= 0; member = this.next[member]!)
        iovec = this.#writeIovec(
          iovec,
          this.packetAt[member]! + headers,
          this.packetBytes[member]! - headers,
        );
      head += headStride;
    }
    return this.groups;
  }

  /** Collects write `w`, one with pieces, at `to`: for a platform without writev. Returns its bytes. */
  gather(w: number, to: number): number {
    const { u8 } = this.#arena;
    const headers = this.#headers[w]!;
    this.#writeHead(to, w);
    let end = to + vnetBytes + headers;
    for (let member = this.first[w]!; member >= 0; member = this.next[member]!) {
      const at = this.packetAt[member]! + headers;
      const bytes = this.packetBytes[member]! - headers;
      u8.copyWithin(end, at, at + bytes);
      end += bytes;
    }
    return end - to;
  }

  /** The kernel refused write `w`: its kind is joined no more. The packets themselves are unchanged. */
  refuse(w: number): void {
    if (this.#kind[w] === gso.udp) this.udp = false;
    else this.tcp = false;
  }

  /** virtio_net_hdr and headers of a group, made from those of its first packet. */
  #writeHead(head: number, group: number): void {
    const { u8, view } = this.#arena;
    const from = this.packetAt[this.first[group]!]!;
    const headers = this.#headers[group]!;
    const kind = this.#kind[group]!;
    const bytes = headers + this.#payload[group]!;
    const to = head + vnetBytes;
    for (let word = 0; word < headers; word += 4) view.setUint32(to + word, view.getUint32(from + word));
    const version = u8[to]! >> 4;
    const transport = version === 4 ? ip4Bytes : ip6Bytes;
    if (version === 4) {
      view.setUint16(to + ip4.total, bytes);
      view.setUint16(to + ip4.checksum, 0);
      view.setUint16(to + ip4.checksum, ~headerSum(view, to, ip4Bytes));
    } else view.setUint16(to + ip6.payload, bytes - ip6Bytes);
    const isUdp = kind === gso.udp;
    const next = isUdp ? protocol.udp : protocol.tcp;
    const offset = isUdp ? udp.checksum : tcp.checksum;
    if (isUdp) view.setUint16(to + transport + udp.length, bytes - transport);
    else {
      if (this.#pushed[group] !== 0) u8[to + transport + tcp.flags]! |= tcpFlag.psh;
      // the newest window, which a receiver must not miss
      const newest = this.packetAt[this.#last[group]!]! + transport + tcp.window;
      view.setUint16(to + transport + tcp.window, view.getUint16(newest));
    }
    view.setUint16(to + transport + offset, pseudoSum(view, to, version, next, bytes - transport));
    u8[head + vnet.flags] = vnetFlag.needsChecksum;
    u8[head + vnet.gsoType] = kind;
    view.setUint16(head + vnet.headerBytes, headers, littleEndian);
    view.setUint16(head + vnet.gsoBytes, this.#segment[group]!, littleEndian);
    view.setUint16(head + vnet.checksumStart, transport, littleEndian);
    view.setUint16(head + vnet.checksumOffset, offset, littleEndian);
  }

  #writeIovec(iovec: number, at: number, bytes: number): number {
    const { view } = this.#arena;
    const address = this.#iovec.base + at;
    if (this.#iovec.pointerBytes === 4) {
      view.setUint32(iovec, address, littleEndian);
      view.setUint32(iovec + 4, bytes, littleEndian);
      return iovec + 8;
    }
    const low = address >>> 0; // modulo 2^32
    const high = (address - low) / 0x1_0000_0000;
    view.setUint32(iovec + (littleEndian ? 0 : 4), low, littleEndian);
    view.setUint32(iovec + (littleEndian ? 4 : 0), high, littleEndian);
    view.setUint32(iovec + (littleEndian ? 8 : 12), bytes, littleEndian);
    view.setUint32(iovec + (littleEndian ? 12 : 8), 0, littleEndian);
    return iovec + 16;
  }
}

/** Hash of addresses and ports. Two flows in one slot only stop each other from being joined. */
function flowSlot(view: DataView, at: number, version: number, transport: number): number {
  let hash = view.getUint32(at + transport);
  const from = version === 4 ? at + ip4.source : at + ip6.source;
  for (let word = from; word < at + transport; word += 4)
    hash = Math.imul(hash ^ view.getUint32(word), 0x9e3779b1);
  return (hash ^ (hash >>> 15)) >>> 22;
}

/** Same addresses and ports, TOS, TTL and don't-fragment (or IPv6 class, label and hop limit). */
function sameFlow(view: DataView, a: number, b: number, version: number, transport: number): boolean {
  if (view.getUint32(a + transport) !== view.getUint32(b + transport)) return false;
  if (version === 4) {
    if (
      view.getUint16(a) !== view.getUint16(b) ||
      view.getUint16(a + ip4.fragment) !== view.getUint16(b + ip4.fragment) ||
      view.getUint16(a + ip4.ttl) !== view.getUint16(b + ip4.ttl)
    )
      return false;
  } else if (
    view.getUint32(a) !== view.getUint32(b) ||
    view.getUint16(a + ip6.next) !== view.getUint16(b + ip6.next)
  )
    return false;
  for (let word = version === 4 ? ip4.source : ip6.source; word < transport; word += 4)
    if (view.getUint32(a + word) !== view.getUint32(b + word)) return false;
  return true;
}

/** Besides the flow: acknowledgement and options. */
function sameTcp(
  view: DataView,
  a: number,
  b: number,
  version: number,
  transport: number,
  headers: number,
): boolean {
  const number = transport + tcp.acknowledge;
  if (view.getUint32(a + number) !== view.getUint32(b + number)) return false;
  for (let word = transport + tcp.options; word < headers; word += 4)
    if (view.getUint32(a + word) !== view.getUint32(b + word)) return false;
  return sameFlow(view, a, b, version, transport);
}

/** An IPv4 packet that may be fragmented needs its id: it must be the next one, as segmentation will number it again. */
function ipIdFollows(view: DataView, a: number, b: number, version: number): boolean {
  if (version !== 4 || (view.getUint16(a + ip4.fragment) & 0x4000) !== 0) return true;
  return ((view.getUint16(a + ip4.id) + 1) & 0xffff) === view.getUint16(b + ip4.id);
}
