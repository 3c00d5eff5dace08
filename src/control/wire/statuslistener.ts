// /healthz, /readyz and /metrics of Core and Proxy, on a listener of its own: plain HTTP for a loopback or a network of machines that
// watch. Read-only, no bodies, no secret.

import type { AddressInfo } from 'node:net';
import { errorText, PlainError } from '../../util/errors.ts';
import { closeNow, listen, webServer } from './server.ts';

export interface StatusOf {
  /** Why it cannot serve now, or null. */
  readonly notReady: () => string | null;
  readonly metrics: () => Promise<string>;
}

export interface StatusListener {
  readonly port: number;
  close(): Promise<void>;
}

export async function listenForStatus(
  at: { host: string; port: number },
  status: StatusOf,
): Promise<StatusListener> {
  const server = webServer(undefined, (request, response) => {
    void answer(status, request.method ?? '', request.url ?? '').then(({ code, type, body }) => {
      response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(request.method === 'HEAD' ? undefined : body);
    });
  });
  server.maxConnections = 64;
  const address: AddressInfo = await listen(server, at).catch((cause: unknown) => {
    throw new PlainError('cannot-listen', `metrics-listen: ${errorText(cause)}: give a free port`, 1, cause);
  });
  return { port: address.port, close: () => closeNow(server) };
}

interface Answer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

async function answer(status: StatusOf, method: string, url: string): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD')
    return json(405, { error: { code: 'bad-method', message: 'GET is expected' } });
  try {
    switch (url.split('?', 1)[0]) {
      case '/healthz':
        return json(200, { ok: true });
      case '/readyz':
        return ready(status.notReady());
      case '/metrics':
        return { code: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await status.metrics() };
      default:
        return json(404, { error: { code: 'not-found', message: 'expected /healthz, /readyz or /metrics' } });
    }
  } catch (error) {
    return json(503, { error: { code: 'unavailable', message: errorText(error) } });
  }
}

function ready(why: string | null): Answer {
  return why === null ? json(200, { ok: true }) : json(503, { ok: false, why });
}

function json(code: number, body: object): Answer {
  return { code, type: 'application/json', body: `${JSON.stringify(body)}\n` };
}
