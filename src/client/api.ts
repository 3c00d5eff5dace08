// The client's side of the Proxy's HTTP interface (docs/protocol.md). Every failure becomes one clear line, and every refusal
// ({"error": {"code", "message"}}) a PlainError with that code. Secrets travel in bodies and headers only, never in a URL.

import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { errorBody } from '../control/clientapi/words.ts';
import { read } from '../control/validate.ts';
import { PlainError, errorText, usageError } from '../util/errors.ts';

/** A Proxy sends something on every stream each 20 s; after this long without a byte the stream is dead. */
const silentAfterMs = 65_000;
/** Of the Proxy. They are left out of a tunnel to everywhere, so that a name server could otherwise empty it. */
const maxAddresses = 8;
/** A wait up to this long that the server asks for is kept, this many times. */
const shortWaitS = 5;
const patient = 3;
/** A larger answer is refused. */
const maxAnswerBytes = 256 * 1024;

export type Reply = Record<string, unknown>;

/** A refusal by the server, with its status; `retryAfter` (seconds) when it said when to come back, `time` its clock. */
export class Refused extends PlainError {
  readonly status: number;
  readonly retryAfter: number | null;
  readonly time: number | null;

  constructor(code: string, message: string, status: number, retryAfter: number | null, time: number | null) {
    super(code, message);
    this.name = 'Refused';
    this.status = status;
    this.retryAfter = retryAfter;
    this.time = time;
  }
}

/** `https://host[:port]`; http only where the operator says so, because codes would travel in clear. */
export function proxyUrl(text: string, allowPlain: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw usageError('bad-proxy', `--proxy '${text}': expected an address like https://vpn.example.org`);
  const loopback =
    url.hostname === 'localhost' || url.hostname === '[::1]' || url.hostname.startsWith('127.');
  if (url.protocol === 'http:' && !allowPlain && !loopback)
    throw usageError(
      'plain-proxy',
      `--proxy '${text}': codes would travel in clear; use https, or --plain-http where the network is trusted`,
    );
  if (url.username !== '' || url.search !== '' || url.hash !== '')
    throw usageError('bad-proxy', `--proxy must be an address without user, query or fragment`);
  return url;
}

export interface ApiOptions {
  readonly caFile?: string;
  readonly timeoutMs?: number;
  readonly silentAfterMs?: number;
  readonly sleep?: (ms: number) => Promise<void>;
}

export class Api {
  readonly base: URL;
  readonly #ca: string | undefined;
  readonly #timeoutMs: number;
  readonly #silentAfterMs: number;
  readonly #sleep: (ms: number) => Promise<void>;

  constructor(base: string, options: ApiOptions = {}) {
    this.base = new URL(base);
    this.#timeoutMs = options.timeoutMs ?? 15_000;
    this.#silentAfterMs = options.silentAfterMs ?? silentAfterMs;
    this.#sleep = options.sleep ?? (ms => new Promise(resolve => setTimeout(resolve, ms)));
    if (options.caFile === undefined) return;
    try {
      this.#ca = readFileSync(options.caFile, 'utf8');
    } catch (error) {
      throw usageError('bad-ca', `--ca ${options.caFile}: ${errorText(error)}`, error);
    }
  }

  /** Where the Proxy is reached, a few at most; none when its name is not found just now. */
  async addresses(): Promise<string[]> {
    const host = this.base.hostname.replace(/^\[|\]$/g, '');
    const found = await lookup(host, { all: true }).catch(() => []);
    return found.slice(0, maxAddresses).map(({ address }) => address);
  }

  /** One call with a JSON body and a JSON answer. */
  async post(path: string, body: unknown, token?: string): Promise<Reply> {
    return await this.#json('POST', path, JSON.stringify(body), token);
  }

  async get(path: string, token?: string): Promise<Reply> {
    return await this.#json('GET', path, undefined, token);
  }

