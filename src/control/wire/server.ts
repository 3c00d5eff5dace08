// What the servers have alike: HTTP with or without TLS, with limits; bodies with a limit; sockets that only their owner can
// open; the end by signal. Knows no path and no message.

import { chmodSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo, ListenOptions, Server as Listener } from 'node:net';
import { errorText } from '../../util/errors.ts';
import type { Log } from '../log.ts';

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** Slow and endless requests are cut off. */
const limits = { requestTimeout: 10_000, headersTimeout: 5000, maxHeaderSize: 8192, keepAliveTimeout: 5000 };

export function webServer(
  tls: TlsFiles | undefined,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  return tls === undefined ? createServer(limits, handler) : createTlsServer({ ...limits, ...tls }, handler);
}

/**
 * On SIGHUP a renewed certificate is read, for connections to come; a bad one leaves the old in place. Programs that renew
 * certificates send this signal, whose default would end the process.
 */
export function renewOnHangup(log: Log, read: () => TlsFiles | undefined, ...servers: Server[]): void {
  process.on('SIGHUP', () => {
    try {
      const tls = read();
      if (tls !== undefined) for (const server of servers) (server as TlsServer).setSecureContext(tls);
      log.info(tls === undefined ? 'SIGHUP: there is no certificate to read anew' : 'certificate read anew');
    } catch (error) {
      log.error('the certificate is not renewed: the old one stays', { why: errorText(error) });
    }
  });
}

/** Rejects when the address is in use or not permitted. */
export function listen(server: Listener, at: ListenOptions): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(at, () => {
      server.off('error', reject);
      resolve(server.address() as AddressInfo);
    });
  });
}

/** A unix socket that only this user can connect to, from its first moment on. */
export async function listenPrivately(server: Listener, path: string): Promise<void> {
  const before = process.umask(0o177);
  let listening: Promise<unknown>;
  try {
    listening = listen(server, { path }); // binds before it returns
  } finally {
    process.umask(before);
  }
  await listening;
  chmodSync(path, 0o600);
}

/** Stops listening and cuts all connections. */
export function closeNow(server: Server): Promise<void> {
  const closed = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeAllConnections();
  return closed;
}

/** The body as text, "" for a client that went away in the middle, null when it is too large. */
export async function bodyText(request: IncomingMessage, maxBytes: number): Promise<string | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) return null;
      chunks.push(chunk);
    }
  } catch {
    return '';
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Until this process is asked to end. */
export function untilStopped(): Promise<void> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
}
