// The public front: HTTP(S) towards clients, and a second listener where Core connects. It forwards a fixed set of paths,
// bounds everything (body, headers, time, rate per source) and holds nothing: no state of logins, no keys, no bodies in logs.

import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Acceptor, refuseUpgrade } from '../control/wire/acceptor.ts';
import type { Log } from '../control/log.ts';
import { readRelayAnswer, relayBodyMaxBytes, relayProtocol } from '../control/wire/relay.ts';
import { paths } from '../control/clientapi/words.ts';
import type { RelayAnswer, RelayRequest } from '../control/wire/relay.ts';
import { processFacts } from '../control/processfacts.ts';
import { RequestCounts } from '../control/wire/requestcounts.ts';
import { proxyMetrics } from './metrics.ts';
import { bodyText, closeNow, listen, renewOnHangup, webServer } from '../control/wire/server.ts';
import type { TlsFiles } from '../control/wire/server.ts';
import { sourceNetwork } from '../util/inet.ts';
import type { IpPrefix } from '../util/inet.ts';
import { clientAddress } from './forwardedfor.ts';
import { Limits } from './limits.ts';
import { Uplink } from './uplink.ts';

export interface FrontOptions {
  readonly log: Log;
  /** What Core must present. */
  readonly coreToken: string;
  /** For the public listener, and for Core's. */
  readonly tls?: TlsFiles | undefined;
  readonly limits?: Limits;
  /** Load balancers in front, whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly IpPrefix[];
}

const forwarded = new Map([
  [paths.enrol, 'POST'],
  [paths.start, 'POST'],
  [paths.step, 'POST'],
  [paths.session, 'GET'],
  [paths.extend, 'POST'],
  [paths.logout, 'POST'],
] as const);

const commentEveryMs = 20_000;

export class Front {
  readonly #log: Log;
  readonly #limits: Limits;
  readonly #trusted: readonly IpPrefix[];
  readonly #uplink = new Uplink();
  readonly #counts = new RequestCounts();
  readonly #public: Server;
  readonly #core: Server;

  constructor(options: FrontOptions) {
    this.#log = options.log;
    this.#limits = options.limits ?? new Limits();
    this.#trusted = options.trustedProxies ?? [];
    this.#public = webServer(options.tls, (request, response) => void this.#client(request, response));
    this.#public.maxConnections = 8192;
    this.#core = webServer(options.tls, (_request, response) =>
      fail(response, 404, 'not-found', 'this listener is for Core'),
    );
    this.#core.maxConnections = 64;
    this.#acceptCore(options.coreToken);
  }

  async listen(
    publicAt: { host: string; port: number },
    coreAt: { host: string; port: number },
  ): Promise<{ public: AddressInfo; core: AddressInfo }> {
    return { public: await listen(this.#public, publicAt), core: await listen(this.#core, coreAt) };
  }

  /** Both listeners present what `read` gives from each SIGHUP on. */
  renewOnHangup(read: () => TlsFiles | undefined): void {
    renewOnHangup(this.#log, read, this.#public, this.#core);
  }

  notReady(): string | null {
    return this.#uplink.isConnected ? null : 'Core is not connected';
  }

  async metrics(): Promise<string> {
    return proxyMetrics({
      coreConnected: this.#uplink.isConnected,
      waiting: this.#uplink.waiting,
      requests: { counts: this.#counts.samples(), seconds: this.#counts.seconds() },
      sources: this.#limits.size,
      process: await processFacts(),
    });
  }

  async close(): Promise<void> {
    this.#uplink.close();
    await Promise.all([closeNow(this.#public), closeNow(this.#core)]);
  }

  #acceptCore(token: string): void {
    const acceptor = new Acceptor<RelayAnswer, RelayRequest>({
      protocol: relayProtocol,
      read: readRelayAnswer,
      opened: (channel, request) => {
        this.#log.info('core connected', { from: request.socket.remoteAddress });
        this.#uplink.attach(channel, code => this.#log.warn('core away', { close: code }));
      },
    });
    this.#core.on('upgrade', (request, socket, head) => {
      socket.on('error', () => {});
      if (request.url !== paths.relay)
        return refuseUpgrade(socket, 400, `the relay channel is at ${paths.relay}`);
      if (!sameToken(request.headers.authorization ?? '', `Bearer ${token}`)) {
        this.#log.warn('core not recognised', { from: request.socket.remoteAddress });
        return refuseUpgrade(socket, 401, 'the token is wrong');
      }
      acceptor.accept(request, socket, head);
    });
  }

  async #client(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?')[0]!;
    const began = performance.now();
    response.on('close', () => {
      const known = forwarded.has(path as never) ? path : 'other';
      this.#counts.add(known, `${response.statusCode}`, (performance.now() - began) / 1000);
    });
    response.setHeader('cache-control', 'no-store');
    response.setHeader('x-content-type-options', 'nosniff');
    if (path === '/healthz') return health(response, this.#uplink.isConnected);
    const method = forwarded.get(path as never);
    if (method === undefined) return fail(response, 404, 'not-found', 'there is no such path');
    if (request.method !== method) return fail(response, 405, 'bad-method', `${path} wants ${method}`);
    const source = this.#source(request);
    if (!this.#limits.take(source, performance.now())) {
      response.setHeader('retry-after', '5');
      return fail(
        response,
        429,
        'slow-down',
        'too many requests from this address: try again in a few seconds',
      );
    }
    const body = method === 'POST' ? await collect(request) : '';
    if (body === null) return fail(response, 413, 'too-large', `the body is over ${relayBodyMaxBytes} bytes`);
    const { authorization } = request.headers;
    if (authorization !== undefined && authorization.length > 256)
      return fail(response, 400, 'bad-request', 'authorization is too long');
    this.#forward(response, {
      method,
      path,
      source,
      ...(authorization === undefined ? {} : { authorization }),
      body,
    });
  }

