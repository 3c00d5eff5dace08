// The client's opening handshake of a WebSocket (RFC 6455 section 4.1), on HTTP and TLS of the runtime: certificates are
// checked against the name in the URL, and the answer's headers are bounded there. No redirects are followed, and no extension
// is offered: compression next to secrets invites length oracles.

import { createHash, randomBytes } from 'node:crypto';
import { request as plain } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { request as secure } from 'node:https';
import type { Socket } from 'node:net';
import { Connection } from './connection.ts';

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

/** What the server must make of our key (section 1.3) to show that it knows what a WebSocket is. */
function acceptFor(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** What is wrong with a 101 answer, or null. That it says `Connection: Upgrade` is seen to by node:http. */
function fault({ headers }: IncomingMessage, key: string, protocol: string): string | null {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 'it changes to something else than a WebSocket';
  if (headers['sec-websocket-accept'] !== acceptFor(key)) return 'its Sec-WebSocket-Accept is wrong';
  if (headers['sec-websocket-protocol'] !== protocol) return `it does not speak the subprotocol ${protocol}`;
  return headers['sec-websocket-extensions'] === undefined ? null : 'it uses an extension nobody asked for';
}

/** Ends in exactly one call of `opened` or `failed`, later; or in none after the function that is returned was called. */
export function dial(
  options: DialOptions,
  opened: (connection: Connection) => void,
  failed: (why: string) => void,
): () => void {
  const { url, protocol, headers, ca, withinMs = 10_000 } = options;
  const target = new URL(url.replace(/^ws/, 'http'));
  const key = randomBytes(16).toString('base64');
  const request = (target.protocol === 'https:' ? secure : plain)(target, {
    agent: false, // a connection of its own, which nobody else gets afterwards
    headers: {
      ...headers,
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': key,
      'Sec-WebSocket-Protocol': protocol,
    },
    ...(ca !== undefined && { ca }),
  });
  let isSettled = false;
  const settle = (): boolean => {
    clearTimeout(timer);
    return !isSettled && (isSettled = true);
  };
  const abandon = (why: string): void => {
    if (!settle()) return; // after an upgrade the socket is no longer the request's to destroy
    request.destroy();
    failed(`no WebSocket at ${url}: ${why}`);
  };
  // For the whole handshake: a limit on silence would not stop an answer that trickles in.
  const timer = setTimeout(() => abandon(`no answer within ${withinMs / 1000} s`), withinMs);
  // An AggregateError (every address of a name was tried) has no text of its own.
  request.on('error', (error: NodeJS.ErrnoException) => abandon(error.message || (error.code ?? error.name)));
  request.on('response', ({ statusCode }) =>
    abandon(`it answers with status ${statusCode} and no upgrade: check the address and the credentials`),
  );
  request.on('upgrade', (response, socket: Socket, head) => {
    const why = fault(response, key, protocol);
    if (why === null && settle()) {
      opened(new Connection(socket, head));
      return;
    }
    socket.on('error', () => {}); // on its way out
    socket.destroy();
    if (why !== null) abandon(why);
  });
  request.end();
  return () => {
    if (settle()) request.destroy();
  };
}
