// The administrator's socket: a unix socket of mode 0600 in the data directory. Its owner may do everything, as with the files beside
// it. One JSON line in, one JSON line out.

import { rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import { join } from 'node:path';
import { listenPrivately } from '../../control/wire/server.ts';
import { list, object, read, string } from '../../control/validate.ts';
import { errorText, PlainError } from '../../util/errors.ts';
import { checkSocketPath } from '../../util/socketpath.ts';
import { administer } from './admin.ts';
import type { Said, Scope } from './verb.ts';
import { apply } from './apply.ts';

const request = object({ args: list(string(262_144), 64, 1) });
const requestMaxBytes = 524_288;

type Reply =
  | { readonly ok: true; readonly said: Said }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly exit: 1 | 2 };

export function socketPath(directory: string): string {
  return checkSocketPath(join(directory, 'core.sock'), 'data directory');
}

/** One command of the administrator, wherever it is executed. */
export function execute(scope: Scope, args: readonly string[]): Said {
  return args[0] === 'apply' ? apply(scope, args.slice(1)) : administer(scope, args);
}

/** Serves `scope` until closed. Fails when another Core answers on the socket already. */
export async function serveAdmin(path: string, scope: Scope): Promise<Server> {
  const other = await dial(path);
  if (other !== null) {
    other.destroy();
    throw new PlainError(
      'core-running',
      `another Core is running on this store (${path} answers): stop it first`,
    );
  }
  rmSync(path, { force: true });
  const server = createServer(socket => serve(socket, scope));
  await listenPrivately(server, path);
  return server;
}

/** Asks the running Core; null when none is running. Throws the PlainError it answered with. */
export async function askCore(path: string, args: readonly string[]): Promise<Said | null> {
  const socket = await dial(path);
  if (socket === null) return null;
  socket.write(JSON.stringify({ args }) + '\n');
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk as string;
  if (text === '') throw new PlainError('core-gone', 'Core closed the socket without an answer: see its log');
  const reply = JSON.parse(text) as Reply;
  if (reply.ok) return reply.said;
  throw new PlainError(reply.code, reply.message, reply.exit);
}

function serve(socket: Socket, scope: Scope): void {
  let text = '';
  socket.setEncoding('utf8');
  socket.setTimeout(10_000, () => socket.destroy());
  socket.on('error', () => {});
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.length > requestMaxBytes) return void socket.destroy();
    if (text.endsWith('\n')) socket.end(JSON.stringify(reply(scope, text)) + '\n');
  });
}

function reply(scope: Scope, text: string): Reply {
  const parsed = read(request, text);
  if (!parsed.ok) return { ok: false, code: 'bad-request', message: parsed.error, exit: 2 };
  try {
    return { ok: true, said: execute(scope, parsed.value.args) };
  } catch (error) {
    if (error instanceof PlainError)
      return { ok: false, code: error.code, message: error.message, exit: error.exit };
    return { ok: false, code: 'internal', message: errorText(error), exit: 1 };
  }
}

/** Connected, or null when no Core listens. */
function dial(path: string): Promise<Socket | null> {
  return new Promise(resolve => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(null));
  });
}
