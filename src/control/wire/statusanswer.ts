// What a listener for machines that watch answers: /healthz, /readyz, /metrics and whatever else it is given. Read-only, no bodies.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorText } from '../../util/errors.ts';

export interface StatusAnswer {
  readonly code: number;
  readonly type: string;
  readonly body: string;
}

/** By path. */
export type StatusRoutes = Readonly<Record<string, () => StatusAnswer | Promise<StatusAnswer>>>;

export function jsonAnswer(code: number, value: unknown): StatusAnswer {
  return { code, type: 'application/json', body: `${JSON.stringify(value)}\n` };
}

export function metricsAnswer(body: string): StatusAnswer {
  return { code: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body };
}

export async function answerStatus(
  routes: StatusRoutes,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { code, type, body } = await answerOf(routes, request.method ?? '', request.url ?? '');
  const headers = {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  };
  response.writeHead(code, headers).end(request.method === 'HEAD' ? undefined : body);
}

async function answerOf(routes: StatusRoutes, method: string, url: string): Promise<StatusAnswer> {
  if (method !== 'GET' && method !== 'HEAD')
    return jsonAnswer(405, { error: { code: 'method', message: 'GET is expected' } });
  const path = url.split('?', 1)[0]!;
  if (!Object.hasOwn(routes, path)) {
    const message = 'expected /healthz, /readyz or /metrics';
    return jsonAnswer(404, { error: { code: 'not-found', message } });
  }
  try {
    return await routes[path]!();
  } catch (error) {
    return jsonAnswer(503, { error: { code: 'unavailable', message: errorText(error) } });
  }
}
