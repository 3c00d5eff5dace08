// Messages between the agent's main thread (control) and its data-plane worker (packets): plain data that structured clone copies.
// Knows nothing of Core's channel; corechannel.ts translates. Secrets in them stay in memory, and the receiver wipes them after use.

import type { EndReason } from '../../control/clientapi/reasons.ts';

export type AllowedIpMsg = {
  readonly family: 4 | 6;
  readonly address: Uint8Array;
  readonly prefix: number;
};

/** One `allowed_ip=` line; `remove` is the `allowed_ip=-` form. */
export type AllowedIpChange = AllowedIpMsg & { readonly remove?: true };

/** An IP literal and a port; names are resolved before this point. `scope` is the zone of a link-local address. */
export type EndpointMsg = { readonly host: string; readonly port: number; readonly scope?: string };

/** One `public_key=` section of a UAPI set, or one peer of a configuration. */
export type PeerChangeMsg = {
  readonly publicKey: Uint8Array;
  readonly remove?: true;
  readonly updateOnly?: true;
  readonly presharedKey?: Uint8Array;
  readonly endpoint?: EndpointMsg;
  /** Seconds; 0 switches it off. */
  readonly persistentKeepalive?: number;
  readonly replaceAllowedIps?: true;
  /** The peer's handshake must not grow old while it is there (a client under the three-minute rule). */
  readonly keepFresh?: boolean;
  /** Shake hands now, with what the peer has now; keys in use live on until it succeeds. */
  readonly handshake?: true;
  /** In the order written: a later line wins. */
  readonly allowedIps?: readonly AllowedIpChange[];
};

/** A UAPI set transaction: device keys first, then the peers in the order written. */
export type DeviceChange = {
  /** null: unset (an all-zero key in UAPI). */
  readonly privateKey?: Uint8Array | null;
  readonly listenPort?: number;
  /** 0 removes the mark. */
  readonly fwmark?: number;
  readonly replacePeers?: boolean;
  readonly peers: readonly PeerChangeMsg[];
};

/** A peer that exists only while its grant lives. All durations are milliseconds; 0 switches a clock off. */
export type GrantedPeer = {
  readonly id: string;
  readonly epoch: number;
  /** WireGuard public key. */
  readonly device: Uint8Array;
  readonly user: string;
  /** Never all zero: a peer of an MFA location without a PSK cannot be expressed. */
  readonly psk: Uint8Array;
  readonly allowedIps: readonly AllowedIpMsg[];
  /** Seconds. */
  readonly persistentKeepalive?: number;
  readonly staleAfterMs: number;
  readonly idleAfterMs: number;
  readonly claimWithinMs: number;
  /** Time left of the lease, already converted to this machine's clock; 0 = no lease. */
  readonly leaseMs: number;
  /** Time left until `notAfter`. */
  readonly expiresInMs: number;
  /** `reauth` ends the session when the peer moves to another address; default `ignore`. */
  readonly onRoam?: 'ignore' | 'reauth';
};

export type GrantRefusal =
  | 'older-epoch' // a session of the device with the same or a higher epoch is live
  | 'no-psk' // an all-zero PSK
  | 'own-key' // the device key is the gateway's own
  | 'address-taken' // an inner address belongs to another live peer
  | 'bad-address'
  | 'too-many-peers'
  | 'already-over'; // expired on arrival

export type Command =
  | { readonly op: 'configure'; readonly change: DeviceChange }
  | { readonly op: 'state' }
  | { readonly op: 'grant'; readonly grant: GrantedPeer }
  | { readonly op: 'revoke'; readonly device: string /* hex public key */; readonly reason: EndReason }
  /** `until`: milliseconds from now until the lease runs out. */
  | { readonly op: 'renew'; readonly id: string; readonly untilMs: number }
  | { readonly op: 'sessions' }
  | { readonly op: 'up' }
  | { readonly op: 'down' }
  | { readonly op: 'stop' };

/** What `request(command)` resolves to, by `op`. */
export type CommandResult = {
  /** 0 or a negative errno, as in UAPI. */
  configure: { readonly errno: number };
  state: DeviceState;
  grant: { readonly ok: true } | { readonly ok: false; readonly code: GrantRefusal };
  revoke: { readonly revoked: boolean };
  renew: { readonly renewed: boolean };
  sessions: readonly SessionState[];
  up: { readonly errno: number };
  down: { readonly errno: number };
  stop: { readonly errno: number };
};