  /** Without trusted load balancers that is the socket's other end, whatever headers say. */
  #source(request: IncomingMessage): string {
    const header = request.headers['x-forwarded-for'] ?? '';
    const text = Array.isArray(header) ? header.join(',') : header;
    return sourceNetwork(clientAddress(request.socket.remoteAddress ?? 'unknown', text, this.#trusted));
  }

  #forward(response: ServerResponse, request: Parameters<Uplink['ask']>[0]): void {
    let comments: NodeJS.Timeout | undefined;
    const gone = this.#uplink.ask(request, {
      response: (status, body) => json(response, status, body),
      stream: () => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        // A comment now and then keeps middleboxes from closing a quiet stream.
        comments = setInterval(() => response.write(':\n\n'), commentEveryMs);
      },
      event: (event, data) => response.write(`event: ${event}\ndata: ${data}\n\n`),
      end: () => response.end(),
      failed: why => {
        if (response.headersSent) response.end();
        else if (why === 'core-away')
          fail(response, 503, why, 'Core is not connected: running sessions go on, new logins have to wait');
        else fail(response, 504, why, 'Core did not answer in time');
      },
    });
    response.on('close', () => {
      clearInterval(comments);
      gone();
    });
  }
}

function sameToken(given: string, wanted: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(wanted));
}

function health(response: ServerResponse, core: boolean): void {
  json(response, 200, JSON.stringify({ ok: true, core }));
}

function fail(response: ServerResponse, status: number, code: string, message: string): void {
  json(response, status, JSON.stringify({ error: { code, message } }));
}

function json(response: ServerResponse, status: number, body: string): void {
  if (response.writableEnded || response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body);
}

/** The body as text, "" for a client that went away, null when it is too large. */
async function collect(request: IncomingMessage): Promise<string | null> {
  const text = await bodyText(request, relayBodyMaxBytes);
  // Text of control characters would grow sixfold inside a frame.
  const isBlownUp = text !== null && Buffer.byteLength(JSON.stringify(text)) > 2 * relayBodyMaxBytes;
  return isBlownUp ? null : text;
}
