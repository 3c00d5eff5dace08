// rtnetlink without processes: links, addresses, routes and rules, and a descriptor that wakes when a link changes.
// Results are >= 0 or -errno; names are interface names. The kernel answers a request before `write` returns, so nothing
// here waits.

import type { Word } from '../ffi/ffi.ts';
import type { Libc } from '../libc.ts';
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  EEXIST,
  ENOBUFS,
  ENODEV,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  errnoText,
} from '../constants.ts';
import { sockaddrNl } from './kernelstructs.ts';
import type { Reply } from './netlinkmessage.ts';
import { Message, attributes, bytesOf, replies, textOf } from './netlinkmessage.ts';

const NLMSG_ERROR = 2;
const NLM_F_ACK = 4;
const NLM_F_REPLACE = 0x100;
const NLM_F_EXCL = 0x200;
const NLM_F_CREATE = 0x400;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTMGRP_LINK = 1;
const RTMGRP_IPV4_IFADDR = 0x10;
const RTMGRP_IPV4_ROUTE = 0x40;
const RTMGRP_IPV6_IFADDR = 0x100;
const RTMGRP_IPV6_ROUTE = 0x400;
const IFF_UP = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_F_NODAD = 2;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;
const RTA_MARK = 16;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_NOWHERE = 255;
const RTN_UNICAST = 1;
const FR_ACT_TO_TBL = 1;
const FIB_RULE_INVERT = 2;
const FRA_DST = 1;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_IP_PROTO = 22;
const FRA_DPORT_RANGE = 24;
const IPPROTO_UDP = 17;
const replyBytes = 32768;

export type Link = {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
};
export type Prefix = { readonly family: 4 | 6; readonly address: Uint8Array; readonly prefix: number };
export type Route = Prefix & {
  readonly interface: string;
  readonly gateway?: Uint8Array;
  readonly metric?: number;
  readonly table?: number;
  /** Added only where there is none to the same prefix with the same metric: EEXIST otherwise. */
  readonly exclusive?: true;
};
export type Rule = {
  readonly family: 4 | 6;
  readonly table: number;
  readonly priority?: number;
  readonly mark?: number;
  /** Matches what does *not* bear the mark. */
  readonly invert?: boolean;
  /** Ignore routes of this prefix length or shorter: 0 hides a default route. */
  readonly suppressPrefix?: number;
  /** Only for packets to there. */
  readonly to?: Prefix;
  /** Only for UDP to this port; Linux 4.17. */
  readonly udpPort?: number;
};
/** What the kernel would do with a packet. */
export type RouteAnswer = {
  readonly interfaceIndex: number;
  readonly gateway: Uint8Array | null;
  readonly source: Uint8Array | null;
};

