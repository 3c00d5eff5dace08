// blobmsg, the wire form of ubus (libubox blob.h and blobmsg.h): attributes with a four-byte head, names inside the extended
// ones, everything padded to four bytes, big-endian. Values become plain JSON-like data. Pure: bytes in, data out; hostile
// bytes give null, never a throw.

import { utf8 } from '../../util/bytes.ts';

/** What ubus can carry. A bigint is an int64 beyond 2^53. */
export type Blob =
  string | number | bigint | boolean | null | readonly Blob[] | { readonly [name: string]: Blob };
export type BlobTable = { readonly [name: string]: Blob };

export const blobType = {
  unspec: 0,
  array: 1,
  table: 2,
  string: 3,
  int64: 4,
  int32: 5,
  int16: 6,
  int8: 7,
  double: 8,
} as const;

/** One attribute as it lies in memory: `id` is the type of a blobmsg or the number of a ubus attribute. */
export interface Attribute {
  readonly id: number;
  readonly isExtended: boolean;
  readonly payload: Uint8Array;
}

export const headBytes = 4;
const extended = 0x8000_0000;
const lengthMask = 0x00ff_ffff;
/** Deeper than any message of ours, shallow enough for the stack. */
const deepest = 16;

const padded = (bytes: number): number => (bytes + 3) & ~3;

/** `id` in bits 24-30, the length with its own head in the low 24. */
export function attribute(id: number, payload: Uint8Array, isExtended = false): Uint8Array {
  const length = headBytes + payload.length;
  if (length > lengthMask) throw new Error(`a blob of ${length} bytes does not fit its 24 bit length`);
  const bytes = new Uint8Array(padded(length));
  const head = ((isExtended ? extended : 0) | (id << 24) | length) >>> 0;
  new DataView(bytes.buffer).setUint32(0, head);
  bytes.set(payload, headBytes);
  return bytes;
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** The attributes side by side in `bytes`; null when a length is impossible. Bytes after the last whole head are refused. */
export function attributes(bytes: Uint8Array): Attribute[] | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Attribute[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + headBytes > bytes.length) return null;
    const head = view.getUint32(at);
    const length = head & lengthMask;
    if (length < headBytes || at + length > bytes.length) return null;
    found.push({
      id: (head >>> 24) & 0x7f,
      isExtended: head >>> 31 === 1,
      payload: bytes.subarray(at + headBytes, at + length),
    });
    // libubox writes padding after the last one too, but does not require it when reading.
    at += padded(length);
  }
  return found;
}

// Writing.

export function encodeTable(table: BlobTable): Uint8Array {
  return concat(Object.entries(table).map(([name, value]) => encodeNamed(name, value)));
}

function encodeNamed(name: string, value: Blob): Uint8Array {
  const [type, payload] = encodeValue(value);
  const text = utf8(name);
  const header = new Uint8Array(padded(2 + text.length + 1));
  new DataView(header.buffer).setUint16(0, text.length);
  header.set(text, 2);
  return attribute(type, concat([header, payload]), true);
}

function encodeValue(value: Blob): [type: number, payload: Uint8Array] {
  if (value === null) return [blobType.unspec, new Uint8Array()];
  switch (typeof value) {
    case 'string':
      return [blobType.string, utf8(`${value.replaceAll('\0', '')}\0`)];
    case 'boolean':
      return [blobType.int8, Uint8Array.of(value ? 1 : 0)];
    case 'bigint':
      return [blobType.int64, scalar(8, view => view.setBigInt64(0, value))];
    case 'number':
      return encodeNumber(value);
    default:
  }
  if (Array.isArray(value))
    return [blobType.array, concat((value as readonly Blob[]).map(item => encodeNamed('', item)))];
  return [blobType.table, encodeTable(value as BlobTable)];
}

function encodeNumber(value: number): [type: number, payload: Uint8Array] {
  if (!Number.isSafeInteger(value)) return [blobType.double, scalar(8, view => view.setFloat64(0, value))];
  if (value === (value | 0)) return [blobType.int32, scalar(4, view => view.setInt32(0, value))];
  return [blobType.int64, scalar(8, view => view.setBigInt64(0, BigInt(value)))];
}

function scalar(bytes: number, set: (view: DataView) => void): Uint8Array {
  const payload = new Uint8Array(bytes);
  set(new DataView(payload.buffer));
  return payload;
}

// Reading.

/** The table whose members are `bytes`; null for anything that libubox would refuse. */
export function decodeTable(bytes: Uint8Array): BlobTable | null {
  const members = decodeMembers(bytes, deepest);
  if (members === null) return null;
  // No prototype: a member called `__proto__` is a member.
  const table = Object.create(null) as Record<string, Blob>;
  for (const [name, value] of members) table[name] = value;
  return table;
}

function decodeMembers(bytes: Uint8Array, depth: number): [name: string, value: Blob][] | null {
  if (depth === 0) return null;
  const found = attributes(bytes);
  if (found === null) return null;
  const members: [string, Blob][] = [];
  for (const { id, isExtended, payload } of found) {
    if (!isExtended || payload.length < 4) return null;
    const length = (payload[0]! << 8) | payload[1]!;
    const body = padded(2 + length + 1);
    if (body > payload.length || payload[2 + length] !== 0) return null;
    const value = decodeValue(id, payload.subarray(body), depth);
    if (value === undefined) return null;
    members.push([text(payload.subarray(2, 2 + length)), value]);
  }
  return members;
}

function decodeValue(type: number, payload: Uint8Array, depth: number): Blob | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  switch (type) {
    case blobType.unspec:
      return null;
    case blobType.string:
      return payload.at(-1) === 0 ? text(payload.subarray(0, payload.indexOf(0))) : undefined;
    case blobType.int8:
      return payload.length === 1 ? payload[0] !== 0 : undefined;
    case blobType.int16:
      return payload.length === 2 ? view.getInt16(0) : undefined;
    case blobType.int32:
      return payload.length === 4 ? view.getInt32(0) : undefined;
    case blobType.int64:
      return payload.length === 8 ? whole(view.getBigInt64(0)) : undefined;
    case blobType.double:
      return payload.length === 8 ? view.getFloat64(0) : undefined;
    case blobType.array:
      return decodeMembers(payload, depth - 1)?.map(([, value]) => value);
    case blobType.table: {
      const members = decodeMembers(payload, depth - 1);
      if (members === null) return undefined;
      const table = Object.create(null) as Record<string, Blob>;
      for (const [name, value] of members) table[name] = value;
      return table;
    }
    default:
      return undefined;
  }
}

function whole(value: bigint): number | bigint {
  const small = Number(value);
  return Number.isSafeInteger(small) ? small : value;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
