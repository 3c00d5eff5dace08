// Keeps one channel open from the side that connects, with jittered and bounded back-off.

import type { WebSocket } from 'ws';
import { backoffMs } from './backoff.ts';
import { Channel, CloseCode } from './channel.ts';
import { dial } from './dial.ts';
import type { DialOptions } from './dial.ts';
import type { FrameReader } from './frame.ts';

export interface DialerOptions<In, Out> extends DialOptions {
  readonly read: FrameReader<In>;
  /** A channel is open; call `channel.handle`. */
  opened(channel: Channel<In, Out>): void;
  /** One line about a failed attempt or a lost channel; for the log. */
  lost(why: string, retryInMs: number): void;
  readonly random?: () => number;
  /** Back-off, replaceable in tests. */
  readonly delay?: (attempt: number, random: () => number) => number;
}

/** One channel until `stop`. The back-off starts over only after a channel has lived for ten seconds. */
export class Dialer<In, Out> {
  readonly #options: DialerOptions<In, Out>;
  #socket: WebSocket | null = null;
  /** Ends what goes on while there is no connection: an attempt, or the wait for the next one. */
  #cancel: () => void = () => {};
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
    this.#cancel();
    this.#socket?.close(code, reason);
    this.#socket = null;
  }

  #connect(): void {
    this.#cancel = dial(
      this.#options,
      socket => this.#opened(socket),
      why => this.#retry(why),
    );
  }

  #opened(socket: WebSocket): void {
    const openedAt = performance.now();
    this.#socket = socket;
    this.#cancel = () => {}; // lets go of the request
    this.reconnects++;
    const channel = new Channel<In, Out>(socket, this.#options.read);
    let fault = ''; // what 'close' does not say when the connection broke
    socket.on('error', error => (fault = error.message));
    socket.on('close', (code, reason) => {
      if (this.#socket !== socket) return; // stopped
      this.#socket = null;
      if (performance.now() - openedAt > 10_000) this.#attempt = 0;
      const why = reason.length > 0 ? reason.toString('utf8') : fault;
      this.#retry(`closed with ${code}${why === '' ? '' : ` (${why})`}`);
    });
    this.#options.opened(channel);
  }

  #retry(why: string): void {
    const { delay = backoffMs, random = Math.random } = this.#options;
    const wait = delay(this.#attempt++, random);
    const timer = setTimeout(() => this.#connect(), wait);
    this.#cancel = () => clearTimeout(timer);
    this.#options.lost(why, wait);
  }
}
