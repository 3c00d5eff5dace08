// Socket: how `status`, `login`, `logout` and `down` reach the running tunnel: a unix socket (0600, in the 0700 state
// directory), one line of JSON each way per connection. A PSK crosses it once, from the login to the tunnel, in memory of
// the same user; nothing of it is written.

import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { listenPrivately } from '../../control/wire/server.ts';
import { PlainError, errorText } from '../../util/errors.ts';

const maxLineBytes = 64 * 1024;

export type Request = { readonly op: string } & Record<string, unknown>;
export type Response = { readonly ok: true } & Record<string, unknown>;

/** Serves requests until closed. A handler's PlainError becomes the caller's. */
export async function listen(
  path: string,
  handle: (request: Request) => Promise<Record<string, unknown>>,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, socket => {
    let text = '';
    let isAnswered = false;
    socket.setEncoding('utf8');
    socket.setTimeout(30_000, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('data', (part: string) => {
      if (isAnswered) return;
      text += part;
      if (text.length > maxLineBytes) return void socket.destroy();
      const end = text.indexOf('\n');
      if (end < 0) return;
      isAnswered = true;
      const line = text.slice(0, end);
      text = '';
      void answer(line, handle).then(reply => socket.end(`${JSON.stringify(reply)}\n`));
    });
  });
  try {
    await listenPrivately(server, path);
  } catch (error) {
    throw new PlainError('control-socket', `cannot listen on ${path}: ${errorText(error)}`, 1, error);
  }
  server.once('close', () => rmSync(path, { force: true }));
  return server;
}

async function answer(
  line: string,
  handle: (request: Request) => Promise<Record<string, unknown>>,
): Promise<unknown> {
  try {
    const request = JSON.parse(line) as Request;
    if (typeof request !== 'object' || request === null || typeof request.op !== 'string')
      throw new Error('no op');
    return { ok: true, ...(await handle(request)) };
  } catch (error) {
    const code = error instanceof PlainError ? error.code : 'failed';
    return { ok: false, error: { code, message: errorText(error) } };
  }
}

/** Asks the running tunnel; null when none runs. */
export async function ask(path: string, request: Request, timeoutMs = 20_000): Promise<Response | null> {
  const line = await new Promise<string | null>((resolve, reject) => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    socket.setTimeout(timeoutMs, () => {
      socket.destroy();
      reject(new PlainError('tunnel-hung', `the running tunnel did not answer within ${timeoutMs / 1000} s`));
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') return resolve(null);
      reject(
        new PlainError(
          'control-socket',
          `cannot reach the running tunnel at ${path}: ${errorText(error)}`,
          1,
          error,
        ),
      );
    });
    socket.on('data', (part: string) => (text += part));
    socket.once('end', () => resolve(text));
    socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`));
  });
  if (line === null) return null;
  let reply: { ok?: unknown; error?: { code?: unknown; message?: unknown } };
  try {
    reply = JSON.parse(line) as typeof reply;
  } catch {
    throw new PlainError('control-socket', `the running tunnel at ${path} stopped before it answered`);
  }
  if (reply.ok !== true) throw new PlainError(String(reply.error?.code), String(reply.error?.message));
  return reply as Response;
}