  /**
   * Opens an event stream; the caller reads the parts and ends it by aborting. A stream that falls silent fails: after a sleep
   * or a change of network no FIN would ever come, and the caller would keep the last state it received.
   */
  async events(path: string, token: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#send(
      'GET',
      path,
      undefined,
      { accept: 'text/event-stream', ...bearer(token) },
      signal,
    );
    if (response.statusCode !== 200) throw refusal(response, await whole(response));
    response.setTimeout(this.#silentAfterMs);
    return response;
  }

  async #json(
    method: string,
    path: string,
    body: string | undefined,
    token: string | undefined,
  ): Promise<Reply> {
    for (let patience = patient; ; patience--) {
      try {
        return await this.#once(method, path, body, token);
      } catch (error) {
        const isBusy = error instanceof Refused && error.status === 429 && patience > 0;
        if (!isBusy || error.retryAfter === null || error.retryAfter > shortWaitS) throw error;
        // Many clients may share one address and start at the same time: the retry is spread.
        await this.#sleep(error.retryAfter * 1000 * (1 + Math.random()));
      }
    }
  }

  async #once(
    method: string,
    path: string,
    body: string | undefined,
    token: string | undefined,
  ): Promise<Reply> {
    const headers = {
      accept: 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...bearer(token),
    };
    const response = await this.#send(method, path, body, headers, undefined);
    const text = await whole(response);
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw refusal(response, text);
    if (text === '') return {};
    const value = parse(text);
    if (value === null)
      throw new PlainError(
        'bad-answer',
        `${this.base.origin} did not answer with JSON: is it a Sallyport proxy?`,
      );
    return value;
  }

  #send(
    method: string,
    path: string,
    body: string | undefined,
    headers: Record<string, string>,
    signal: AbortSignal | undefined,
  ): Promise<IncomingMessage> {
    const url = new URL(
      path.replace(/^\//, ''),
      this.base.href.endsWith('/') ? this.base : `${this.base.href}/`,
    );
    const options: RequestOptions & { ca?: string } = {
      method,
      agent: false, // a kept connection may be dead: the tunnel came or went, or the laptop moved
      headers: {
        ...headers,
        ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      },
      ...(signal === undefined ? {} : { signal }),
      ...(this.#ca === undefined ? {} : { ca: this.#ca }),
    };
    return new Promise((resolve, reject) => {
      const out = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, options, response => {
        response.on('error', () => undefined); // the reader hears of it; without a reader it must not end the process
        resolve(response);
      });
      out.setTimeout(this.#timeoutMs);
      out.on('timeout', () =>
        out.destroy(new Error(`no word within ${(out.socket?.timeout ?? 0) / 1000} s`)),
      );
      out.on('error', error => {
        reject(
          new PlainError(
            'proxy-unreachable',
            `cannot reach ${this.base.origin}: ${errorText(deepest(error))}`,
            1,
            error,
          ),
        );
      });
      out.end(body);
    });
  }
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` };
}

// A name with several addresses fails with an AggregateError whose own message is empty.
function deepest(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}

async function whole(response: IncomingMessage): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of response as AsyncIterable<Uint8Array>) {
      bytes += part.length;
      if (bytes > maxAnswerBytes) {
        response.destroy();
        throw new PlainError('bad-answer', `the proxy answered with more than ${maxAnswerBytes} bytes`);
      }
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof PlainError) throw error;
    throw new PlainError('proxy-unreachable', `the proxy's answer broke off: ${errorText(error)}`, 1, error);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(text: string): Reply | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Reply) : null;
  } catch {
    return null;
  }
}

function refusal(response: IncomingMessage, text: string): Refused {
  const status = response.statusCode ?? 0;
  const body = read(errorBody, text);
  if (!body.ok)
    return new Refused(`http-${status}`, `the proxy answered with status ${status}`, status, null, null);
  const { code, message, time } = body.value.error;
  const retryAfter = body.value.error.retryAfter ?? Number(response.headers['retry-after'] ?? NaN);
  return new Refused(
    code,
    printable(message),
    status,
    Number.isFinite(retryAfter) ? retryAfter : null,
    time ?? null,
  );
}

/** Text from elsewhere made safe for a terminal line. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 300);
}
