// From the tunnel to the TUN device: adjacent segments of a TCP connection, and equal UDP datagrams of a flow, leave as one
// super-packet in one writev without copying payload (Linux tcp_gro_receive, wireguard-go offload_linux.go; R6). A packet's checksum
// is verified before it is joined, and the packets of a flow keep their order. See docs/decisions/0036-coalescing-without-a-copy.md.

import type { Arena } from '../util/arena.ts';
import type { Checksum } from './checksum.ts';
import { fold } from './checksum.ts';
import { flowSlot, flowSlots, ipIdFollows, sameFlow, sameTcp } from './flow.ts';
import { group, groupFields } from './group.ts';
import { type IovecShape, writeIovec } from './iovec.ts';
import { gso, ip4, ip4Bytes, ip6, ip6Bytes, littleEndian, protocol, pseudoSum } from './inet.ts';
import { tcp, tcpBytes, tcpFlag, udp, udpBytes, vnet, vnetBytes, vnetFlag } from './inet.ts';

const maxPacketBytes = 65535;
/** UDP_MAX_SEGMENTS of kernels before 6.9: more in one UDP_L4 packet and the write fails with EINVAL. */
const maxDatagrams = 64;
/** Room for one virtio_net_hdr, IPv6 header and TCP header with all its options. */
const headStride = 128;

export class Coalescer {
  /** Joining can be switched off at any time, one kind at a time. */
  tcp = true;
  udp = true;

  // The writes, in order: `pieces[w]` is 0 for one packet with its virtio_net_hdr at `writeAt[w]`, else the number of
  // iovecs at `writeAt[w]`.
  readonly writeAt: Int32Array;
  readonly writeBytes: Int32Array;
  readonly pieces: Int32Array;
  /** First packet of each write, and the one behind each packet; -1 behind the last. */
  readonly first: Int32Array;
  readonly next: Int32Array;
  readonly packetAt: Int32Array;
  readonly packetBytes: Int32Array;
  count = 0;
  /** Packets joined to another one, since the start. */
  joined = 0;

  #arena: Arena;
  #checksum: Checksum;
  readonly #iovec: IovecShape;
  #iovecAt: number;
  #headAt: number;
  #group: Int32Array;
  #groups = 0;
  /** The open group of each flow, by hash; -1 is none. */
  #flow: Int32Array;
  #hasFlows = false;

  constructor(arena: Arena, checksum: Checksum, iovec: IovecShape, packets = 256) {
    this.#arena = arena;
    this.#checksum = checksum;
    this.#iovec = iovec;
    this.#iovecAt = arena.alloc(2 * packets * 2 * iovec.pointerBytes);
    this.#headAt = arena.alloc((packets >> 1) * headStride + 16) + 16 - vnetBytes;
    this.#flow = arena.int32(flowSlots).fill(-1);
    this.#group = arena.int32(packets * groupFields);
    this.writeAt = arena.int32(packets);
    this.writeBytes = arena.int32(packets);
    this.pieces = arena.int32(packets);
    this.first = arena.int32(packets);
    this.next = arena.int32(packets);
    this.packetAt = arena.int32(packets);
    this.packetBytes = arena.int32(packets);
  }

  /** True when no further packet can be added before `finish` and `reset`. */
  get full(): boolean {
    return this.count === this.packetAt.length;
  }

