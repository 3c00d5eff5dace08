// Core's side of the relay: it connects OUT to a Proxy, so Core needs no open port towards the public network, and answers the
// client requests that come down that channel. One Relay per Proxy.

import { Dialer } from '../../control/wire/dialer.ts';
import type { Channel } from '../../control/wire/channel.ts';
import type { Log } from '../../control/log.ts';
import { readRelayRequest, relayAnswerMaxBytes, relayProtocol } from '../../control/wire/relay.ts';
import { paths } from '../../control/clientapi/words.ts';
import type { RelayAnswer, RelayRequest } from '../../control/wire/relay.ts';
import type { Api } from './clientapi.ts';

export interface RelayOptions {
  readonly api: Pick<Api, 'handle'>;
  /** `ws://` or `wss://` of the Proxy's Core listener, without a path. */
  readonly url: string;
  readonly token: string;
  readonly ca?: string | undefined;
  readonly log: Log;
  readonly delay?: (attempt: number, random: () => number) => number;
}

type RelayChannel = Channel<RelayRequest, RelayAnswer>;

const inFlightMax = 512;
const streamsMax = 4096;

export class Relay {
  readonly #o: RelayOptions;
  readonly #dialer: Dialer<RelayRequest, RelayAnswer>;
  #inFlight = 0;
  #channel: RelayChannel | null = null;

  constructor(options: RelayOptions) {
    this.#o = options;
    const { url, token, ca, log, delay } = options;
    this.#dialer = new Dialer<RelayRequest, RelayAnswer>({
      url: url.replace(/\/+$/, '') + paths.relay,
      protocol: relayProtocol,
      headers: { authorization: `Bearer ${token}` },
      ca,
      read: readRelayRequest,
      opened: channel => this.#opened(channel),
      lost: (why, retryInMs) => log.warn('proxy away', { url, why, retryInMs: Math.round(retryInMs) }),
      ...(delay === undefined ? {} : { delay }),
    });
  }

  get isConnected(): boolean {
    return this.#channel?.isOpen === true;
  }

  start(): void {
    this.#dialer.start();
  }

  stop(): void {
    this.#dialer.stop();
  }

  #opened(channel: RelayChannel): void {
    this.#channel = channel;
    this.#o.log.info('proxy connected', { url: this.#o.url });
    const streams = new Map<number, () => void>();
    channel.handle({
      frame: frame => {
        switch (frame.type) {
          case 'request':
            void this.#request(channel, streams, frame);
            break;
          case 'abort':
            streams.get(frame.n)?.();
            streams.delete(frame.n);
            break;
          case 'ping':
            channel.send({ type: 'pong', n: frame.n });
            break;
          default:
            frame satisfies never;
        }
      },
      closed: () => {
        for (const stop of streams.values()) stop();
        streams.clear();
      },
    });
  }

  async #request(
    channel: RelayChannel,
    streams: Map<number, () => void>,
    frame: Extract<RelayRequest, { type: 'request' }>,
  ): Promise<void> {
    const { n } = frame;
    if (this.#inFlight >= inFlightMax || streams.size >= streamsMax) {
      channel.send({ type: 'response', n, status: 503, body: busy });
      return;
    }
    let over = false;
    streams.set(n, () => (over = true)); // an abort may come before there is anything to stop
    this.#inFlight++;
    const reply = await this.#o.api.handle(frame).finally(() => {
      this.#inFlight--;
      streams.delete(n);
    });
    if (over || !channel.isOpen) return;
    if ('status' in reply) {
      const fits = Buffer.byteLength(reply.body) <= relayAnswerMaxBytes;
      channel.send({
        type: 'response',
        n,
        status: fits ? reply.status : 500,
        body: fits ? reply.body : tooLong,
      });
      return;
    }
    // The stream is opened before the first event, which comes from inside of `stream`.
    channel.send({ type: 'stream', n });
    const stop = reply.stream(event => {
      channel.send({ type: 'event', n, event: event.event, data: JSON.stringify(event) });
      if (event.event !== 'ended') return;
      over = true;
      streams.delete(n);
      channel.send({ type: 'end', n });
    });
    if (stop === null) channel.send({ type: 'end', n });
    else if (!over) streams.set(n, stop);
  }
}

const busy = '{"error":{"code":"busy","message":"Core is busy: try again"}}';
const tooLong = '{"error":{"code":"internal","message":"the answer is too long for one frame"}}';
