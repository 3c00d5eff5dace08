// IP prefixes in text ("10.77.0.2/32", "fd00::/64") and as bytes, for grants, policies and address allocation. Strict on
// purpose: no octal, no zone, no host bits hidden by a shorter notation. Knows nothing of routing tables.

import { ShapeError } from './validate.ts';
import type { Shape } from './validate.ts';

/** Structurally the AllowedIp of the WireGuard door. */
export interface Prefix {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly prefix: number;
}

/** "ADDRESS" or "ADDRESS/LENGTH"; null for anything else. Host bits are kept: see `network`. */
export function parsePrefix(text: string): Prefix | null {
  if (text.length > 64) return null;
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (address === null) return null;
  const bits = address.length * 8;
  const family = address.length === 4 ? 4 : 6;
  if (slash < 0) return { family, address, prefix: bits };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(digits) || Number(digits) > bits) return null;
  return { family, address, prefix: Number(digits) };
}

export function parseAddress(text: string): Uint8Array | null {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text);
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.address)}/${prefix.prefix}`;
}

export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  const words = Array.from({ length: 8 }, (_, i) => (address[2 * i]! << 8) | address[2 * i + 1]!);
  // RFC 5952: the longest run of two or more zero words becomes "::", the first one of equals.
  let best = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && words[i + length] === 0) length++;
    if (length > bestLength) [best, bestLength] = [i, length];
    i += Math.max(0, length - 1);
  }
  const hex = (part: number[]) => part.map(word => word.toString(16)).join(':');
  if (best < 0) return hex(words);
  return `${hex(words.slice(0, best))}::${hex(words.slice(best + bestLength))}`;
}

/** The same prefix with its host bits cleared. */
export function network(prefix: Prefix): Prefix {
  const address = prefix.address.slice();
  for (let bit = prefix.prefix; bit < address.length * 8; bit++) address[bit >> 3]! &= ~(0x80 >> (bit & 7));
  return { ...prefix, address };
}

/** True when every address of `inner` lies in `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  if (outer.family !== inner.family || inner.prefix < outer.prefix) return false;
  for (let bit = 0; bit < outer.prefix; bit++) {
    const mask = 0x80 >> (bit & 7);
    if ((outer.address[bit >> 3]! & mask) !== (inner.address[bit >> 3]! & mask)) return false;
  }
  return true;
}

/** The address `offset` above the network address, as bytes. Offsets stay below 2^48. */
export function addressAt(prefix: Prefix, offset: number): Uint8Array {
  const address = network(prefix).address.slice();
  let carry = offset;
  for (let i = address.length - 1; i >= 0 && carry > 0; i--) {
    carry += address[i]!;
    address[i] = carry % 256;
    carry = Math.floor(carry / 256);
  }
  return address;
}

/**
 * What counts as one source when requests are limited: an IPv4 address, also when it comes mapped into IPv6; of IPv6 the /64,
 * because a host has all of that to itself. Other text stays as it is.
 */
export function sourceNetwork(text: string): string {
  const address = parseAddress(text.split('%')[0]!);
  if (address === null) return text;
  if (address.length === 4) return formatAddress(address);
  const mapped =
    address.subarray(0, 10).every(byte => byte === 0) && address[10] === 0xff && address[11] === 0xff;
  if (mapped) return formatAddress(address.subarray(12));
  return formatPrefix(network({ family: 6, address, prefix: 64 }));
}

/** A prefix in text. */
export const prefixText: Shape<string> = (value, path) => {
  if (typeof value !== 'string' || parsePrefix(value) === null)
    throw new ShapeError(path, 'an IP prefix such as "10.77.0.2/32"');
  return value;
};

function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const address = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    const part = parts[i]!;
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    address[i] = Number(part);
  }
  return address;
}

function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = words(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? words(halves[1]!, true) : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const all = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const address = new Uint8Array(16);
  all.forEach((word, i) => {
    address[2 * i] = word >> 8;
    address[2 * i + 1] = word & 255;
  });
  return address;
}

function words(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const parts = text.split(':');
  const result: number[] = [];
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i]!;
    if (part.includes('.')) {
      const v4 = mayEndInIpv4 && i === parts.length - 1 ? parseIpv4(part) : null;
      if (v4 === null) return null;
      result.push((v4[0]! << 8) | v4[1]!, (v4[2]! << 8) | v4[3]!);
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) result.push(Number.parseInt(part, 16));
    else return null;
  }
  return result;
}