export class Netlink {
  readonly #libc: Libc;
  readonly #message: Message;
  readonly #reply: number;
  readonly #fd: number;
  readonly #word: Word;
  #links: Watch | null = null;
  #routes: Watch | null = null;
  #sequence = 0;

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#message = new Message(libc.arena);
    this.#reply = libc.arena.alloc(replyBytes);
    this.#fd = openSocket(libc, 0, 0);
    this.#word = libc.ffi.word(this.#fd);
  }

  /** The link, or null when there is none of that name. */
  link(name: string): Link | null {
    const message = this.#message.begin(RTM_GETLINK, 0).u8(0, 0).u16(0).u32(0, 0, 0);
    let found: Link | null = null;
    this.#transact(message.attributeText(IFLA_IFNAME, name), reply => {
      if (reply.type === RTM_NEWLINK) found = linkOf(reply);
    });
    return found;
  }

  /** 0 when there is no such interface. */
  interfaceIndex(name: string): number {
    return this.link(name)?.index ?? 0;
  }

  linkUp(name: string): number {
    return this.#setLink(name, IFF_UP, message => message);
  }

  linkDown(name: string): number {
    return this.#setLink(name, 0, message => message);
  }

  setMtu(name: string, mtu: number): number {
    return this.#setLink(name, null, message => message.attribute32(IFLA_MTU, mtu));
  }

  /** Adding an address that is there already is a success. */
  addAddress(name: string, address: Prefix): number {
    const result = this.#address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, name, address);
    return result === -EEXIST ? 0 : result;
  }

  deleteAddress(name: string, address: Prefix): number {
    return this.#address(RTM_DELADDR, 0, name, address);
  }

  /** Replaces a route to the same prefix with the same metric, unless it is to be the only one. */
  addRoute(route: Route): number {
    const mode = route.exclusive === true ? NLM_F_EXCL : NLM_F_REPLACE;
    return this.#route(RTM_NEWROUTE, NLM_F_CREATE | mode, route);
  }

  deleteRoute(route: Route): number {
    return this.#route(RTM_DELROUTE, 0, route);
  }

  /** Null when there is no route. `mark` asks as a socket with that SO_MARK would. */
  route(family: 4 | 6, address: Uint8Array, mark = 0): RouteAnswer | null {
    const bits = family === 4 ? 32 : 128;
    const message = this.#message.begin(RTM_GETROUTE, 0).u8(familyOf(family), bits, 0, 0, 0, 0, 0, 0).u32(0);
    message.attribute(RTA_DST, address.subarray(0, bits / 8));
    if (mark !== 0) message.attribute32(RTA_MARK, mark);
    let answer: RouteAnswer | null = null;
    this.#transact(message, reply => {
      if (reply.type !== RTM_NEWROUTE) return;
      const found = attributes(reply.body, 12);
      const gateway = found.get(RTA_GATEWAY);
      const source = found.get(RTA_PREFSRC);
      answer = {
        interfaceIndex: found.get(RTA_OIF)?.getUint32(0, true) ?? 0,
        gateway: gateway === undefined ? null : bytesOf(gateway),
        source: source === undefined ? null : bytesOf(source),
      };
    });
    return answer;
  }

  /** -EEXIST when it is there already, which the kernel can tell only with a `priority`; without, it adds a twin. */
  addRule(rule: Rule): number {
    return this.#rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
  }

  deleteRule(rule: Rule): number {
    return this.#rule(RTM_DELRULE, 0, rule);
  }

  /** A descriptor that becomes readable when any link changes; then `drainLinks` and look at `link` again. */
  watchLinks(): number {
    return (this.#links ??= new Watch(this.#libc, this.#reply, RTMGRP_LINK)).fd;
  }

  drainLinks(): void {
    this.#links?.drain();
  }

  /**
   * A descriptor that becomes readable when any route or local address changes: remembered local sources may then be
   * wrong (E2), and clearing them costs nothing, as the next packet of each peer sets its own again.
   */
  watchRoutes(): number {
    const groups = RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    return (this.#routes ??= new Watch(this.#libc, this.#reply, groups)).fd;
  }

  drainRoutes(): void {
    this.#routes?.drain();
  }

  close(): void {
    this.#libc.close(this.#fd);
    this.#links?.close();
    this.#routes?.close();
    this.#links = this.#routes = null;
  }

  #setLink(name: string, flags: number | null, fill: (message: Message) => Message): number {
    const index = this.interfaceIndex(name);
    if (index === 0) return -ENODEV;
    const message = this.#message.begin(RTM_NEWLINK, NLM_F_ACK).u8(0, 0).u16(0);
    message.u32(index, flags ?? 0, flags === null ? 0 : IFF_UP);
    return this.#transact(fill(message));
  }

  #address(type: number, flags: number, name: string, address: Prefix): number {
    const index = this.interfaceIndex(name);
    if (index === 0) return -ENODEV;
    const bytes = address.address.subarray(0, address.family === 4 ? 4 : 16);
    // Without NODAD an IPv6 address of a link that has no neighbours would be tentative for a second.
    const nodad = address.family === 6 && type === RTM_NEWADDR ? IFA_F_NODAD : 0;
    const message = this.#message.begin(type, flags | NLM_F_ACK);
    message.u8(familyOf(address.family), address.prefix, nodad, 0).u32(index);
    return this.#transact(message.attribute(IFA_LOCAL, bytes).attribute(IFA_ADDRESS, bytes));
  }

  #route(type: number, flags: number, route: Route): number {
    const index = this.interfaceIndex(route.interface);
    if (index === 0) return -ENODEV;
    const table = route.table ?? RT_TABLE_MAIN;
    const message = this.#message.begin(type, flags | NLM_F_ACK);
    message.u8(familyOf(route.family), route.prefix, 0, 0, table < 256 ? table : 0);
    if (type === RTM_DELROUTE)
      message.u8(0, RT_SCOPE_NOWHERE, 0); // any protocol, scope and type
    else if (route.family === 4 && route.gateway === undefined)
      message.u8(RTPROT_STATIC, RT_SCOPE_LINK, RTN_UNICAST);
    else message.u8(RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST);
    message.u32(0);
    const bytes = route.family === 4 ? 4 : 16;
    if (route.prefix > 0) message.attribute(RTA_DST, route.address.subarray(0, bytes));
    message.attribute32(RTA_OIF, index).attribute32(RTA_TABLE, table);
    if (route.gateway !== undefined) message.attribute(RTA_GATEWAY, route.gateway.subarray(0, bytes));
    if (route.metric !== undefined) message.attribute32(RTA_PRIORITY, route.metric);
    return this.#transact(message);
  }

  #rule(type: number, flags: number, rule: Rule): number {
    const message = this.#message.begin(type, flags | NLM_F_ACK);
    const { to } = rule;
    const table = rule.table < 256 ? rule.table : 0;
    message.u8(familyOf(rule.family), to?.prefix ?? 0, 0, 0, table, 0, 0, FR_ACT_TO_TBL);
    message.u32(rule.invert === true ? FIB_RULE_INVERT : 0).attribute32(FRA_TABLE, rule.table);
    if (to !== undefined) message.attribute(FRA_DST, to.address.subarray(0, rule.family === 4 ? 4 : 16));
    if (rule.udpPort !== undefined) {
      message.attribute(FRA_IP_PROTO, Uint8Array.of(IPPROTO_UDP));
      // From this port to this port, each in 16 bits.
      message.attribute32(FRA_DPORT_RANGE, rule.udpPort * 0x1_0001);
    }
    if (rule.priority !== undefined) message.attribute32(FRA_PRIORITY, rule.priority);
    if (rule.mark !== undefined) message.attribute32(FRA_FWMARK, rule.mark);
    if (rule.suppressPrefix !== undefined) message.attribute32(FRA_SUPPRESS_PREFIXLEN, rule.suppressPrefix);
    return this.#transact(message);
  }

  /** Sends and reads the answer: an acknowledgement, an error, or one object passed to `each`. */
  #transact(message: Message, each: (reply: Reply) => void = () => {}): number {
    const { arena } = this.#libc;
    const sequence = ++this.#sequence;
    const sent = this.#libc.write(this.#word, message.at, message.finish(sequence));
    if (sent < 0) return sent;
    for (;;) {
      const bytes = this.#libc.read(this.#word, this.#reply, replyBytes);
      if (bytes < 0) return bytes;
      for (const reply of replies(arena, this.#reply, bytes)) {
        if (reply.sequence !== sequence) continue; // the answer of a request we gave up on
        if (reply.type === NLMSG_ERROR) return reply.body.getInt32(0, true);
        each(reply);
        return 0;
      }
    }
  }
}

