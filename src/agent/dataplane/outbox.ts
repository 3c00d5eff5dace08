// Outbox of the data plane: performs what the protocol core decides one message at a time: handshakes, cookies, keepalives
// and packets that waited for a key. Bulk traffic does not come this way.

import type { DeviceEvent, Outbox } from '../../wireguard/effects.ts';
import type { Endpoint } from '../../wireguard/peer/endpoint.ts';
import type { Peer } from '../../wireguard/peer/peer.ts';
import type { Counters } from './counters.ts';
import type { Sockets } from './ports.ts';

/** Handshake messages travel as AF41 (kernel's HANDSHAKE_DSCP), cookies and data as best effort (D9). */
const handshakeTos = 0x88;

export class DataplaneOutbox implements Outbox {
  readonly #sockets: Sockets;
  readonly #counters: Counters;
  /** Set once the loop exists. */
  writePacket: (at: number, bytes: number) => void = () => undefined;
  /** Set once the gate exists. */
  handleEvent: (event: DeviceEvent) => void = () => undefined;

  constructor(sockets: Sockets, counters: Counters) {
    this.#sockets = sockets;
    this.#counters = counters;
  }

  datagram(at: number, bytes: number, to: Endpoint, _peer: Peer | null, messageType: number): boolean {
    const udp = this.#sockets.of(to.family);
    const tos = messageType === 1 || messageType === 2 ? handshakeTos : 0;
    if (udp !== null && udp.send(at, bytes, 0, to, tos) >= 0) return true;
    this.#counters.sendErrors++;
    return false;
  }

  packet(at: number, bytes: number): void {
    this.writePacket(at, bytes);
  }

  event(event: DeviceEvent): void {
    this.#counters.event(event.kind);
    this.handleEvent(event);
  }
}
