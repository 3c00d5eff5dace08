// /healthz, /readyz and /metrics of Core and Proxy, on a listener of its own: plain HTTP for a loopback or a network of machines that
// watch. Read-only, no bodies, no secret.

import type { AddressInfo } from 'node:net';
import { errorText, PlainError } from '../../util/errors.ts';
import { closeNow, listen, webServer } from './server.ts';
import {
  answerStatus,
  jsonAnswer,
  metricsAnswer,
  type StatusAnswer,
  type StatusRoutes,
} from './statusanswer.ts';

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
  const routes: StatusRoutes = {
    '/healthz': () => jsonAnswer(200, { ok: true }),
    '/readyz': () => ready(status.notReady()),
    '/metrics': async () => metricsAnswer(await status.metrics()),
  };
  const server = webServer(undefined, (request, response) => void answerStatus(routes, request, response));
  server.maxConnections = 64;
  const address: AddressInfo = await listen(server, at).catch((cause: unknown) => {
    throw new PlainError('cannot-listen', `metrics-listen: ${errorText(cause)}: give a free port`, 1, cause);
  });
  return { port: address.port, close: () => closeNow(server) };
}

function ready(why: string | null): StatusAnswer {
  return why === null ? jsonAnswer(200, { ok: true }) : jsonAnswer(503, { ok: false, why });
}
