// What the protocol core gives back: datagrams for the network, packets for the tunnel, events for the agent, and a verdict
// on each input. The core never performs any of it.

import type { Endpoint } from './peer/endpoint.ts';
import type { Peer } from './peer/peer.ts';

/** Receives effects and must not call back into the device. Arena regions are valid only during the call: send or copy. */
export interface Outbox {
  /**
   * A finished WireGuard message of `bytes` bytes at arena offset `at`. `peer` is null for cookie replies (sent to
   * `to`, never to a stored endpoint). Returns false when the send failed, so that timers do not count it.
   */
  datagram(at: number, bytes: number, to: Endpoint, peer: Peer | null, messageType: number): boolean;
  /** A verified inner IP packet for the tunnel. */
  packet(at: number, bytes: number, peer: Peer): void;
  event(event: DeviceEvent): void;
}

export type DeviceEvent = {
  readonly kind:
    | 'initiation-sent'
    | 'initiation-received'
    | 'response-sent'
    | 'handshake-complete' // key confirmed: last_handshake moved
    | 'handshake-gave-up'
    | 'handshake-unconfirmed' // three or more answered, none confirmed: wrong PSK or lost replies
    | 'psk-mismatch' // initiator only; advisory
    | 'keys-zeroed'
    | 'endpoint-changed';
  readonly peer: Peer;
};

/** The fate of one input. Names are the counters of `sallyport_drops_total{reason}`; order is the counter index. */
export const verdicts = [
  'ok',
  'malformed',
  'bad-mac1',
  'under-load', // cookie reply sent
  'rate-limited',
  'unknown-peer',
  'unknown-index',
  'bad-state',
  'bad-crypto',
  'old-timestamp',
  'flood',
  'no-identity',
  'expired-key',
  'replay',
  'bad-inner',
  'bad-source',
  'no-route',
  'no-endpoint',
  'staged',
  'keepalive',
  'down',
  'send-failed',
] as const;
export type Verdict = (typeof verdicts)[number];
