// The answer to a packet no peer can take (D1, D2): ICMP host unreachable (RFC 792, RFC 1122 §3.2.2, RFC 1812
// §4.3.2) or ICMPv6 address unreachable (RFC 4443 §2.4, §3.1). It bears the unreachable address itself as its source: the
// address of the TUN device would be dropped by the host as a martian. Limited by a token bucket; knows no clock.

import type { Arena } from '../util/arena.ts';
import type { Checksum } from './checksum.ts';
import { headerSum, ip4, ip4Bytes, ip6, ip6Bytes, protocol, pseudoSum, vnetBytes } from './inet.ts';

const icmpBytes = 8;
/** What the whole answer may measure: RFC 1812 §4.3.2.3, RFC 4443 §2.4 (c). */
const maxBytes4 = 576;
const maxBytes6 = 1280;
const hostUnreachable = 0x0301; // type and code
const addressUnreachable = 0x0103;

export interface UnreachableLimit {
  /** As Linux: icmp_msgs_per_sec and icmp_msgs_burst. */
  readonly perSecond?: number;
  readonly burst?: number;
}

export class Unreachable {
  /** Where `build` writes; the 10 bytes before it are free for a virtio_net_hdr. */
  readonly at: number;
  #arena: Arena;
  #checksum: Checksum;
  #perMs: number;
  #burst: number;
  #tokens: number;
  #filledAt = -Infinity;

  constructor(arena: Arena, checksum: Checksum, limit: UnreachableLimit = {}) {
    this.#arena = arena;
    this.#checksum = checksum;
    this.#perMs = (limit.perSecond ?? 1000) / 1000;
    this.#burst = this.#tokens = limit.burst ?? 50;
    this.at = arena.alloc(16 + maxBytes6) + 16;
  }

  /** Writes the answer to the packet at `at`: returns its bytes, or 0 when none must be sent. */
  build(now: number, at: number, bytes: number): number {
    const { u8, view } = this.#arena;
    if (bytes < ip4Bytes) return 0;
    const version = u8[at]! >> 4;
    if (version === 4 ? !answerable4(u8, at, bytes) : version !== 6 || !answerable6(u8, at, bytes)) return 0;
    if (!this.#spend(now)) return 0;
    const to = this.at;
    const header = version === 4 ? ip4Bytes : ip6Bytes;
    const room = (version === 4 ? maxBytes4 : maxBytes6) - header - icmpBytes;
    const quoted = bytes < room ? bytes : room;
    const total = header + icmpBytes + quoted;
    u8.fill(0, to - vnetBytes, to + header + icmpBytes);
    u8.copyWithin(to + header + icmpBytes, at, at + quoted);
    if (version === 4) {
      view.setUint16(to, 0x45c0); // internetwork control, RFC 1812 §4.3.2.5
      view.setUint16(to + ip4.total, total);
      view.setUint16(to + ip4.fragment, 0x4000);
      view.setUint16(to + ip4.ttl, (64 << 8) | protocol.icmp);
      u8.copyWithin(to + ip4.source, at + ip4.to, at + ip4.to + 4);
      u8.copyWithin(to + ip4.to, at + ip4.source, at + ip4.source + 4);
      view.setUint16(to + ip4.checksum, ~headerSum(view, to, ip4Bytes));
    } else {
      view.setUint32(to, 0x6000_0000);
      view.setUint16(to + ip6.payload, total - ip6Bytes);
      view.setUint16(to + ip6.next, (protocol.icmp6 << 8) | 64);
      u8.copyWithin(to + ip6.source, at + ip6.to, at + ip6.to + 16);
      u8.copyWithin(to + ip6.to, at + ip6.source, at + ip6.source + 16);
    }
    const icmp = to + header;
    view.setUint16(icmp, version === 4 ? hostUnreachable : addressUnreachable);
    // ICMP for IPv4 has no pseudo-header.
    const pseudo = version === 4 ? 0 : pseudoSum(view, to, 6, protocol.icmp6, total - header);
    view.setUint16(icmp + 2, ~this.#checksum.sum(icmp, total - header, pseudo));
    return total;
  }

  #spend(now: number): boolean {
    const tokens = this.#tokens + (now - this.#filledAt) * this.#perMs;
    this.#tokens = tokens < this.#burst ? tokens : this.#burst;
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

/** One sender, one receiver, the first fragment, and not itself an ICMP error. */
function answerable4(u8: Uint8Array, at: number, bytes: number): boolean {
  const header = (u8[at]! & 15) * 4;
  if (header < ip4Bytes || header > bytes) return false;
  const source = u8[at + ip4.source]!;
  const to = u8[at + ip4.to]!;
  if (source === 0 || source === 127 || source >= 224 || to === 0 || to >= 224) return false;
  if ((u8[at + ip4.fragment]! & 0x1f) !== 0 || u8[at + ip4.fragment + 1] !== 0) return false;
  if (u8[at + ip4.protocol] !== protocol.icmp) return true;
  const type = header < bytes ? u8[at + header]! : 3;
  // unreachable, quench, redirect, time exceeded, parameter problem; unknown types count as errors
  return type !== 3 && type !== 4 && type !== 5 && type !== 11 && type !== 12 && type <= 18;
}

function answerable6(u8: Uint8Array, at: number, bytes: number): boolean {
  if (bytes < ip6Bytes || u8[at + ip6.source] === 0xff || u8[at + ip6.to] === 0xff) return false;
  let any = 0;
  for (let i = 0; i < 16; i++) any |= u8[at + ip6.source + i]!;
  if (any === 0) return false;
  let next = u8[at + ip6.next]!;
  let offset = ip6Bytes;
  // Extension headers may hide an ICMPv6 error: hop-by-hop, routing, destination options, first fragment.
  while (next === 0 || next === 43 || next === 60 || next === 44) {
    if (offset + 8 > bytes) return false;
    if (next === 44 && (u8[at + offset + 2] !== 0 || (u8[at + offset + 3]! & 0xf8) !== 0)) return false;
    const length = next === 44 ? 8 : (u8[at + offset + 1]! + 1) * 8;
    next = u8[at + offset]!;
    offset += length;
  }
  if (next !== protocol.icmp6) return true;
  const type = offset < bytes ? u8[at + offset]! : 0;
  return type >= 128 && type !== 137; // informational, and no redirect
}
