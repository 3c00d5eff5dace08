// The accepting side of a channel: completes a WebSocket upgrade that the HTTP server has already routed and authorised. Core
// and the Proxy use it; the gateway only dials (dialer.ts), so its bundle has no WebSocket server.

import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { Channel, closeWithinMs } from './channel.ts';
import { frameMaxBytes } from './frame.ts';
import type { FrameReader } from './frame.ts';

export interface Upgrade<In, Out> {
  readonly protocol: string;
  readonly read: FrameReader<In>;
  opened(channel: Channel<In, Out>, request: IncomingMessage): void;
}

export class Acceptor<In, Out> {
  readonly #server: WebSocketServer;
  readonly #upgrade: Upgrade<In, Out>;

  constructor(upgrade: Upgrade<In, Out>) {
    this.#upgrade = upgrade;
    const options = {
      noServer: true,
      maxPayload: frameMaxBytes,
      perMessageDeflate: false, // compression next to secrets invites length oracles
      clientTracking: false,
      closeTimeout: closeWithinMs, // not among the types of ws yet
      handleProtocols: (offered: Set<string>) =>
        offered.has(upgrade.protocol) ? upgrade.protocol : (false as const),
    };
    this.#server = new WebSocketServer(options);
  }

  accept(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map(name => name.trim());
    if (!offered.includes(this.#upgrade.protocol)) {
      refuseUpgrade(socket, 400, `the subprotocol ${this.#upgrade.protocol} is expected`);
      return;
    }
    this.#server.handleUpgrade(request, socket, head, wire => {
      wire.on('error', () => {}); // always followed by 'close', which carries the code
      this.#upgrade.opened(new Channel<In, Out>(wire, this.#upgrade.read), request);
    });
  }
}

/** Answers an upgrade with a plain HTTP error. */
export function refuseUpgrade(socket: Duplex, status: number, message: string): void {
  const body = JSON.stringify({
    error: { code: status === 401 ? 'unauthenticated' : 'bad-upgrade', message },
  });
  socket.end(
    `HTTP/1.1 ${status} ${status === 401 ? 'Unauthorized' : 'Bad Request'}\r\nConnection: close\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
