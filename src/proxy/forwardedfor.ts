// The client's address behind load balancers: the rightmost hop of X-Forwarded-For that is not trusted. What stands left of it was
// written by the client and counts for nothing. Pure.

import { contains, formatAddress, network, parseAddress, parsePrefixOrAddress } from '../util/inet.ts';
import type { IpPrefix } from '../util/inet.ts';

/** `ADDRESS` or `ADDRESS/LENGTH`; null for anything else, and for a prefix with host bits set. */
export function readTrusted(text: string): IpPrefix | null {
  const prefix = parsePrefixOrAddress(text);
  if (prefix === null) return null;
  const { address } = network(prefix);
  return formatAddress(address) === formatAddress(prefix.address) ? prefix : null;
}

export function clientAddress(near: string, header: string, trusted: readonly IpPrefix[]): string {
  let address = plain(near);
  const hops = header === '' ? [] : header.split(',').map(hop => hop.trim());
  while (isTrusted(address, trusted)) {
    const hop = hops.pop();
    // A balancer that names no client: itself is all that is known.
    if (hop === undefined || parseAddress(hop) === null) return address;
    address = plain(hop);
  }
  return address;
}

function isTrusted(text: string, trusted: readonly IpPrefix[]): boolean {
  const ip = parsePrefixOrAddress(text);
  return ip !== null && trusted.some(prefix => contains(prefix, ip));
}

/** Without a zone, and an IPv4 address that is mapped into IPv6 as IPv4. */
function plain(text: string): string {
  const bare = text.split('%', 1)[0]!;
  const mapped = /^::ffff:([0-9.]+)$/i.exec(bare)?.[1];
  return mapped !== undefined && parseAddress(mapped) !== null ? mapped : bare;
}
