// The Proxy's end of the relay channel: Core connects here, and requests of clients are numbered and handed over. Bodies pass
// through unread. A request that waits longer than the limit, or waits when Core goes away, is answered with an error.

import type { Channel } from '../control/wire/channel.ts';
import { CloseCode, pingEveryMs } from '../control/wire/channel.ts';
import type { RelayAnswer, RelayRequest } from '../control/wire/relay.ts';

export type UplinkChannel = Pick<Channel<RelayAnswer, RelayRequest>, 'send' | 'close' | 'handle' | 'isOpen'>;

export interface Asker {
  response(status: number, body: string): void;
  stream(): void;
  event(event: string, data: string): void;
  end(): void;
  /** Core is away, or did not answer in time. */
  failed(why: 'core-away' | 'core-timeout'): void;
}

interface Waiting {
  readonly asker: Asker;
  readonly channel: UplinkChannel;
  timer: NodeJS.Timeout | null;
}

const answerWithinMs = 15_000;
const waitingMax = 4096;

export class Uplink {
  #channel: UplinkChannel | null = null;
  #pings: NodeJS.Timeout | null = null;
  readonly #waiting = new Map<number, Waiting>();
  #n = 0;

  get waiting(): number {
    return this.#waiting.size;
  }

  get isConnected(): boolean {
    return this.#channel?.isOpen === true;
  }

  /** Core has connected and is authenticated. A newer connection takes over; the older one finishes what it was asked. */
  attach(channel: UplinkChannel, lost: (code: number) => void): void {
    const older = this.#channel;
    this.#channel = channel;
    older?.close(CloseCode.replaced, 'a newer connection of Core took over');
    channel.handle({
      frame: frame => this.#answer(channel, frame),
      closed: code => {
        this.#detach(channel);
        lost(code);
      },
    });
    this.#pings ??= setInterval(
      () => this.#channel?.send({ type: 'ping', n: ++this.#n }),
      pingEveryMs,
    ).unref();
  }

  /** Hands a request over. The result tells Core that the client has gone. */
  ask(request: Omit<Extract<RelayRequest, { type: 'request' }>, 'type' | 'n'>, asker: Asker): () => void {
    const channel = this.#channel;
    if (channel === null || this.#waiting.size >= waitingMax) {
      asker.failed('core-away');
      return () => {};
    }
    const n = ++this.#n;
    const timer = setTimeout(() => this.#fail(n, 'core-timeout'), answerWithinMs);
    this.#waiting.set(n, { asker, channel, timer });
    if (!channel.send({ type: 'request', n, ...request })) this.#fail(n, 'core-away');
    return () => {
      const waiting = this.#waiting.get(n);
      if (waiting === undefined) return;
      this.#forget(n);
      channel.send({ type: 'abort', n });
    };
  }

  close(): void {
    if (this.#pings !== null) clearInterval(this.#pings);
    this.#pings = null;
    this.#channel?.close(CloseCode.goingAway, 'the Proxy stops');
  }

  #answer(channel: UplinkChannel, frame: RelayAnswer): void {
    if (frame.type === 'pong') return;
    const waiting = this.#waiting.get(frame.n);
    if (waiting === undefined || waiting.channel !== channel) return; // the client has gone
    switch (frame.type) {
      case 'response':
        this.#forget(frame.n);
        waiting.asker.response(frame.status, frame.body);
        break;
      case 'stream':
        if (waiting.timer !== null) clearTimeout(waiting.timer);
        waiting.timer = null;
        waiting.asker.stream();
        break;
      case 'event':
        waiting.asker.event(frame.event, frame.data);
        break;
      case 'end':
        this.#forget(frame.n);
        waiting.asker.end();
        break;
      default:
        frame satisfies never;
    }
  }

  #detach(channel: UplinkChannel): void {
    if (this.#channel === channel) this.#channel = null;
    for (const [n, waiting] of this.#waiting) if (waiting.channel === channel) this.#fail(n, 'core-away');
  }

  #fail(n: number, why: 'core-away' | 'core-timeout'): void {
    const waiting = this.#waiting.get(n);
    this.#forget(n);
    waiting?.asker.failed(why);
  }

  #forget(n: number): void {
    const timer = this.#waiting.get(n)?.timer;
    if (timer !== null && timer !== undefined) clearTimeout(timer);
    this.#waiting.delete(n);
  }
}