/** A socket subscribed to notifications. Their content is not read: the reader looks at the present state. */
class Watch {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #word: Word;
  readonly #sink: number;

  constructor(libc: Libc, sink: number, groups: number) {
    this.fd = openSocket(libc, SOCK_NONBLOCK, groups);
    this.#libc = libc;
    this.#word = libc.ffi.word(this.fd);
    this.#sink = sink;
  }

  /** Makes the descriptor quiet. An overrun (ENOBUFS) only says that something was missed, and nothing was needed. */
  drain(): void {
    for (let turns = 0; turns < 1000; turns++) {
      const bytes = this.#libc.read(this.#word, this.#sink, replyBytes);
      if (bytes < 0 && bytes !== -ENOBUFS) return;
    }
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}

function familyOf(family: 4 | 6): number {
  return family === 4 ? AF_INET : AF_INET6;
}

function linkOf(reply: Reply): Link {
  const found = attributes(reply.body, 16);
  const name = found.get(IFLA_IFNAME);
  return {
    index: reply.body.getInt32(4, true),
    isUp: (reply.body.getUint32(8, true) & IFF_UP) !== 0,
    name: name === undefined ? '' : textOf(name),
    mtu: found.get(IFLA_MTU)?.getUint32(0, true) ?? 0,
  };
}

function openSocket(libc: Libc, flags: number, groups: number): number {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) throw new Error(`netlink socket: ${errnoText(fd)}`);
  const at = libc.scratch + 64;
  libc.arena.u8.fill(0, at, at + sockaddrNl.bytes);
  libc.arena.view.setUint16(at + sockaddrNl.family, AF_NETLINK, true);
  libc.arena.view.setUint32(at + sockaddrNl.groups, groups, true);
  const bound = libc.bind(fd, at, sockaddrNl.bytes);
  if (bound >= 0) return fd;
  libc.close(fd);
  throw new Error(`netlink bind: ${errnoText(bound)}`);
}
