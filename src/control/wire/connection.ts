// The dialling end of a WebSocket, after the opening handshake (dial.ts). Frames are read and written by the Receiver and the
// Sender of ws, which also check masks, lengths, UTF-8 and close codes (RFC 6455 sections 5 and 8.1); what is here is the life
// of a connection around them: pongs, the closing handshake, and a cut for whoever does not take part in it. ws has a class
// for that too, twice the size of both, with the redirects, DOM events, compression and unix sockets of other programs.

import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Receiver, Sender } from 'ws';
import { closeWithinMs, WireState } from './channel.ts';
import type { Wire } from './channel.ts';
import { frameMaxBytes } from './frame.ts';

// ws exports both, but its types do not.
declare module 'ws' {
  interface Receiver extends EventEmitter<{
    message: [data: Buffer, isBinary: boolean];
    ping: [data: Buffer];
    conclude: [code: number, reason: Buffer];
    error: [error: Error & { code?: string }];
  }> {
    write(chunk: Buffer): boolean;
  }
  const Receiver: new (options: {
    isServer: boolean;
    maxPayload: number;
    maxFragments: number;
    maxBufferedChunks: number;
  }) => Receiver;
  interface Sender {
    send(text: string, options: { fin: boolean; mask: boolean }): void;
    pong(data: Buffer, mask: boolean, sent: () => void): void;
    close(code: number | undefined, reason: string | Buffer, mask: boolean): void;
  }
  const Sender: new (socket: Socket) => Sender;
}

/** One frame in more pieces than this is an attempt to make us hold many small buffers. */
const piecesMax = 4096;
/** A peer that pings and does not read what it gets. */
const pongsMax = 60;

/** RFC 6455 section 7.4.1; the Receiver names what is wrong, not the code for it. */
function closeCodeFor(error: string | undefined): number {
  if (error === 'WS_ERR_INVALID_UTF8') return 1007;
  if (error === 'WS_ERR_TOO_MANY_BUFFERED_PARTS') return 1008;
  return error?.startsWith('WS_ERR_UNSUPPORTED') === true ? 1009 : 1002;
}

interface Events {
  message: [data: Buffer, isBinary: boolean];
  ping: [];
  close: [code: number, reason: Buffer];
}

export class Connection extends EventEmitter<Events> implements Wire {
  readonly #socket: Socket;
  readonly #sender: Sender;
  #readyState: number = WireState.open;
  /** What comes after a close frame, or after what is no frame, is not looked at. */
  #isReading = true;
  #unsentPongs = 0;
  #cut: NodeJS.Timeout | undefined;
  /** 1006 as long as no close frame has come (section 7.1.5); the reason then is ours. */
  #code = 1006;
  #reason: Buffer = Buffer.alloc(0);

  /** `head` came in the same packet as the end of the opening handshake. Nothing is emitted before the next turn. */
  constructor(socket: Socket, head: Buffer) {
    super();
    if (head.length > 0) socket.unshift(head); // before there is a listener, which would hear it at once
    this.#socket = socket;
    this.#sender = new Sender(socket);
    const receiver = new Receiver({
      isServer: false,
      maxPayload: frameMaxBytes,
      maxFragments: piecesMax,
      maxBufferedChunks: piecesMax,
    });
    receiver.on('message', (data, isBinary) => this.emit('message', data, isBinary));
    receiver.on('ping', data => this.#pinged(data));
    receiver.on('conclude', (code, reason) => this.#concluded(code, reason));
    receiver.on('error', error => {
      // Section 7.1.7: tell why and hang up, without waiting for the answer.
      this.#broken(error.message);
      this.#hangUp(closeCodeFor(error.code), '');
      socket.end();
    });
    // The Receiver takes each chunk at once (nothing is compressed), so there is never anything to wait for.
    socket.on('data', chunk => this.#isReading && receiver.write(chunk));
    socket.on('error', error => this.#broken(error.message));
    socket.on('end', () => {
      this.#leaveOpen();
      socket.end();
    });
    socket.on('close', () => {
      clearTimeout(this.#cut);
      this.#readyState = WireState.closed;
      this.emit('close', this.#code, this.#reason);
    });
  }

  get readyState(): number {
    return this.#readyState;
  }

  /** The Sender itself holds bytes back only to compress them. */
  get bufferedAmount(): number {
    return this.#socket.writableLength;
  }

  send(text: string): void {
    this.#sender.send(text, { fin: true, mask: true });
  }

  close(code: number, reason: string): void {
    this.#hangUp(code, reason);
  }

  #pinged(data: Buffer): void {
    if (this.#readyState === WireState.open) {
      if (++this.#unsentPongs > pongsMax) this.#socket.destroy();
      else this.#sender.pong(data, true, () => this.#unsentPongs--);
    }
    this.emit('ping');
  }

  /** A close frame has come: the first of both is answered with its own code (section 5.5.1). */
  #concluded(code: number, reason: Buffer): void {
    this.#isReading = false;
    this.#code = code;
    this.#reason = Buffer.from(reason); // a copy, as the frame lies in a larger buffer
    this.#hangUp(code === 1005 ? undefined : code, this.#reason);
    this.#socket.end();
  }

  /** Sends a close frame, the last frame that is sent. */
  #hangUp(code: number | undefined, reason: string | Buffer): void {
    if (this.#leaveOpen()) this.#sender.close(code, reason, true);
  }

  #leaveOpen(): boolean {
    if (this.#readyState !== WireState.open) return false;
    this.#readyState = WireState.closing;
    this.#cut = setTimeout(() => this.#socket.destroy(), closeWithinMs);
    return true;
  }

  #broken(why: string): void {
    this.#isReading = false;
    if (this.#code === 1006) this.#reason = Buffer.from(why);
  }
}
