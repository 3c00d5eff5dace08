// Building and reading rtnetlink messages (man 7 netlink, rtnetlink) in a piece of arena: native byte order, attributes
// padded to four bytes. Knows the form of messages, not their types: those are in `netlink.ts`.

import { utf8 } from '../../util/bytes.ts';
import type { Arena } from '../../util/arena.ts';

export const headerBytes = 16;
const NLM_F_REQUEST = 1;

export class Message {
  readonly at: number;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #room: number;
  #bytes = 0;

  constructor(arena: Arena, room = 1024) {
    this.at = arena.alloc(room);
    this.#room = room;
    this.#view = arena.view;
    this.#u8 = arena.u8;
  }

  /** Starts a message; the family header follows by `u8`, `u16` and `u32`. */
  begin(type: number, flags: number): this {
    this.#u8.fill(0, this.at, this.at + this.#room);
    this.#bytes = headerBytes;
    this.#view.setUint16(this.at + 4, type, true);
    this.#view.setUint16(this.at + 6, flags | NLM_F_REQUEST, true);
    return this;
  }

  u8(...values: number[]): this {
    for (const value of values) this.#u8[this.at + this.#bytes++] = value;
    return this;
  }

  u16(value: number): this {
    this.#view.setUint16(this.at + this.#bytes, value, true);
    this.#bytes += 2;
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) {
      this.#view.setUint32(this.at + this.#bytes, value, true);
      this.#bytes += 4;
    }
    return this;
  }

  attribute(type: number, payload: Uint8Array): this {
    const at = this.at + this.#bytes;
    if (this.#bytes + 4 + payload.length + 4 > this.#room) throw new Error('netlink message is too long');
    this.#view.setUint16(at, 4 + payload.length, true);
    this.#view.setUint16(at + 2, type, true);
    this.#u8.set(payload, at + 4);
    this.#bytes = (this.#bytes + 4 + payload.length + 3) & ~3;
    return this;
  }

  attribute32(type: number, value: number): this {
    return this.attribute(type, new Uint8Array(Uint32Array.of(value).buffer));
  }

  attributeText(type: number, text: string): this {
    return this.attribute(type, utf8(`${text}\0`));
  }

  /** Completes the header; the message is `bytes` bytes at `at`. */
  finish(sequence: number): number {
    this.#view.setUint32(this.at, this.#bytes, true);
    this.#view.setUint32(this.at + 8, sequence, true);
    return this.#bytes;
  }
}

/** A received message, read in place. */
export type Reply = {
  readonly type: number;
  readonly sequence: number;
  /** The bytes behind the netlink header. */
  readonly body: DataView;
};

/** The messages of one datagram; stops at the first that does not fit. */
export function* replies(arena: Arena, at: number, bytes: number): Generator<Reply> {
  const end = at + bytes;
  while (at + headerBytes <= end) {
    const length = arena.view.getUint32(at, true);
    if (length < headerBytes || at + length > end) return;
    yield {
      type: arena.view.getUint16(at + 4, true),
      sequence: arena.view.getUint32(at + 8, true),
      body: new DataView(arena.buffer, at + headerBytes, length - headerBytes),
    };
    at += (length + 3) & ~3;
  }
}

/** Attributes behind a family header of `skip` bytes. */
export function attributes(body: DataView, skip: number): Map<number, DataView> {
  const found = new Map<number, DataView>();
  let at = skip;
  while (at + 4 <= body.byteLength) {
    const length = body.getUint16(at, true);
    if (length < 4 || at + length > body.byteLength) break;
    const type = body.getUint16(at + 2, true) & 0x3fff; // without the NESTED and NET_BYTEORDER flags
    found.set(type, new DataView(body.buffer, body.byteOffset + at + 4, length - 4));
    at += (length + 3) & ~3;
  }
  return found;
}

/** A copy of an attribute's bytes. */
export function bytesOf(view: DataView): Uint8Array {
  return Uint8Array.from(new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

export function textOf(view: DataView): string {
  return new TextDecoder().decode(bytesOf(view)).replace(/\0.*$/s, '');
}
