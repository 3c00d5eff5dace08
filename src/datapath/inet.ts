// Inner IP packets as offsets: where the fields are, and which packets are sound (RFC 791, 8200, 9293, 768; R3).
// Also the virtio_net_hdr in front of each packet of a TUN device with IFF_VNET_HDR. Knows no tunnel.

import { fold } from './checksum.ts';

export const protocol = { icmp: 1, tcp: 6, udp: 17, icmp6: 58 } as const;

/** IPv4 header without options, IPv6 header, and the smallest transport headers. */
export const ip4Bytes = 20;
export const ip6Bytes = 40;
export const tcpBytes = 20;
export const udpBytes = 8;

/** Offsets in an IPv4 header. */
export const ip4 = {
  tos: 1,
  total: 2,
  id: 4,
  fragment: 6,
  ttl: 8,
  protocol: 9,
  checksum: 10,
  source: 12,
  to: 16,
} as const;
/** Offsets in an IPv6 header. */
export const ip6 = { payload: 4, next: 6, hops: 7, source: 8, to: 24 } as const;
/** Offsets in a TCP header, and its flags. */
export const tcp = {
  sequence: 4,
  acknowledge: 8,
  offset: 12,
  flags: 13,
  window: 14,
  checksum: 16,
  options: 20,
} as const;
export const tcpFlag = { fin: 1, psh: 8, ack: 16, cwr: 128 } as const;
/** Offsets in a UDP header. */
export const udp = { length: 4, checksum: 6 } as const;

/** virtio_net_hdr: 10 bytes in the machine's own byte order. */
export const vnetBytes = 10;
export const vnet = {
  flags: 0,
  gsoType: 1,
  headerBytes: 2,
  gsoBytes: 4,
  checksumStart: 6,
  checksumOffset: 8,
} as const;
export const vnetFlag = { needsChecksum: 1, dataValid: 2 } as const;
export const gso = { none: 0, tcp4: 1, tcp6: 4, udp: 5, ecn: 0x80 } as const;

/** True on every machine we know of; the kernel interface is defined in native order all the same. */
export const littleEndian: boolean = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
/** Offsets of the halves of a 64-bit word. */
/* c8 ignore next 2: the other half of the machines */
export const lowHalf: number = littleEndian ? 0 : 4;
export const highHalf: number = littleEndian ? 4 : 0;

/**
 * The true length of the packet that starts at `at` and has at most `bytes` bytes, the rest being padding (R3). 0 when
 * it is neither IPv4 nor IPv6 or claims more than there is. As `innerLength` of wireguard.
 */
export function ipLength(view: DataView, at: number, bytes: number): number {
  if (bytes < ip4Bytes) return 0;
  const version = view.getUint8(at) >> 4;
  let length = 0;
  if (version === 4) {
    length = view.getUint16(at + ip4.total);
    if (length < (view.getUint8(at) & 15) * 4 || length < ip4Bytes) return 0;
  } else if (version === 6) {
    if (bytes < ip6Bytes) return 0;
    length = view.getUint16(at + ip6.payload) + ip6Bytes;
  }
  return length <= bytes ? length : 0;
}

/** The two ECN bits. */
export function ipEcn(u8: Uint8Array, at: number): number {
  return u8[at]! >> 4 === 4 ? u8[at + ip4.tos]! & 3 : (u8[at + 1]! >> 4) & 3;
}

/** Sum of the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1) for `length` bytes of transport header and data, folded. */
export function pseudoSum(view: DataView, at: number, version: number, next: number, length: number): number {
  let sum = next + (length & 0xffff) + (length >>> 16);
  const from = version === 4 ? at + ip4.source : at + ip6.source;
  const end = version === 4 ? from + 8 : from + 32;
  for (let word = from; word < end; word += 4) {
    const value = view.getUint32(word);
    sum += (value >>> 16) + (value & 0xffff);
  }
  return fold(sum);
}

/** Sum of an IPv4 header of `bytes` bytes as it stands; 0xffff when its checksum is right. */
export function headerSum(view: DataView, at: number, bytes: number): number {
  let sum = 0;
  for (let word = at; word < at + bytes; word += 4) {
    const value = view.getUint32(word);
    sum += (value >>> 16) + (value & 0xffff);
  }
  return fold(sum);
}

/** Plaintext length after padding (D5): up to 16 bytes, never beyond the MTU. */
export function paddedBytes(bytes: number, mtu: number): number {
  const last = bytes > mtu ? bytes % mtu : bytes;
  const padded = (last + 15) & ~15;
  return bytes - last + (padded < mtu ? padded : mtu);
}