  reset(): void {
    this.count = this.#groups = 0;
    // Skipped where no flow began: filling is a call into the runtime, measurable for a lone packet.
    if (this.#hasFlows) this.#flow.fill(-1);
    this.#hasFlows = false;
  }

  /** A packet of exactly `bytes` bytes, trimmed by `ipLength`; overwrites the 10 bytes before it. False when full. */
  add(at: number, bytes: number): boolean {
    const packet = this.count;
    if (packet === this.packetAt.length) return false;
    this.count = packet + 1;
    this.packetAt[packet] = at;
    this.packetBytes[packet] = bytes;
    this.next[packet] = -1;
    const { u8, view } = this.#arena;
    view.setUint32(at - 10, vnetFlag.dataValid, true); // the first byte
    view.setUint32(at - 6, 0);
    view.setUint16(at - 2, 0);

    // Where the transport header is. Packets with options, extension headers or fragments are not joined.
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
      this.#addTcp(packet, at, bytes, transport);
    else if (next === protocol.udp && this.udp && bytes >= transport + udpBytes)
      this.#addUdp(packet, at, bytes, transport);
    else this.#start(packet, at, 0);
    return true;
  }

  #addTcp(packet: number, at: number, bytes: number, transport: number): void {
    const { view } = this.#arena;
    const offsetAndFlags = view.getUint16(at + transport + tcp.offset);
    const headers = transport + (offsetAndFlags >> 12) * 4;
    const payload = bytes - headers;
    const slot = flowSlot(view, at, transport);
    if (
      (offsetAndFlags & 0xfff & ~tcpFlag.psh) !== tcpFlag.ack ||
      headers < transport + tcpBytes ||
      payload <= 0
    ) {
      this.#flow[slot] = -1; // what follows in this flow must not overtake it
      this.#start(packet, at, 0);
      return;
    }
    const sequence = view.getInt32(at + transport + tcp.sequence);
    const pushed = (offsetAndFlags & tcpFlag.psh) >> 3;
    let g = this.#flow[slot]!;
    if (g >= 0) {
      const groups = this.#group;
      if (
        groups[g + group.headers] === headers &&
        headers + groups[g + group.payload]! + payload <= maxPacketBytes &&
        sameTcp(view, groups[g + group.firstAt]!, at, transport, headers)
      ) {
        if (sequence === groups[g + group.end]!) {
          if (
            groups[g + group.open] !== 0 &&
            payload <= groups[g + group.segment]! &&
            ipIdFollows(view, groups[g + group.lastAt]!, at, transport) &&
            this.#verify(g, at, bytes)
          ) {
            this.#append(g, packet, at, payload);
            groups[g + group.end] = sequence + payload;
            if (pushed !== 0) {
              groups[g + group.pushed] = 1;
              groups[g + group.open] = 0;
            }
            return;
          }
        } else if (
          ((sequence + payload) | 0) === groups[g + group.start]! &&
          pushed === 0 &&
          this.#prepends(g, payload) &&
          ipIdFollows(view, at, groups[g + group.firstAt]!, transport) &&
          this.#verify(g, at, bytes)
        ) {
          this.#prepend(g, packet, at, payload);
          groups[g + group.start] = sequence;
          return;
        }
      }
    }
    g = this.#start(packet, at, transport === ip4Bytes ? gso.tcp4 : gso.tcp6);
    this.#shape(g, transport, headers, payload);
    this.#group[g + group.start] = sequence;
    this.#group[g + group.end] = sequence + payload;
    this.#group[g + group.pushed] = pushed;
    this.#group[g + group.open] = 1 - pushed;
    this.#flow[slot] = g;
    this.#hasFlows = true;
  }

