// Inet: IP addresses and prefixes between text and bytes (RFC 4291 §2.2, RFC 5952 for output). Literals only, strict: no
// octal, no shorthand IPv4, no zone (zones travel beside the address).

export interface Address {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly bytes: Uint8Array;
}

export interface Prefix {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly prefix: number;
}

function parse4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (let i = 0; i < 4; i++) {
    if (!/^(0|[1-9]\d{0,2})$/.test(parts[i]!)) return null;
    const value = Number(parts[i]);
    if (value > 255) return null;
    bytes[i] = value;
  }
  return bytes;
}

function groups(text: string): number[] | null {
  if (text === '') return [];
  const words: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const tail = parse4(part);
      if (!tail) return null;
      words.push((tail[0]! << 8) | tail[1]!, (tail[2]! << 8) | tail[3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      words.push(Number.parseInt(part, 16));
    }
  }
  return words;
}

function parse6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = groups(halves[0]!);
  const tail = halves.length === 2 ? groups(halves[1]!) : [];
  if (!head || !tail) return null;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const words = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  for (const [i, word] of words.entries()) {
    bytes[2 * i] = word >> 8;
    bytes[2 * i + 1] = word & 255;
  }
  return bytes;
}

/** An IPv4 or IPv6 literal, or null. */
export function parseAddress(text: string): Address | null {
  if (text.length > 45) return null;
  if (text.includes(':')) {
    const bytes = parse6(text);
    return bytes && { family: 6, bytes };
  }
  const bytes = parse4(text);
  return bytes && { family: 4, bytes };
}

/** `address/length`; without a length the whole address. Host bits are kept as written. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const address = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (!address) return null;
  const most = address.family === 4 ? 32 : 128;
  if (slash < 0) return { family: address.family, address: address.bytes, prefix: most };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > most) return null;
  return { family: address.family, address: address.bytes, prefix: Number(digits) };
}

/** Text form; IPv6 as RFC 5952 says, IPv4-mapped addresses with a dotted tail as inet_ntop does. */
export function formatAddress(family: 4 | 6, bytes: Uint8Array): string {
  if (family === 4) return bytes.subarray(0, 4).join('.');
  const words: number[] = [];
  for (let i = 0; i < 16; i += 2) words.push((bytes[i]! << 8) | bytes[i + 1]!);
  if (words.slice(0, 5).every(word => word === 0) && words[5] === 0xffff)
    return `::ffff:${bytes.subarray(12).join('.')}`;
  let start = -1;
  let length = 1; // RFC 5952 §4.2.2: one zero group alone is not shortened
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && words[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
    if (run > 0) i += run - 1;
  }
  const hex = (part: number[]): string => part.map(word => word.toString(16)).join(':');
  if (start < 0) return hex(words);
  return `${hex(words.slice(0, start))}::${hex(words.slice(start + length))}`;
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatAddress(prefix.family, prefix.address)}/${prefix.prefix}`;
}
