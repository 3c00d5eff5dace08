// The dialling side of a WebSocket: the client of ws with the limits every channel keeps. Certificates are checked against the
// name in the URL, no redirect is followed, and no extension is offered: compression next to secrets invites length oracles.

import type { IncomingMessage } from 'node:http';
import { WebSocket } from 'ws';
import type { ClientOptions } from 'ws';
import { closeWithinMs } from './channel.ts';
import { frameMaxBytes } from './frame.ts';

export interface DialOptions {
  /** `ws://` or `wss://`. */
  readonly url: string;
  /** The subprotocol; the other end must speak it. */
  readonly protocol: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** PEM of the authorities to trust instead of the system's. */
  readonly ca?: string | undefined;
  readonly withinMs?: number;
}

/** One message in more pieces than this is an attempt to make us hold many small buffers. */
const piecesMax = 4096;

/** Ends in exactly one call of `opened` or `failed`, later; or in none after the function that is returned was called. */
export function dial(
  options: DialOptions,
  opened: (socket: WebSocket) => void,
  failed: (why: string) => void,
): () => void {
  const { url, protocol, headers, ca, withinMs = 10_000 } = options;
  const clientOptions: ClientOptions & {
    maxFragments: number;
    maxBufferedChunks: number;
    closeTimeout: number;
  } = {
    followRedirects: false,
    perMessageDeflate: false,
    maxPayload: frameMaxBytes,
    // Not among the types of ws yet.
    maxFragments: piecesMax,
    maxBufferedChunks: piecesMax,
    closeTimeout: closeWithinMs,
    ...(headers !== undefined && { headers }),
    ...(ca !== undefined && { ca }),
  };
  const socket = new WebSocket(url, protocol, clientOptions);
  let isSettled = false;
  const settle = (): boolean => {
    clearTimeout(timer);
    return !isSettled && (isSettled = true);
  };
  const abandon = (why: string): void => {
    if (!settle()) return;
    socket.terminate();
    failed(`no WebSocket at ${url}: ${why}`);
  };
  // For the whole handshake: a limit on silence would not stop an answer that trickles in.
  const timer = setTimeout(() => abandon(`no answer within ${withinMs / 1000} s`), withinMs);
  // An AggregateError (every address of a name was tried) has no text of its own. After the handshake 'close' follows.
  socket.on('error', (error: NodeJS.ErrnoException) => {
    const why = error.message || (error.code ?? error.name);
    abandon(/subprotocol/.test(why) ? `${why}, ${protocol} is expected` : why);
  });
  socket.on('unexpected-response', (_request: unknown, { statusCode }: IncomingMessage) =>
    abandon(`it answers with status ${statusCode} and no upgrade: check the address and the credentials`),
  );
  socket.on('open', () => {
    if (settle()) opened(socket);
  });
  return () => {
    if (settle()) socket.terminate();
  };
}
