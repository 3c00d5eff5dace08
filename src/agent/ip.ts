// IP addresses as text and bytes. The grammar is that of Go's net/netip, because a UAPI client must get the same answer
// from us as from wireguard-go: no leading zeros, no spaces, a prefix always carries its length, a zone only in an endpoint.
// Output is RFC 5952.

export type IpAddress = { readonly family: 4 | 6; readonly address: Uint8Array };
export type IpPrefix = IpAddress & { readonly prefix: number };
export type IpEndpoint = { readonly host: string; readonly port: number; readonly scope?: string };

/** An address without a zone, or null. */
export function parseAddress(text: string): IpAddress | null {
  const address = text.includes(':') ? parse6(text) : parse4(text);
  return address && { family: address.length === 4 ? 4 : 6, address };
}

/** `address/length`; host bits are cleared, as every table keeps them. Null when malformed. */
export function parsePrefix(text: string): IpPrefix | null {
  const slash = text.lastIndexOf('/');
  if (slash < 0) return null;
  const ip = parseAddress(text.slice(0, slash));
  const length = text.slice(slash + 1);
  if (ip === null || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return null;
  const prefix = Number(length);
  if (prefix > 8 * ip.address.length) return null;
  return { family: ip.family, address: masked(ip.address, prefix), prefix };
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

export function formatPrefix({ address, prefix }: { address: Uint8Array; prefix: number }): string {
  return `${formatAddress(address)}/${prefix}`;
}

/** 4 or 16 bytes as text. */
export function formatAddress(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  // 4-in-6 the way netip and inet_ntop both print it.
  if (address.subarray(0, 10).every(byte => byte === 0) && address[10] === 255 && address[11] === 255)
    return `::ffff:${address.subarray(12).join('.')}`;
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

/** A copy with the bits behind `prefix` cleared. */
export function masked(address: Uint8Array, prefix: number): Uint8Array {
  return address.map((byte, i) => byte & ~(0xff >> Math.min(8, Math.max(0, prefix - 8 * i))));
}

/** True when `inner` lies wholly within `outer`. */
export function contains(outer: IpPrefix, inner: IpPrefix): boolean {
  if (outer.family !== inner.family || inner.prefix < outer.prefix) return false;
  return masked(inner.address, outer.prefix).every((byte, i) => byte === outer.address[i]);
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
