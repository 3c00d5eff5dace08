// The msghdr of an outgoing datagram or GSO batch. Which control messages it carries (segment size, local source, TOS)
// is one of eight forms, each laid out once; a send only fills in values.

import * as c from '../constants.ts';
import type { Libc } from '../libc.ts';
import { cmsgLength, cmsgSpace, in6Pktinfo, inPktinfo, sockaddrIn, sockaddrIn6 } from './kernelstructs.ts';
import type { EndpointLike } from './receiveslot.ts';

const withSegment = 1;
const withSource = 2;
const withTos = 4;

/** Arena offsets of one form: the header and the data of its control messages (0 when it has none of that kind). */
type Form = { readonly header: number; segment: number; source: number; tos: number };

/** One per thread and family, as its contents live for one call only: a socket may be rebound any number of times. */
export function outgoing(libc: Libc, family: 4 | 6): Outgoing {
  let made = known.get(libc);
  if (made === undefined) known.set(libc, (made = { 4: null, 6: null }));
  return (made[family] ??= new Outgoing(libc, family));
}

const known = new WeakMap<Libc, { 4: Outgoing | null; 6: Outgoing | null }>();

export class Outgoing {
  readonly #libc: Libc;
  readonly #six: boolean;
  readonly #name: number;
  readonly #iovec: number;
  readonly #forms: readonly Form[];

  constructor(libc: Libc, family: 4 | 6) {
    this.#libc = libc;
    this.#six = family === 6;
    this.#name = libc.arena.alloc(sockaddrIn6.bytes, 16);
    this.#iovec = libc.arena.alloc(libc.layout.iovec.bytes, 16);
    libc.arena.u8.fill(0, this.#name, this.#name + sockaddrIn6.bytes);
    libc.arena.view.setUint16(this.#name, this.#six ? c.AF_INET6 : c.AF_INET, true);
    this.#forms = [0, 1, 2, 3, 4, 5, 6, 7].map(flags => this.#form(flags));
  }

  /** The offset of a msghdr ready for sendmsg; valid until the next call. */
  message(at: number, bytes: number, segment: number, to: EndpointLike, tos: number): number {
    const { view } = this.#libc.arena;
    const source = to.sourceFamily !== 0 && to.sourceFamily === to.family;
    const form =
      this.#forms[(segment > 0 ? withSegment : 0) | (source ? withSource : 0) | (tos !== 0 ? withTos : 0)]!;
    this.#address(to);
    this.#libc.setIovec(this.#iovec, at, bytes);
    if (segment > 0) view.setUint16(form.segment, segment, true);
    if (tos !== 0) view.setInt32(form.tos, tos, true);
    if (source) this.#source(form.source, to);
    return form.header;
  }

  #address(to: EndpointLike): void {
    const { u8, view } = this.#libc.arena;
    view.setUint16(this.#name + sockaddrIn.port, to.port);
    if (!this.#six) {
      for (let i = 0; i < 4; i++) u8[this.#name + sockaddrIn.address + i] = to.address[i]!;
      return;
    }
    for (let i = 0; i < 16; i++) u8[this.#name + sockaddrIn6.address + i] = to.address[i]!;
    view.setUint32(this.#name + sockaddrIn6.scope, to.scopeId, true);
  }

  #source(data: number, to: EndpointLike): void {
    const { u8, view } = this.#libc.arena;
    if (!this.#six) {
      view.setInt32(data + inPktinfo.ifindex, to.sourceInterface, true);
      for (let i = 0; i < 4; i++) u8[data + inPktinfo.local + i] = to.source[i]!;
      return;
    }
    for (let i = 0; i < 16; i++) u8[data + in6Pktinfo.destination + i] = to.source[i]!;
    view.setInt32(data + in6Pktinfo.ifindex, to.sourceInterface, true);
  }

  #form(flags: number): Form {
    const libc = this.#libc;
    const { arena, layout } = libc;
    const header = arena.alloc(layout.msghdr.bytes);
    const control = arena.alloc(128, 16);
    arena.u8.fill(0, header, header + layout.msghdr.bytes);
    arena.u8.fill(0, control, control + 128);
    const form: Form = { header, segment: 0, source: 0, tos: 0 };
    let used = 0;
    const add = (level: number, type: number, bytes: number): number => {
      const at = control + used;
      libc.setSize(at + layout.cmsghdr.length, cmsgLength(layout, bytes));
      arena.view.setInt32(at + layout.cmsghdr.level, level, true);
      arena.view.setInt32(at + layout.cmsghdr.type, type, true);
      used += cmsgSpace(layout, bytes);
      return at + layout.cmsghdr.data;
    };
    const level = this.#six ? c.IPPROTO_IPV6 : c.IPPROTO_IP;
    if (flags & withSegment) form.segment = add(c.SOL_UDP, c.UDP_SEGMENT, 2);
    if (flags & withSource)
      form.source = this.#six
        ? add(level, c.IPV6_PKTINFO, in6Pktinfo.bytes)
        : add(level, c.IP_PKTINFO, inPktinfo.bytes);
    if (flags & withTos) form.tos = add(level, this.#six ? c.IPV6_TCLASS : c.IP_TOS, 4);
    libc.setPointer(header + layout.msghdr.name, this.#name);
    libc.setSize(header + layout.msghdr.nameLength, this.#six ? sockaddrIn6.bytes : sockaddrIn.bytes);
    libc.setPointer(header + layout.msghdr.iov, this.#iovec);
    libc.setSize(header + layout.msghdr.iovLength, 1);
    if (used > 0) libc.setPointer(header + layout.msghdr.control, control);
    libc.setSize(header + layout.msghdr.controlLength, used);
    return form;
  }
}
