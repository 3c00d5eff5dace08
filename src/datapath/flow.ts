// Whether two packets belong to one flow and differ only as the segments of one stream do (rules of Linux GRO). `at` is the
// offset of an IP header without options, `transport` the bytes from there to the TCP or UDP header.

import { ip4, ip4Bytes, ip6, ip6Bytes, tcp } from './inet.ts';

export const flowSlots = 1024;

/** Hash of addresses and ports. Two flows in one slot only stop each other from being joined. */
export function flowSlot(view: DataView, at: number, transport: number): number {
  let hash = view.getUint32(at + transport);
  if (transport === ip4Bytes) {
    hash ^= Math.imul(view.getUint32(at + ip4.source), 0x85ebca6b);
    hash ^= Math.imul(view.getUint32(at + ip4.to), 0xc2b2ae35);
  } else {
    for (let word = at + ip6.source; word < at + ip6Bytes; word += 4)
      hash = Math.imul(hash ^ view.getUint32(word), 0x85ebca6b);
  }
  return (Math.imul(hash, 0x9e3779b1) >>> 22) & (flowSlots - 1);
}

/** Same addresses and ports, TOS, TTL and fragment flags (or IPv6 class, label and hop limit), and protocol. */
export function sameFlow(view: DataView, a: number, b: number, transport: number): boolean {
  if (view.getUint32(a + transport) !== view.getUint32(b + transport)) return false;
  if (transport === ip4Bytes)
    return (
      view.getUint32(a + ip4.fragment) === view.getUint32(b + ip4.fragment) && // and TTL and protocol
      view.getUint32(a + ip4.source) === view.getUint32(b + ip4.source) &&
      view.getUint32(a + ip4.to) === view.getUint32(b + ip4.to) &&
      view.getUint16(a) === view.getUint16(b)
    );
  if (
    view.getUint32(a) !== view.getUint32(b) ||
    view.getUint16(a + ip6.next) !== view.getUint16(b + ip6.next)
  )
    return false;
  for (let word = ip6.source; word < ip6Bytes; word += 4)
    if (view.getUint32(a + word) !== view.getUint32(b + word)) return false;
  return true;
}

/** Besides the flow: acknowledgement and options. */
export function sameTcp(view: DataView, a: number, b: number, transport: number, headers: number): boolean {
  const number = transport + tcp.acknowledge;
  if (view.getUint32(a + number) !== view.getUint32(b + number)) return false;
  for (let word = transport + tcp.options; word < headers; word += 4)
    if (view.getUint32(a + word) !== view.getUint32(b + word)) return false;
  return sameFlow(view, a, b, transport);
}

/** An IPv4 packet that may be fragmented needs its id: it must be the next one, as segmentation will number it again. */
export function ipIdFollows(view: DataView, a: number, b: number, transport: number): boolean {
  if (transport !== ip4Bytes || (view.getUint16(a + ip4.fragment) & 0x4000) !== 0) return true;
  return ((view.getUint16(a + ip4.id) + 1) & 0xffff) === view.getUint16(b + ip4.id);
}
