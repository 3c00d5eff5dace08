// A channel: one WebSocket of JSON text frames between two roles, with the rules both ends keep. Frames are at most 64 KiB,
// unknown types are counted and ignored, a malformed frame closes the channel with a code, silence ends it, and a slow reader
// is cut off instead of being buffered for ever. `Dialer` keeps one channel open from the side that connects, with jittered
// and bounded back-off. The only file that knows ws; it never logs a frame.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { RawData } from 'ws';
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

export interface ChannelHandlers<In> {
  frame(frame: In): void;
  /** Once, for every channel that was opened. */
  closed(code: number, reason: string): void;
}

export class Channel<In, Out> {
  readonly #socket: WebSocket;
  readonly #read: FrameReader<In>;
  #handlers: ChannelHandlers<In> | null = null;
  #early: string[] = [];
  #silence: NodeJS.Timeout;
  readonly counters = { received: 0, sent: 0, unknown: 0, malformed: 0 };

  /** `socket` is open. */
  constructor(socket: WebSocket, read: FrameReader<In>) {
    this.#socket = socket;
    this.#read = read;
    this.#silence = setTimeout(() => this.close(CloseCode.silent, 'nothing heard'), silenceMs);
    this.#silence.unref();
    socket.on('message', (data, isBinary) => this.#message(data, isBinary));
    socket.on('ping', () => this.#silence.refresh());
    socket.on('error', () => {}); // always followed by 'close', which carries the code
    socket.on('close', (code, reason) => {
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
    if (this.#socket.readyState === WebSocket.CLOSED) handlers.closed(1006, '');
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** False when the channel is not open (any more). A frame over the limit is a bug of ours and throws. */
  send(frame: Out): boolean {
    if (!this.isOpen) return false;
    const text = JSON.stringify(frame);
    if (Buffer.byteLength(text) > frameMaxBytes)
      throw new Error(`frame of ${text.length} bytes is over the limit`);
    if (this.#socket.bufferedAmount > sendBufferMaxBytes) {
      this.close(CloseCode.tooSlow, 'reader too slow');
      return false;
    }
    this.#socket.send(text);
    this.counters.sent++;
    return true;
  }

  /** Begins the closing handshake; a peer that does not answer is cut after two seconds. */
  close(code: number, reason: string): void {
    clearTimeout(this.#silence);
    if (this.#socket.readyState === WebSocket.CLOSED) return;
    this.#socket.close(code, reason);
    setTimeout(() => this.#socket.terminate(), 2000).unref();
  }

  #message(data: RawData, isBinary: boolean): void {
    this.#silence.refresh();
    if (isBinary || this.#socket.readyState !== WebSocket.OPEN) {
      if (isBinary) this.#malformed('binary frame');
      return;
    }
    const text = (data as Buffer).toString('utf8');
    if (this.#handlers !== null) this.#deliver(text);
    else if (this.#early.length < 64) this.#early.push(text);
    else this.#malformed('frames before the handshake');
  }

  #deliver(text: string): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
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

/** Delay before attempt `attempt` (0 is the first retry): full jitter up to 0.5 s doubled each time, at most 30 s. */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(30_000, 500 * 2 ** Math.min(attempt, 10));
  return ceiling / 4 + random() * ceiling * 0.75;
}

export interface DialerOptions<In, Out> {
  readonly url: string;
  readonly protocol: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  readonly read: FrameReader<In>;
  /** A channel is open; call `channel.handle`. */
  opened(channel: Channel<In, Out>): void;
  /** One line about a failed attempt or a lost channel; for the log. */
  lost(why: string, retryInMs: number): void;
  readonly random?: () => number;
  /** Back-off, replaceable in tests. */
  readonly delay?: (attempt: number, random: () => number) => number;
}

/** Keeps one channel open until `stop`. The back-off starts over only after a channel has lived for ten seconds. */
export class Dialer<In, Out> {
  readonly #options: DialerOptions<In, Out>;
  #socket: WebSocket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #attempt = 0;
  #stopped = true;
  /** Successful connections after the first: `sallyport_core_reconnects_total`. */
  reconnects = -1;

  constructor(options: DialerOptions<In, Out>) {
    this.#options = options;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#connect();
  }

  stop(code: number = CloseCode.goingAway, reason = 'stopped'): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const socket = this.#socket;
    this.#socket = null;
    if (socket?.readyState === WebSocket.OPEN) {
      socket.close(code, reason);
      setTimeout(() => socket.terminate(), 1000).unref();
    } else socket?.terminate();
  }

  #connect(): void {
    const { url, protocol, headers, ca, read } = this.#options;
    const socket = new WebSocket(url, protocol, {
      headers: { ...headers },
      handshakeTimeout: 10_000,
      maxPayload: frameMaxBytes,
      perMessageDeflate: false, // compression next to secrets invites length oracles
      followRedirects: false,
      ...(ca === undefined ? {} : { ca }),
    });
    this.#socket = socket;
    let failure = '';
    let openedAt = 0;
    socket.on('error', error => (failure = error.message));
    socket.on('open', () => {
      openedAt = performance.now();
      this.reconnects++;
      this.#options.opened(new Channel<In, Out>(socket, read));
    });
    socket.on('close', (code, reason) => {
      if (this.#stopped || this.#socket !== socket) return;
      if (openedAt > 0 && performance.now() - openedAt > 10_000) this.#attempt = 0;
      const wait = (this.#options.delay ?? backoffMs)(this.#attempt++, this.#options.random ?? Math.random);
      const why =
        failure !== ''
          ? failure
          : `closed with ${code}${reason.length > 0 ? ` (${reason.toString('utf8')})` : ''}`;
      this.#options.lost(why, wait);
      this.#timer = setTimeout(() => this.#connect(), wait);
    });
  }
}

export interface Upgrade<In, Out> {
  readonly protocol: string;
  readonly read: FrameReader<In>;
  opened(channel: Channel<In, Out>, request: IncomingMessage): void;
}

/** The accepting side: completes a WebSocket upgrade that the HTTP server has already routed and authorised. */
export class Acceptor<In, Out> {
  readonly #server: WebSocketServer;
  readonly #upgrade: Upgrade<In, Out>;

  constructor(upgrade: Upgrade<In, Out>) {
    this.#upgrade = upgrade;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: frameMaxBytes,
      perMessageDeflate: false,
      clientTracking: false,
      handleProtocols: offered => (offered.has(upgrade.protocol) ? upgrade.protocol : false),
    });
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim());
    if (!offered.includes(this.#upgrade.protocol)) {
      refuseUpgrade(socket, 400, `the subprotocol ${this.#upgrade.protocol} is expected`);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, webSocket =>
      this.#upgrade.opened(new Channel<In, Out>(webSocket, this.#upgrade.read), request),
    );
  }
}

/** Answers an upgrade with a plain HTTP error. */
export function refuseUpgrade(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({
    error: { code: status === 401 ? 'unauthenticated' : 'bad-upgrade', message },
  });
  socket.end(
    `HTTP/1.1 ${status} ${status === 401 ? 'Unauthorized' : 'Bad Request'}\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
