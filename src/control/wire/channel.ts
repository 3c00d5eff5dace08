// A channel: one WebSocket of JSON text frames, with the rules both ends keep. Frames are at most 64 KiB; unknown types are counted and
// ignored; a malformed frame closes the channel with a code; silence ends it; a slow reader is cut off. Knows of the WebSocket only
// `Wire`. A frame is never logged.

import { frameMaxBytes } from './frame.ts';
import type { FrameReader } from './frame.ts';

/** Close codes of our own (4000-4999, RFC 6455 section 7.4.2), beside 1000, 1001 and 1009. */
export const CloseCode = {
  normal: 1000,
  goingAway: 1001,
  malformed: 4000,
  unauthenticated: 4001,
  /** A newer connection of the same peer took over. */
  replaced: 4002,
  silent: 4003,
  tooSlow: 4004,
  /** A frame that is well formed but has no place in this state. */
  unexpected: 4005,
} as const;

/** Nothing at all was heard for this long: the channel is dead. Both ends ping more often than that. */
export const silenceMs = 35_000;
export const pingEveryMs = 10_000;
const sendBufferMaxBytes = 8 * 1024 * 1024;

/** A peer that does not finish the closing handshake within this time is cut. */
export const closeWithinMs = 2000;

/** States of a WebSocket, by their usual numbers. */
export const WireState = { open: 1, closing: 2, closed: 3 } as const;

/** What a channel needs of a WebSocket of ws, dialled or accepted. */
export interface Wire {
  readonly readyState: number;
  readonly bufferedAmount: number;
  send(text: string): void;
  /** Begins the closing handshake; a peer that does not answer is cut after `closeWithinMs`. */
  close(code: number, reason: string): void;
  on(event: 'message', listener: (data: unknown, isBinary: boolean) => void): unknown;
  on(event: 'ping', listener: () => void): unknown;
  /** Once, with 1006 when there was no closing handshake. */
  on(event: 'close', listener: (code: number, reason: Buffer) => void): unknown;
}

export interface ChannelHandlers<In> {
  frame(frame: In): void;
  /** Once, for every channel that was opened. */
  closed(code: number, reason: string): void;
}

export class Channel<In, Out> {
  readonly #wire: Wire;
  readonly #read: FrameReader<In>;
  #handlers: ChannelHandlers<In> | null = null;
  #early: string[] = [];
  #silence: NodeJS.Timeout;
  readonly counters = { received: 0, sent: 0, unknown: 0, malformed: 0 };

  /** `wire` is open. */
  constructor(wire: Wire, read: FrameReader<In>) {
    this.#wire = wire;
    this.#read = read;
    this.#silence = setTimeout(() => this.close(CloseCode.silent, 'nothing heard'), silenceMs);
    this.#silence.unref();
    wire.on('message', (data, isBinary) => this.#message(data, isBinary));
    wire.on('ping', () => this.#silence.refresh());
    wire.on('close', (code, reason) => {
      clearTimeout(this.#silence);
      this.#handlers?.closed(code, reason.toString('utf8').slice(0, 123));
    });
  }

  /** Frames that came before the handlers are delivered now. */
  handle(handlers: ChannelHandlers<In>): void {
    this.#handlers = handlers;
    const early = this.#early;
    this.#early = [];
    for (const text of early) this.#deliver(text);
    if (this.#wire.readyState === WireState.closed) handlers.closed(1006, '');
  }

  get isOpen(): boolean {
    return this.#wire.readyState === WireState.open;
  }

  /** False when the channel is not open (any more). A frame over the limit is a bug of ours and throws. */
  send(frame: Out): boolean {
    if (!this.isOpen) return false;
    const text = JSON.stringify(frame);
    if (Buffer.byteLength(text) > frameMaxBytes)
      throw new Error(`frame of ${text.length} bytes is over the limit`);
    if (this.#wire.bufferedAmount > sendBufferMaxBytes) {
      this.close(CloseCode.tooSlow, 'reader too slow');
      return false;
    }
    this.#wire.send(text);
    this.counters.sent++;
    return true;
  }

  /** Begins the closing handshake, unless it has begun. */
  close(code: number, reason: string): void {
    clearTimeout(this.#silence);
    this.#wire.close(code, reason);
  }

  #message(data: unknown, isBinary: boolean): void {
    this.#silence.refresh();
    if (isBinary || this.#wire.readyState !== WireState.open) {
      if (isBinary) this.#malformed('binary frame');
      return;
    }
    const text = (data as Buffer).toString('utf8');
    if (this.#handlers !== null) this.#deliver(text);
    else if (this.#early.length < 64) this.#early.push(text);
    else this.#malformed('frames before the handshake');
  }

  #deliver(text: string): void {
    if (this.#wire.readyState !== WireState.open) return;
    const result = this.#read(text);
    switch (result.kind) {
      case 'frame':
        this.counters.received++;
        this.#handlers!.frame(result.frame);
        break;
      case 'unknown':
        this.counters.unknown++;
        break;
      case 'malformed':
        this.#malformed(result.error);
        break;
      default:
        result satisfies never;
    }
  }

  #malformed(error: string): void {
    this.counters.malformed++;
    this.close(
      CloseCode.malformed,
      Buffer.from(error)
        .subarray(0, 120)
        .toString('utf8')
        .replace(/\ufffd+$/, ''),
    );
  }
}
