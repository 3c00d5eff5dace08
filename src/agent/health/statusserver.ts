// HTTP for machines that watch the gateway: /healthz, /readyz and /metrics on a loopback port, and the same plus /status on a
// unix socket only its owner may open. Read-only, bounded, no bodies; knows nothing but the functions it is given.

import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { dirname } from 'node:path';
import { errorText, PlainError } from '../../util/errors.ts';
import { atEnd } from '../../util/scope.ts';
import type { StatusReport } from './statusreport.ts';

/** `ok` and the reason when not. */
export type Check = { readonly ok: true } | { readonly ok: false; readonly why: string };

export interface StatusSources {
  readonly health: () => Promise<Check>;
  readonly ready: () => Promise<Check>;
  readonly metrics: () => Promise<string>;
  readonly status: () => Promise<StatusReport>;
}

export interface StatusServerOptions {
  readonly sources: StatusSources;
  readonly listen: { readonly host: string; readonly port: number } | null;
  readonly socketPath: string | null;
}

export class StatusServer {
  readonly #servers: Server[] = [];
  /** Where the port is, when one was opened. */
  port = 0;

  static async open(options: StatusServerOptions): Promise<StatusServer> {
    const server = new StatusServer();
    try {
      if (options.listen !== null) {
        const { host, port } = options.listen;
        const tcp = await server.#open(options.sources, false, { host, port }, `${host}:${port}`);
        server.port = (tcp.address() as { port: number }).port;
      }
      if (options.socketPath !== null) {
        mkdirSync(dirname(options.socketPath), { recursive: true, mode: 0o700 });
        rmSync(options.socketPath, { force: true });
        const umask = process.umask(0o077);
        using _end = atEnd(() => process.umask(umask));
        await server.#open(options.sources, true, { path: options.socketPath }, options.socketPath);
      }
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  async close(): Promise<void> {
    await Promise.all(
      this.#servers.map(server => {
        server.closeAllConnections();
        return new Promise(resolve => server.close(resolve));
      }),
    );
  }

  #open(sources: StatusSources, isPrivate: boolean, where: object, name: string): Promise<Server> {
    const server = createServer(
      { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
      (request, response) => void answer(sources, isPrivate, request, response),
    );
    server.maxConnections = 64;
    return new Promise((resolve, reject) => {
      server.once('error', error =>
        reject(
          new PlainError(
            'status-listen',
            `${name}: cannot listen: ${errorText(error)}; set metrics_listen to a free port or off`,
          ),
        ),
      );
      server.listen(where, () => {
        this.#servers.push(server);
        resolve(server);
      });
    });
  }
}

async function answer(
  sources: StatusSources,
  isPrivate: boolean,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const say = (status: number, type: string, body: string): void => {
    response.writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(body),
      'cache-control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  };
  const json = (status: number, value: unknown): void =>
    say(status, 'application/json', `${JSON.stringify(value)}\n`);
  const check = (result: Check): void => json(result.ok ? 200 : 503, result);
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return json(405, { error: { code: 'method', message: 'GET is expected' } });
  try {
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        return check(await sources.health());
      case '/readyz':
        return check(await sources.ready());
      case '/metrics':
        return say(200, 'text/plain; version=0.0.4; charset=utf-8', await sources.metrics());
      case '/status':
        if (isPrivate) return json(200, await sources.status());
        break;
      default:
    }
    json(404, { error: { code: 'not-found', message: 'expected /healthz, /readyz or /metrics' } });
  } catch (error) {
    json(503, { error: { code: 'unavailable', message: errorText(error) } });
  }
}
