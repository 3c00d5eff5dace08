// One ubus message (libubus ubusmsg.h): an eight-byte header and one blob that holds the attributes. Pure.

import { utf8 } from '../../util/bytes.ts';
import { type Attribute, attribute, attributes, concat, headBytes } from './blobmsg.ts';

export const messageType = {
  hello: 0,
  status: 1,
  data: 2,
  ping: 3,
  lookup: 4,
  invoke: 5,
  addObject: 6,
  removeObject: 7,
} as const;

export const ubusAttribute = {
  status: 1,
  objectPath: 2,
  objectId: 3,
  method: 4,
  objectType: 5,
  signature: 6,
  data: 7,
  noReply: 10,
  user: 12,
  group: 13,
} as const;

export const ubusStatus = {
  ok: 0,
  invalidCommand: 1,
  invalidArgument: 2,
  methodNotFound: 3,
  notFound: 4,
  noData: 5,
  permissionDenied: 6,
  timeout: 7,
  notSupported: 8,
  unknown: 9,
  connectionFailed: 10,
} as const;

export interface UbusMessage {
  readonly type: number;
  readonly seq: number;
  readonly peer: number;
  readonly attributes: readonly Attribute[];
}

export const headerBytes = 8;
/** UBUS_MAX_MSGLEN. */
export const longestMessage: number = 1 << 20;

export function encodeMessage(
  type: number,
  seq: number,
  peer: number,
  parts: readonly Uint8Array[],
): Uint8Array {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  view.setUint8(1, type);
  view.setUint16(2, seq);
  view.setUint32(4, peer);
  return concat([header, attribute(0, concat(parts))]);
}

export function word(id: number, value: number): Uint8Array {
  const payload = new Uint8Array(4);
  new DataView(payload.buffer).setUint32(0, value);
  return attribute(id, payload);
}

export function string(id: number, value: string): Uint8Array {
  return attribute(id, utf8(`${value}\0`));
}

export function readWord(message: UbusMessage, id: number): number | null {
  const payload = find(message, id);
  if (payload?.length !== 4) return null;
  return new DataView(payload.buffer, payload.byteOffset).getUint32(0);
}

export function readString(message: UbusMessage, id: number): string | null {
  const payload = find(message, id);
  if (payload === undefined || payload.at(-1) !== 0) return null;
  return new TextDecoder().decode(payload.subarray(0, payload.indexOf(0)));
}

export function find(message: UbusMessage, id: number): Uint8Array | undefined {
  return message.attributes.find(found => found.id === id)?.payload;
}

/** Cuts a stream into messages. `push` gives null once the stream makes no sense: close it then. */
export class MessageReader {
  #pending: Uint8Array = new Uint8Array();

  push(bytes: Uint8Array): UbusMessage[] | null {
    this.#pending =
      this.#pending.length === 0 ? bytes.slice() : new Uint8Array(concat([this.#pending, bytes]));
    const messages: UbusMessage[] = [];
    for (;;) {
      const next = this.#next();
      if (next === null) return null;
      if (next === 'more') return messages;
      messages.push(next);
    }
  }

  #next(): UbusMessage | 'more' | null {
    const bytes = this.#pending;
    if (bytes.length < headerBytes + headBytes) return 'more';
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const length = view.getUint32(headerBytes) & 0x00ff_ffff;
    if (view.getUint8(0) !== 0 || length < headBytes || length > longestMessage) return null;
    const end = headerBytes + ((length + 3) & ~3);
    if (bytes.length < end) return 'more';
    const found = attributes(bytes.subarray(headerBytes + headBytes, headerBytes + length));
    if (found === null) return null;
    this.#pending = bytes.subarray(end);
    return { type: view.getUint8(1), seq: view.getUint16(2), peer: view.getUint32(4), attributes: found };
  }
}