  #addUdp(packet: number, at: number, bytes: number, transport: number): void {
    const { view } = this.#arena;
    const headers = transport + udpBytes;
    const payload = bytes - headers;
    const slot = flowSlot(view, at, transport);
    if (
      payload <= 0 ||
      view.getUint16(at + transport + udp.length) !== bytes - transport ||
      view.getUint16(at + transport + udp.checksum) === 0 // none: the kernel would put one in
    ) {
      this.#flow[slot] = -1;
      this.#start(packet, at, 0);
      return;
    }
    let g = this.#flow[slot]!;
    if (g >= 0) {
      const groups = this.#group;
      if (
        groups[g + group.kind] === gso.udp &&
        groups[g + group.headers] === headers &&
        groups[g + group.open] !== 0 &&
        payload <= groups[g + group.segment]! &&
        groups[g + group.members]! < maxDatagrams &&
        headers + groups[g + group.payload]! + payload <= maxPacketBytes &&
        sameFlow(view, groups[g + group.firstAt]!, at, transport) &&
        ipIdFollows(view, groups[g + group.lastAt]!, at, transport) &&
        this.#verify(g, at, bytes)
      ) {
        this.#append(g, packet, at, payload);
        return;
      }
    }
    g = this.#start(packet, at, gso.udp);
    this.#shape(g, transport, headers, payload);
    this.#group[g + group.open] = 1;
    this.#flow[slot] = g;
    this.#hasFlows = true;
  }

  /** A new group of one. Returns its record. */
  #start(packet: number, at: number, kind: number): number {
    const g = this.#groups;
    this.#groups = g + groupFields;
    const groups = this.#group;
    groups[g + group.first] = groups[g + group.last] = packet;
    groups[g + group.firstAt] = groups[g + group.lastAt] = at;
    groups[g + group.members] = 1;
    groups[g + group.kind] = kind;
    return g;
  }

  #shape(g: number, transport: number, headers: number, payload: number): void {
    const groups = this.#group;
    groups[g + group.payload] = groups[g + group.segment] = payload;
    groups[g + group.headers] = headers;
    groups[g + group.transport] = transport;
    groups[g + group.pushed] = groups[g + group.verified] = 0;
  }

  #append(g: number, packet: number, at: number, payload: number): void {
    const groups = this.#group;
    this.next[groups[g + group.last]!] = packet;
    groups[g + group.last] = packet;
    groups[g + group.lastAt] = at;
    groups[g + group.members] = groups[g + group.members]! + 1;
    groups[g + group.payload] = groups[g + group.payload]! + payload;
    if (payload < groups[g + group.segment]!) groups[g + group.open] = 0;
    this.joined++;
  }

  /** A packet may come in front when it is as long as the rest, or longer than the only one. */
  #prepends(g: number, payload: number): boolean {
    const segment = this.#group[g + group.segment]!;
    return payload === segment || (payload > segment && this.#group[g + group.members] === 1);
  }

  #prepend(g: number, packet: number, at: number, payload: number): void {
    const groups = this.#group;
    this.next[packet] = groups[g + group.first]!;
    groups[g + group.first] = packet;
    groups[g + group.firstAt] = at;
    groups[g + group.members] = groups[g + group.members]! + 1;
    groups[g + group.payload] = groups[g + group.payload]! + payload;
    if (payload > groups[g + group.segment]!) groups[g + group.open] = 0; // what was the only one is now a short last one
    groups[g + group.segment] = payload;
    this.joined++;
  }

  /** True when the packet at `at` and the group it matches have right checksums. The group is asked once. */
  #verify(g: number, at: number, bytes: number): boolean {
    const groups = this.#group;
    if (groups[g + group.verified] === 0) {
      this.#sums(g);
      const head = groups[g + group.first]!;
      if (!this.#valid(g, this.packetAt[head]!, this.packetBytes[head]!)) {
        groups[g + group.headers] = 0; // matches nothing: stays alone
        return false;
      }
      groups[g + group.verified] = 1;
    }
    return this.#valid(g, at, bytes);
  }

  /** Sums over what all packets of a group have in common. */
  #sums(g: number): void {
    const { view, u8 } = this.#arena;
    const groups = this.#group;
    const at = groups[g + group.firstAt]!;
    if (groups[g + group.transport] === ip4Bytes) {
      groups[g + group.pseudo] = pseudoSum(view, at, 4, u8[at + ip4.protocol]!, 0);
      let sum = view.getUint16(at) + view.getUint16(at + ip4.fragment) + view.getUint16(at + ip4.ttl);
      for (let word = ip4.source; word < ip4Bytes; word += 2) sum += view.getUint16(at + word);
      groups[g + group.header] = sum;
    } else groups[g + group.pseudo] = pseudoSum(view, at, 6, u8[at + ip6.next]!, 0);
  }

  #valid(g: number, at: number, bytes: number): boolean {
    const { view } = this.#arena;
    const groups = this.#group;
    const transport = groups[g + group.transport]!;
    if (transport === ip4Bytes) {
      const sum = groups[g + group.header]! + view.getUint16(at + ip4.total) + view.getUint16(at + ip4.id);
      if (fold(sum + view.getUint16(at + ip4.checksum)) !== 0xffff) return false;
    }
    const length = bytes - transport;
    return this.#checksum.sum(at + transport, length, groups[g + group.pseudo]! + length) === 0xffff;
  }

  /** Closes all groups: returns the number of writes. */
  finish(): number {
    const { view } = this.#arena;
    const groups = this.#group;
    let iovec = this.#iovecAt;
    let head = this.#headAt;
    let w = 0;
    for (let g = 0; g < this.#groups; g += groupFields, w++) {
      const packet = groups[g + group.first]!;
      this.first[w] = packet;
      const members = groups[g + group.members]!;
      if (members === 1) {
        this.pieces[w] = 0;
        this.writeAt[w] = this.packetAt[packet]! - vnetBytes;
        this.writeBytes[w] = this.packetBytes[packet]! + vnetBytes;
        continue;
      }
      const headers = groups[g + group.headers]!;
      this.#writeHead(head, g);
      this.writeAt[w] = iovec;
      this.writeBytes[w] = vnetBytes + headers + groups[g + group.payload]!;
      this.pieces[w] = members + 1;
      iovec = writeIovec(view, this.#iovec, iovec, head, vnetBytes + headers);
      for (let member = packet; member >= 0; member = this.next[member]!)
        iovec = writeIovec(
          view,
          this.#iovec,
          iovec,
          this.packetAt[member]! + headers,
          this.packetBytes[member]! - headers,
        );
      head += headStride;
    }
    return w;
  }

  /** The kernel refused write `w`: its kind is joined no more. The packets themselves are unchanged. */
  refuse(w: number): void {
    if (this.#group[w * groupFields + group.kind] === gso.udp) this.udp = false;
    else this.tcp = false;
  }

  /** virtio_net_hdr and headers of a group, made from those of its first packet. */
  #writeHead(head: number, g: number): void {
    const { u8, view } = this.#arena;
    const groups = this.#group;
    const from = groups[g + group.firstAt]!;
    const headers = groups[g + group.headers]!;
    const transport = groups[g + group.transport]!;
    const bytes = headers + groups[g + group.payload]!;
    const to = head + vnetBytes;
    for (let word = 0; word < headers; word += 4) view.setUint32(to + word, view.getUint32(from + word));
    if (transport === ip4Bytes) {
      view.setUint16(to + ip4.total, bytes);
      view.setUint16(
        to + ip4.checksum,
        ~fold(groups[g + group.header]! + bytes + view.getUint16(to + ip4.id)),
      );
    } else view.setUint16(to + ip6.payload, bytes - ip6Bytes);
    const isUdp = groups[g + group.kind] === gso.udp;
    const field = isUdp ? udp.checksum : tcp.checksum;
    if (isUdp) view.setUint16(to + transport + udp.length, bytes - transport);
    else {
      if (groups[g + group.pushed] !== 0) u8[to + transport + tcp.flags]! |= tcpFlag.psh;
      // the newest window, which a receiver must not miss
      const window = view.getUint16(groups[g + group.lastAt]! + transport + tcp.window);
      view.setUint16(to + transport + tcp.window, window);
    }
    view.setUint16(to + transport + field, fold(groups[g + group.pseudo]! + bytes - transport));
    u8[head + vnet.flags] = vnetFlag.needsChecksum;
    u8[head + vnet.gsoType] = groups[g + group.kind]!;
    view.setUint16(head + vnet.headerBytes, headers, littleEndian);
    view.setUint16(head + vnet.gsoBytes, groups[g + group.segment]!, littleEndian);
    view.setUint16(head + vnet.checksumStart, transport, littleEndian);
    view.setUint16(head + vnet.checksumOffset, field, littleEndian);
  }
}
