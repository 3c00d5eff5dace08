// The channel between Core and the Proxy: HTTP requests of clients, relayed as frames. Core opens it.

import { reader } from './frame.ts';
import type { FrameReader, FrameShapes } from './frame.ts';
import { count, id, integer, literal, object, optional, string } from '../validate.ts';

export const relayProtocol = 'sallyport.proxy.v1';

/** Proxy -> Core. Bodies are opaque to the Proxy. */
export type RelayRequest =
  | {
      readonly type: 'request';
      readonly n: number;
      readonly method: 'GET' | 'POST';
      readonly path: string;
      /** Address of the client, as the Proxy saw it. */
      readonly source: string;
      readonly authorization?: string;
      readonly body: string;
    }
  /** The client went away. */
  | { readonly type: 'abort'; readonly n: number }
  | { readonly type: 'ping'; readonly n: number };

/** Core -> Proxy: one `response`, or `stream`, any number of `event`, and `end`. */
export type RelayAnswer =
  | { readonly type: 'response'; readonly n: number; readonly status: number; readonly body: string }
  | { readonly type: 'stream'; readonly n: number }
  | { readonly type: 'event'; readonly n: number; readonly event: string; readonly data: string }
  | { readonly type: 'end'; readonly n: number }
  | { readonly type: 'pong'; readonly n: number };

/** Of a request, and of an answer. JSON in JSON grows by its quotes, so both stay well below the frame limit. */
export const relayBodyMaxBytes = 16_384;
export const relayAnswerMaxBytes = 40_000;

const relayRequests: FrameShapes<RelayRequest> = {
  request: object({
    type: literal('request'),
    n: count,
    method: literal('GET', 'POST'),
    path: string(256, 1),
    source: string(64, 1),
    authorization: optional(string(256)),
    body: string(relayBodyMaxBytes),
  }),
  abort: object({ type: literal('abort'), n: count }),
  ping: object({ type: literal('ping'), n: count }),
};

const relayAnswers: FrameShapes<RelayAnswer> = {
  response: object({
    type: literal('response'),
    n: count,
    status: integer(200, 599),
    body: string(relayAnswerMaxBytes),
  }),
  stream: object({ type: literal('stream'), n: count }),
  event: object({ type: literal('event'), n: count, event: id, data: string(4096) }),
  end: object({ type: literal('end'), n: count }),
  pong: object({ type: literal('pong'), n: count }),
};

export const readRelayRequest: FrameReader<RelayRequest> = reader(relayRequests);
export const readRelayAnswer: FrameReader<RelayAnswer> = reader(relayAnswers);