/** A live session as seen from outside. Times are unix milliseconds for people, `…InMs` are exact. */
export type SessionState = {
  readonly id: string;
  readonly epoch: number;
  /** Hex public key. */
  readonly device: string;
  readonly user: string;
  readonly sinceWallMs: number;
  readonly confirmed: boolean;
  /** Since the last confirmed handshake, or since the grant while there was none. */
  readonly sinceHandshakeMs: number;
  /** Milliseconds left on each clock; Infinity where the clock is off or does not run yet. */
  readonly staleInMs: number;
  readonly idleInMs: number;
  readonly leaseInMs: number;
  readonly expiresInMs: number;
  readonly claimInMs: number;
};

export type PeerState = {
  readonly publicKey: Uint8Array;
  readonly presharedKey: Uint8Array;
  /** `1.2.3.4:51820`, `[2001:db8::1]:51820`, `[fe80::1%eth0]:51820`, or null. */
  readonly endpoint: string | null;
  /** Unix milliseconds of the last confirmed handshake, 0 = none. */
  readonly lastHandshakeWallMs: number;
  readonly txBytes: number;
  readonly rxBytes: number;
  /** Seconds, 0 = off. */
  readonly persistentKeepalive: number;
  readonly allowedIps: readonly AllowedIpMsg[];
  readonly session: SessionState | null;
  readonly handshakes?: number;
};

/** Counters that only grow while the worker lives; `bootId` of the agent separates one life from the next. */
export type DataplaneCounters = {
  /** By verdict name (src/wireguard/effects.ts). */
  readonly drops: Readonly<Record<string, number>>;
  /** By result: initiated, answered, completed, failed… */
  readonly handshakes: Readonly<Record<string, number>>;
  /** Packets per batch: bucket upper bounds and counts (last bucket is +Inf), with the sum. */
  readonly batches: {
    readonly bounds: readonly number[];
    readonly counts: readonly number[];
    readonly sum: number;
  };
  readonly loopLagMs: number;
  /** Names of the offloads in use, e.g. tso4, uso6, gso, gro. */
  readonly offloads: readonly string[];
  /** The AEAD back end in use. */
  readonly crypto: string;
  /** Threads that carry packets: 1 or 2. */
  readonly threads: number;
};

export type DeviceState = {
  readonly ifname: string;
  readonly publicKey: Uint8Array | null;
  readonly privateKey: Uint8Array | null;
  readonly listenPort: number;
  readonly fwmark: number;
  readonly mtu: number;
  readonly isUp?: boolean;
  /** In the order the peers were added. */
  readonly peers: readonly PeerState[];
  readonly counters: DataplaneCounters;
};

export type SessionCounters = { readonly rx: number; readonly tx: number; readonly handshakes: number };

export type SessionEvent = {
  readonly ev: 'session';
  readonly kind: 'confirmed' | 'roamed' | 'ended';
  readonly id: string;
  /** Hex public key. */
  readonly device: string;
  readonly reason?: EndReason;
  readonly counters: SessionCounters;
  /** Milliseconds since the last confirmed handshake (or since the grant when there was none). */
  readonly sinceHandshakeMs: number;
  readonly endpoint: string | null;
};

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export type WorkerEvent =
  | SessionEvent
  | { readonly ev: 'log'; readonly level: LogLevel; readonly message: string }
  | { readonly ev: 'fatal'; readonly message: string }
  | { readonly ev: 'closed' };

/** What the agent needs of the data plane. `client.ts` provides it over a worker, tests provide it in process. */
export interface Link {
  request<C extends Command>(command: C): Promise<CommandResult[C['op']]>;
  /** Returns a function that stops listening. */
  onEvent(listener: (event: WorkerEvent) => void): () => void;
}

/** A running data plane, for the code that starts one. */
export interface Dataplane extends Link {
  readonly ready: { readonly ifname: string };
  /** Resolves when it is gone, with its exit code. */
  readonly closed: Promise<number>;
  /** Closes sockets and TUN, wipes keys. */
  stop(): Promise<void>;
}
