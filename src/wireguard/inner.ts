// What the protocol must know about the packets it carries: version, length and the two addresses cryptokey routing looks
// up (R3, R4, D1). Everything else about inner packets lives in datapath/.

import type { AllowedIps } from './peer/allowedips.ts';

const header4 = 20;
const header6 = 40;

/** As datapath's `ipLength`, for the path of one packet: length of the IP packet in `bytes` decrypted bytes at `at`, padding trimmed; −1 when it is none. */
export function innerLength(u8: Uint8Array, at: number, bytes: number): number {
  if (bytes < header4) return -1;
  const version = u8[at]! >> 4;
  if (version === 4) {
    const length = (u8[at + 2]! << 8) | u8[at + 3]!;
    const headerBytes = (u8[at]! & 15) * 4;
    return length >= header4 && length >= headerBytes && length <= bytes ? length : -1;
  }
  if (version === 6 && bytes >= header6) {
    const length = ((u8[at + 4]! << 8) | u8[at + 5]!) + header6;
    return length <= bytes ? length : -1;
  }
  return -1;
}

/** The peer that may send from this source: the longest prefix over all peers (R4). */
export function sourceOwner<P extends object>(routes: AllowedIps<P>, u8: Uint8Array, at: number): P | null {
  return u8[at]! >> 4 === 4 ? routes.find4(u8, at + 12) : routes.find6(u8, at + 8);
}

export function destinationOwner<P extends object>(
  routes: AllowedIps<P>,
  u8: Uint8Array,
  at: number,
): P | null {
  return u8[at]! >> 4 === 4 ? routes.find4(u8, at + 16) : routes.find6(u8, at + 24);
}
