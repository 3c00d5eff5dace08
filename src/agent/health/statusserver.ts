// HTTP for machines that watch the gateway: /healthz, /readyz and /metrics on a loopback port, and the same plus /status on a
// unix socket only its owner may open. Read-only, bounded, no bodies; knows nothing but the functions it is given.

import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { dirname } from 'node:path';
import { answerStatus, jsonAnswer, metricsAnswer } from '../../control/wire/statusanswer.ts';
import type { StatusAnswer, StatusRoutes } from '../../control/wire/statusanswer.ts';
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
    const routes = routesOf(sources, isPrivate);
    const server = createServer(
      { requestTimeout: 5000, headersTimeout: 5000, maxHeaderSize: 8192 },
      (request, response) => void answerStatus(routes, request, response),
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

function routesOf(sources: StatusSources, isPrivate: boolean): StatusRoutes {
  const check = (result: Check): StatusAnswer => jsonAnswer(result.ok ? 200 : 503, result);
  return {
    '/healthz': async () => check(await sources.health()),
    '/readyz': async () => check(await sources.ready()),
    '/metrics': async () => metricsAnswer(await sources.metrics()),
    ...(isPrivate && { '/status': async () => jsonAnswer(200, await sources.status()) }),
  };
}
