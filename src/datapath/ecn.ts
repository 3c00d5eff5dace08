// Explicit congestion notification across the tunnel, as the kernel does it (D10). Outwards: RFC 3168 §9.1.1,
// full functionality, where an inner CE leaves as ECT(0). Inwards: the table of RFC 6040 §4.2, except that CE over a packet
// that cannot carry it is passed unchanged instead of dropped.

import type { Arena } from '../util/arena.ts';
import { fold } from './checksum.ts';
import { ip4, ipEcn } from './inet.ts';

export const notEct = 0;
export const ect1 = 1;
export const ect0 = 2;
export const ce = 3;

/** ECN bits of the outer header for those of the inner one. */
export function outerEcn(inner: number): number {
  return inner === ce ? ect0 : inner;
}

/** ECN bits of the inner header after a packet that bore `inner` arrived under `outer`. */
export function mergedEcn(outer: number, inner: number): number {
  if (inner === notEct || inner === ce) return inner;
  if (outer === ce) return ce;
  return outer === ect1 ? ect1 : inner;
}

/** Applies the outer bits to the inner packet at `at`; only `ce` and `ect1` can change anything. */
export function innerEcn(arena: Arena, at: number, outer: number = ce): void {
  const { u8, view } = arena;
  const inner = ipEcn(u8, at);
  const merged = mergedEcn(outer, inner);
  if (merged === inner) return;
  if (u8[at]! >> 4 === 6) {
    u8[at + 1] = (u8[at + 1]! & ~0x30) | (merged << 4);
    return;
  }
  const before = view.getUint16(at);
  u8[at + ip4.tos] = (u8[at + ip4.tos]! & ~3) | merged;
  // RFC 1624, equation 3: HC' = ~(~HC + ~m + m')
  const sum = (~view.getUint16(at + ip4.checksum) & 0xffff) + (~before & 0xffff) + view.getUint16(at);
  view.setUint16(at + ip4.checksum, ~fold(sum));
}
