// IP addresses, prefixes and endpoints as text and bytes. The grammar is that of Go's net/netip, because a UAPI client must
// get the same answer from us as from wireguard-go: no leading zeros, no spaces, a zone only in an endpoint. Output is
// RFC 5952. Knows nothing of routing tables.

export type IpAddress = { readonly family: 4 | 6; readonly address: Uint8Array };
export type IpPrefix = IpAddress & { readonly prefix: number };
export type IpEndpoint = { readonly host: string; readonly port: number; readonly scope?: string };

/** An address without a zone, or null. */
export function parseAddress(text: string): IpAddress | null {
  const address = text.includes(':') ? parse6(text) : parse4(text);
  return address && { family: address.length === 4 ? 4 : 6, address };
}

/** `address/length`, or null. Host bits are kept: see `network`. */
export function parsePrefix(text: string): IpPrefix | null {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return null;
  const ip = parseAddress(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (ip === null || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return null;
  const prefix = Number(length);
  return prefix <= 8 * ip.address.length ? { ...ip, prefix } : null;
}

/** The same, and an address without a length is the prefix of that address alone. */
export function parsePrefixOrAddress(text: string): IpPrefix | null {
  if (text.includes('/')) return parsePrefix(text);
  const ip = parseAddress(text);
  return ip && { ...ip, prefix: 8 * ip.address.length };
}

/** `1.2.3.4:5`, `[2001:db8::1]:5`, `[fe80::1%eth0]:5`, or null. */
export function parseEndpoint(text: string): IpEndpoint | null {
  const match = /^(?:\[([^\][%]*)(?:%([^\][%]+))?\]|([^\][%:]*)):([0-9]+)$/.exec(text);
  if (match === null) return null;
  const [, v6, zone, v4, digits] = match;
  const port = Number(digits);
  const ip = parseAddress(v6 ?? v4!);
  if (ip === null || port > 65535 || (ip.family === 6) !== (v6 !== undefined)) return null;
  const host = formatAddress(ip.address);
  return zone === undefined ? { host, port } : { host, port, scope: zone };
}

export function formatEndpoint({ host, port, scope }: IpEndpoint): string {
  if (!host.includes(':')) return `${host}:${port}`;
  return `[${host}${scope === undefined ? '' : `%${scope}`}]:${port}`;
}

export function formatPrefix({ address, prefix }: Omit<IpPrefix, 'family'>): string {
  return `${formatAddress(address)}/${prefix}`;
}

/** 4 or 16 bytes as text. */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  // 4-in-6 the way netip and inet_ntop both print it.
  if (isMapped(address)) return `::ffff:${address.subarray(12).join('.')}`;
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((address[i]! << 8) | address[i + 1]!);
  let zerosAt = -1;
  let zeros = 1; // a single zero word is not shortened
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && words[i + run] === 0) run++;
    if (run > zeros) [zerosAt, zeros] = [i, run];
    i += run;
  }
  const hex = (part: number[]): string => part.map(word => word.toString(16)).join(':');
  return zerosAt < 0 ? hex(words) : `${hex(words.slice(0, zerosAt))}::${hex(words.slice(zerosAt + zeros))}`;
}

/** The prefix with its host bits cleared, as every table keeps it. */
export function network({ family, address, prefix }: IpPrefix): IpPrefix {
  const keep = (i: number): number => ~(0xff >> Math.min(8, Math.max(0, prefix - 8 * i)));
  return { family, address: address.map((byte, i) => byte & keep(i)), prefix };
}

/** True when every address of `inner` lies in `outer`. */
export function contains(outer: IpPrefix, inner: IpPrefix): boolean {
  if (outer.family !== inner.family || inner.prefix < outer.prefix) return false;
  const wanted = network(outer).address;
  return network({ ...inner, prefix: outer.prefix }).address.every((byte, i) => byte === wanted[i]);
}

/** The address `offset` above the network's own. Offsets stay below 2^48. */
export function addressAt(prefix: IpPrefix, offset: number): Uint8Array {
  const { address } = network(prefix);
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
  const ip = parseAddress(text.split('%', 1)[0]!);
  if (ip === null) return text;
  if (ip.family === 4) return formatAddress(ip.address);
  if (isMapped(ip.address)) return formatAddress(ip.address.subarray(12));
  return formatPrefix(network({ ...ip, prefix: 64 }));
}

/** An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2). */
function isMapped(address: Uint8Array): boolean {
  return address.subarray(0, 10).every(byte => byte === 0) && address[10] === 255 && address[11] === 255;
}

function parse4(text: string): Uint8Array | null {
  const parts = text.split('.', 5);
  if (parts.length !== 4) return null;
  const address = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    address[i] = Number(part);
  }
  return address;
}

function parse6(text: string): Uint8Array | null {
  if (text.length > 45) return null;
  let rest = text;
  const tail4 = /^(.*:)([0-9.]+\.[0-9.]+)$/.exec(text);
  if (tail4 !== null) {
    const v4 = parse4(tail4[2]!);
    if (v4 === null) return null;
    rest = `${tail4[1]}${((v4[0]! << 8) | v4[1]!).toString(16)}:${((v4[2]! << 8) | v4[3]!).toString(16)}`;
  }
  const halves = rest.split('::');
  if (halves.length > 2) return null;
  const words = (half: string): string[] => (half === '' ? [] : half.split(':'));
  const head = words(halves[0]!);
  const tail = halves.length === 2 ? words(halves[1]!) : [];
  const missing = 8 - head.length - tail.length;
  // `::` stands for at least one word, as in netip.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const address = new Uint8Array(16);
  for (const [i, word] of [...head, ...Array<string>(missing).fill('0'), ...tail].entries()) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(word)) return null;
    const value = Number.parseInt(word, 16);
    address[2 * i] = value >> 8;
    address[2 * i + 1] = value & 255;
  }
  return address;
}
