// A receive slot: 64 KiB for a datagram or GRO batch, with the msghdr, sender address and control messages recvmsg fills.
// Everything is laid out once; a receive writes back two lengths and parses what came.

import * as c from '../constants.ts';
import type { Libc } from '../libc.ts';
import { cmsgLength, cmsgSpace, in6Pktinfo, inPktinfo, sockaddrIn, sockaddrIn6 } from './kernelstructs.ts';

/** The shape of wireguard's Endpoint. */
export interface EndpointLike {
  family: number;
  readonly address: Uint8Array;
  port: number;
  scopeId: number;
  sourceFamily: number;
  readonly source: Uint8Array;
  sourceInterface: number;
  clearSource(): void;
}

const controlBytes = 256;
const nameBytes = 32;
/** Compared with the previous receive: sockaddr (28 bytes, padded) and the pktinfo behind it (20 bytes). */
const identityWords = (nameBytes + 20) / 4;

export class ReceiveSlot {
  /** Where the datagrams are. */
  readonly at: number;
  readonly capacity: number;
  /** Sender and our local address of the latest receive; owned by the slot, copy what you keep. */
  readonly from: EndpointLike;
  /** Whether `from` differs from the receive before. */
  changed = true;
  bytes = 0;
  /** Size of each datagram but the last; `bytes` for a single one. */
  segment = 0;
  /** The two ECN bits of the outer header. */
  ecn = 0;
  /** The datagram was longer than the slot: drop it. */
  truncated = false;
  /** Datagrams dropped by the kernel before this one since the socket was opened, 0 when none. */
  overflow = 0;

  /** Offset of the msghdr. */
  readonly header: number;
  readonly #libc: Libc;
  readonly #identity: number;
  readonly #control: number;
  readonly #last: number;
  readonly #segmentType: number;

  /** `from` is a fresh wireguard Endpoint. `headroom` bytes before the data stay free for the caller. */
  constructor(libc: Libc, from: EndpointLike, capacity = 65536, headroom = 64) {
    const { arena, layout } = libc;
    this.#libc = libc;
    this.from = from;
    this.capacity = capacity;
    this.#segmentType = c.UDP_GRO;
    this.header = arena.alloc(layout.msghdr.bytes);
    this.#identity = arena.alloc(identityWords * 4, 16);
    this.#last = arena.alloc(identityWords * 4, 16);
    this.#control = arena.alloc(controlBytes);
    const iovec = arena.alloc(layout.iovec.bytes, 16);
    this.at = arena.alloc(capacity + headroom) + headroom;
    arena.u8.fill(0, this.header, this.header + layout.msghdr.bytes);
    libc.setIovec(iovec, this.at, capacity);
    libc.setPointer(this.header + layout.msghdr.name, this.#identity);
    libc.setPointer(this.header + layout.msghdr.iov, iovec);
    libc.setSize(this.header + layout.msghdr.iovLength, 1);
    libc.setPointer(this.header + layout.msghdr.control, this.#control);
  }

  /** Before each recvmsg: the kernel overwrites both lengths with what it used. */
  arm(): void {
    const { msghdr } = this.#libc.layout;
    const { view } = this.#libc.arena;
    view.setUint32(this.header + msghdr.nameLength, sockaddrIn6.bytes, true);
    view.setUint32(this.header + msghdr.controlLength, controlBytes, true);
  }

  /** After a recvmsg of `bytes` bytes. */
  read(bytes: number): void {
    const { view } = this.#libc.arena;
    const { msghdr, cmsghdr } = this.#libc.layout;
    const flags = view.getUint32(this.header + msghdr.flags, true);
    this.bytes = bytes;
    this.segment = bytes;
    this.ecn = 0;
    this.overflow = 0;
    this.truncated = (flags & c.MSG_TRUNC) !== 0;
    let at = this.#control;
    const end = at + view.getUint32(this.header + msghdr.controlLength, true);
    while (at + cmsghdr.data <= end) {
      const length = view.getUint32(at + cmsghdr.length, true);
      if (length < cmsghdr.data || at + length > end) break;
      this.#control1(
        view.getInt32(at + cmsghdr.level, true),
        view.getInt32(at + cmsghdr.type, true),
        at + cmsghdr.data,
      );
      at += cmsgSpace(this.#libc.layout, length - cmsgLength(this.#libc.layout, 0));
    }
    this.#identify();
  }

  #control1(level: number, type: number, data: number): void {
    const { view, u32 } = this.#libc.arena;
    if (level === c.SOL_UDP) {
      if (type === this.#segmentType) this.segment = view.getInt32(data, true);
    } else if (level === c.IPPROTO_IP) {
      if (type === c.IP_TOS) this.ecn = view.getUint8(data) & 3;
      else if (type === c.IP_PKTINFO) this.#copyPktinfo(data, inPktinfo.bytes);
    } else if (level === c.IPPROTO_IPV6) {
      if (type === c.IPV6_TCLASS) this.ecn = view.getUint8(data) & 3;
      else if (type === c.IPV6_PKTINFO) this.#copyPktinfo(data, in6Pktinfo.bytes);
    } else if (level === c.SOL_SOCKET && type === c.SO_RXQ_OVFL) {
      this.overflow = u32[data >> 2]!;
    }
  }

  #copyPktinfo(data: number, bytes: number): void {
    const { u32 } = this.#libc.arena;
    const to = (this.#identity + nameBytes) >> 2;
    for (let i = 0; i < bytes >> 2; i++) u32[to + i] = u32[(data >> 2) + i]!;
  }

  /** Decodes the sender only when its bytes differ from last time: a stream comes from one peer. */
  #identify(): void {
    const { u32 } = this.#libc.arena;
    const now = this.#identity >> 2;
    const last = this.#last >> 2;
    let same = true;
    for (let i = 0; i < identityWords; i++) {
      if (u32[now + i] !== u32[last + i]) {
        same = false;
        u32[last + i] = u32[now + i]!;
      }
    }
    this.changed = !same;
    if (!same) this.#decode();
  }

  #decode(): void {
    const { u8, view } = this.#libc.arena;
    const { from } = this;
    const name = this.#identity;
    const info = name + nameBytes;
    if (view.getUint16(name, true) === c.AF_INET) {
      from.family = from.sourceFamily = 4;
      from.port = view.getUint16(name + sockaddrIn.port);
      from.scopeId = 0;
      from.address.fill(0);
      from.source.fill(0);
      for (let i = 0; i < 4; i++) {
        from.address[i] = u8[name + sockaddrIn.address + i]!;
        from.source[i] = u8[info + inPktinfo.local + i]!;
      }
      from.sourceInterface = view.getInt32(info + inPktinfo.ifindex, true);
    } else {
      from.family = from.sourceFamily = 6;
      from.port = view.getUint16(name + sockaddrIn6.port);
      from.scopeId = view.getUint32(name + sockaddrIn6.scope, true);
      for (let i = 0; i < 16; i++) {
        from.address[i] = u8[name + sockaddrIn6.address + i]!;
        from.source[i] = u8[info + in6Pktinfo.destination + i]!;
      }
      from.sourceInterface = view.getInt32(info + in6Pktinfo.ifindex, true);
    }
  }
}
