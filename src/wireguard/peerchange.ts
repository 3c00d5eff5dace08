// What of a peer can be changed while it lives, and what a change does to its running timers.

import * as c from './constants.ts';
import type { AllowedIp } from './peer/allowedips.ts';
import type { Endpoint } from './peer/endpoint.ts';
import type { Peer } from './peer/peer.ts';
import * as timer from './peer/timers.ts';
import type { Shared } from './shared.ts';

/** What `setPeer` changes; what is absent stays. */
export interface PeerChange {
  /** 32 bytes; all zero means none. */
  readonly presharedKey?: Uint8Array;
  readonly endpoint?: Endpoint;
  /** Seconds, 0 = off. */
  readonly persistentKeepalive?: number;
  readonly replaceAllowedIps?: boolean;
  readonly allowedIps?: readonly AllowedIp[];
  readonly removeAllowedIps?: readonly AllowedIp[];
  readonly updateOnly?: boolean;
  /** See `Peer.keepFresh`: for peers whose last handshake must not grow old while they are there. */
  readonly keepFresh?: boolean;
}

export function setPersistentKeepalive(shared: Shared, now: number, peer: Peer, seconds: number): void {
  peer.persistentKeepalive = seconds;
  peer.timers.persistentMs = seconds * 1000;
  // The kernel lets a running timer run out first; a shorter interval counts from now.
  const { at } = peer.timers;
  if (seconds === 0) at[timer.persistentKeepalive] = Infinity;
  else if (at[timer.persistentKeepalive]! !== Infinity) peer.timers.anyTraversal(now);
  shared.arm(peer);
}

/** `keepFresh` switched on while a session lives counts from that session's handshake. */
export function setKeepFresh(shared: Shared, now: number, peer: Peer, keepFresh: boolean): void {
  if (peer.keepFresh === keepFresh) return;
  peer.keepFresh = keepFresh;
  const { at } = peer.timers;
  at[timer.refresh] = at[timer.confirm] = Infinity;
  const { current } = peer;
  if (keepFresh && current !== null)
    at[timer.refresh] = Math.max(
      now,
      current.isInitiator
        ? current.createdAt + c.rekeyAfterMs
        : peer.lastHandshakeAt + c.refreshAsResponderMs,
    );
  shared.arm(peer);
}
