// The door of the protocol core: a WireGuard device without sockets, clock, randomness or threads (whitepaper; the kernel's
// device.c and peer.c). `now` is milliseconds of a clock that counts suspend; effects go out through an `Outbox`, which must not
// call back in. Configuration and life cycle are here, the protocol in send.ts and receive.ts.

import type { Arena } from '../util/arena.ts';
import { equalBytes, isZero, toHex } from '../util/bytes.ts';
import type { AllowedIps } from './peer/allowedips.ts';
import * as c from './constants.ts';
import type { Outbox, Verdict } from './effects.ts';
import type { Endpoint } from './peer/endpoint.ts';
import { destinationOwner, innerLength } from './inner.ts';
import type { Keypair } from './noise/keypair.ts';
import { isSamePrivateKey } from './noise/handshake.ts';
import type { Peer } from './peer/peer.ts';
import { type PeerChange, setKeepFresh, setPersistentKeepalive } from './peerchange.ts';
import { PeerTable } from './peertable.ts';
import type { CryptoProvider } from './primitives/provider.ts';
import { Receiver } from './receive.ts';
import { Sender } from './send.ts';
import { Shared } from './shared.ts';
import { TimerActions } from './timeractions.ts';
import * as timer from './peer/timers.ts';

export type { AllowedIp } from './peer/allowedips.ts';
export type { PeerChange } from './peerchange.ts';
export type { Keypair } from './noise/keypair.ts';
export { paddedLength } from './messages.ts';
export type { Peer } from './peer/peer.ts';

export interface DeviceOptions {
  /** Where packets lie; the device takes a scratch region of 64 KiB from it. */
  readonly arena: Arena;
  readonly crypto: CryptoProvider;
  /** Fills with cryptographically secure bytes. Never handed shared memory. */
  random(out: Uint8Array): void;
  /** Unix milliseconds, for TAI64N and last_handshake only. */
  wallMs(): number;
  readonly maxPeers?: number;
  readonly maxStagedBytes?: number;
  /** Handshake messages a second before cookies are demanded. */
  readonly handshakesPerSecond?: number;
  /** The `lastTimestamp` of an earlier run, where the wall clock may have fallen back since (N6). */
  readonly initialTimestamp?: Uint8Array;
}

export class Device {
  /** Cryptokey routing; `find4` and `find6` are the packet path's. */
  readonly routes: AllowedIps<Peer>;
  readonly #shared: Shared;
  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #table: PeerTable;
  readonly #actions: TimerActions;

  constructor(options: DeviceOptions) {
    this.#shared = new Shared(options.arena, options.crypto, options.random, options.wallMs, {
      mtu: c.defaultMtu,
      maxStagedBytes: options.maxStagedBytes ?? c.defaultMaxStagedBytes,
      handshakesPerSecond:
        options.handshakesPerSecond ??
        (options.crypto.name.startsWith('openssl')
          ? c.defaultHandshakesPerSecond
          : c.portableHandshakesPerSecond),
      ...(options.initialTimestamp && { initialTimestamp: options.initialTimestamp }),
    });
    this.#sender = new Sender(this.#shared);
    this.#receiver = new Receiver(this.#shared, this.#sender);
    this.#table = new PeerTable(this.#shared, options.maxPeers ?? c.defaultMaxPeers);
    this.#actions = new TimerActions(this.#shared, this.#sender);
    this.routes = this.#shared.routes;
  }

  // --- The device itself

  get isUp(): boolean {
    return this.#shared.isUp;
  }

  /** Clamped (H9); null when unset. Our memory, not a copy. */
  get privateKey(): Uint8Array | null {
    return this.#shared.noise.hasIdentity ? this.#shared.noise.privateKey : null;
  }

  get publicKey(): Uint8Array | null {
    return this.#shared.noise.hasIdentity ? this.#shared.noise.publicKey : null;
  }

  /** Inner MTU, the bound of padding (D5). */
  get mtu(): number {
    return this.#shared.mtu;
  }

  set mtu(mtu: number) {
    this.#shared.mtu = mtu;
  }

  set handshakesPerSecond(budget: number) {
    this.#shared.load.budget = budget;
  }

  /** The latest TAI64N we have sent; store it where there is no RTC (N6). */
  get lastTimestamp(): Uint8Array {
    return this.#shared.clock.last;
  }

  /** Bytes of packets waiting for sessions. */
  get stagedBytes(): number {
    return this.#shared.blocks.used;
  }

  /**
   * Sets, changes or (null, or all zero) removes our identity. A peer with the same public key is removed; sessions of the
   * others stop sending at once and receive until they expire (U6).
   */
  setPrivateKey(now: number, key: Uint8Array | null, out: Outbox): void {
    const { noise, checker, peers } = this.#shared;
    if (key === null || isZero(key)) {
      if (!noise.hasIdentity) return;
      noise.setIdentity(null);
    } else {
      requireLength(key, 32, 'private key');
      if (noise.hasIdentity && isSamePrivateKey(noise.privateKey, key)) return;
      noise.setIdentity(key);
    }
    checker.setKey(this.publicKey);
    if (this.publicKey) this.removePeer(now, this.publicKey);
    for (const peer of peers.values()) {
      noise.precompute(peer.handshake);
      this.#expireSendKeys(peer);
    }
    if (this.isUp) for (const peer of peers.values()) this.#sender.flush(now, peer, out);
  }

  /** Sends what was staged and begins persistent keepalives (L2). */
  up(now: number, out: Outbox): void {
    if (this.isUp) return;
    this.#shared.isUp = true;
    for (const peer of this.#shared.peers.values()) {
      if (peer.persistentKeepalive > 0) this.#sender.keepalive(now, peer, out);
      else this.#sender.flush(now, peer, out);
    }
  }

  /** Forgets sessions and staged packets, keeps configuration, counters and anti-replay (L1, N2). */
  down(_now: number, _out: Outbox): void {
    this.#shared.isUp = false;
    for (const peer of this.#shared.peers.values()) {
      peer.txDropped += peer.staged.clear();
      peer.timers.stopAll();
      peer.lastSentHandshakeAt = -Infinity;
      peer.forgetMismatch();
      this.#shared.wipeKeys(peer);
      this.#shared.arm(peer);
    }
  }

  /**
   * No live key sends again; the next packet starts a handshake. After a virtual machine was resumed or cloned from a saved
   * state, this keeps two copies from using the same nonce (T18).
   */
  expireSendKeys(): void {
    for (const peer of this.#shared.peers.values()) this.#expireSendKeys(peer);
  }

  /** Before a suspend: no session key stays in memory (T18). */
  wipeSessions(): void {
    for (const peer of this.#shared.peers.values()) {
      peer.timers.at[timer.zeroKeys] =
        peer.timers.at[timer.refresh] =
        peer.timers.at[timer.confirm] =
          Infinity;
      peer.lastSentHandshakeAt = -Infinity;
      this.#shared.wipeKeys(peer);
      this.#shared.arm(peer);
    }
  }

  /** The end (L5): every secret wiped, every peer gone. */
  destroy(): void {
    for (const peer of [...this.#shared.peers.values()]) this.#table.remove(peer);
    this.#shared.isUp = false;
    this.#shared.noise.setIdentity(null);
    this.#shared.checker.setKey(null);
  }

  // --- Peers

  /** Creates or changes a peer. Null: the key is our own, the table is full, or `updateOnly` found no peer. */
  setPeer(now: number, publicKey: Uint8Array, change: PeerChange, out: Outbox): Peer | null {
    requireLength(publicKey, 32, 'public key');
    if (change.presharedKey) requireLength(change.presharedKey, 32, 'pre-shared key');
    if (this.publicKey && equalBytes(publicKey, this.publicKey)) return null;
    const known = this.peer(publicKey);
    const peer = known ?? (change.updateOnly ? null : this.#table.create(publicKey));
    if (peer === null) return null;

    if (change.presharedKey && !equalBytes(change.presharedKey, peer.presharedKey)) {
      peer.presharedKey.set(change.presharedKey); // the live session goes on (P5)
      peer.forgetMismatch();
      peer.hasNewCredentials = true;
    }
    if (change.endpoint) peer.endpoint.copyFrom(change.endpoint);
    if (change.replaceAllowedIps) this.routes.removeByPeer(peer);
    for (const ip of change.removeAllowedIps ?? []) this.routes.remove(ip, peer);
    for (const ip of change.allowedIps ?? []) this.routes.insert(ip, peer);
    if (change.keepFresh !== undefined) setKeepFresh(this.#shared, now, peer, change.keepFresh);
    const before = peer.persistentKeepalive;
    if (change.persistentKeepalive !== undefined)
      setPersistentKeepalive(this.#shared, now, peer, change.persistentKeepalive);

    if (!this.isUp) return peer;
    if (before === 0 && peer.persistentKeepalive > 0) this.#sender.keepalive(now, peer, out);
    else this.#sender.flush(now, peer, out);
    return peer;
  }

  /** Forgets everything about a peer. */
  removePeer(_now: number, publicKey: Uint8Array): boolean {
    const peer = this.peer(publicKey);
    if (peer === undefined) return false;
    this.#table.remove(peer);
    return true;
  }

  /**
   * Logout. When this returns no packet passes in either direction, no key of the session exists, and nothing recorded
   * before will ever be accepted again: the anti-replay timestamp outlives the peer and returns with it.
   */
  revoke(_now: number, publicKey: Uint8Array): boolean {
    const peer = this.peer(publicKey);
    if (peer === undefined) return false;
    this.routes.removeByPeer(peer);
    peer.isAlive = false;
    this.#shared.random(peer.presharedKey); // not zero: zero is a key too
    this.#shared.bury(peer);
    this.#table.remove(peer);
    return true;
  }

  peer(publicKey: Uint8Array): Peer | undefined {
    return this.#shared.peers.get(toHex(publicKey));
  }

  peers(): Iterable<Peer> {
    return this.#shared.peers.values();
  }

  get peerCount(): number {
    return this.#shared.peers.size;
  }

  /**
   * Starts a handshake now instead of when there is something to send: after a login, so that the new PSK is proved. The
   * five-second limit holds, but attempts made with other credentials do not count.
   */
  startHandshake(now: number, publicKey: Uint8Array, out: Outbox): boolean {
    const peer = this.peer(publicKey);
    if (peer === undefined || !this.isUp) return false;
    if (peer.hasNewCredentials) peer.lastSentHandshakeAt = -Infinity;
    peer.hasNewCredentials = false;
    peer.holdUntil = -Infinity;
    this.#sender.initiate(now, peer, false, out);
    return true;
  }

  // --- One packet at a time

  /** Any datagram, in the arena; decrypts in place. */
  receiveUdp(now: number, at: number, bytes: number, from: Endpoint, out: Outbox): Verdict {
    return this.#receiver.message(now, at, bytes, from, out);
  }

  /** An inner IP packet, in the arena with 16 bytes of room before it and 32 behind; encrypts in place. */
  receiveTun(now: number, at: number, bytes: number, out: Outbox): Verdict {
    if (!this.isUp) return 'down';
    const { u8 } = this.#shared.arena;
    if (innerLength(u8, at, bytes) < 0) return 'bad-inner';
    const peer = destinationOwner(this.routes, u8, at);
    if (peer === null) return 'no-route';
    if (peer.endpoint.family === 0) {
      peer.txErrors++;
      return 'no-endpoint';
    }
    if (peer.staged.size === 0) {
      const keypair = this.#sender.usableKeypair(now, peer, 1, out);
      if (keypair !== null)
        return this.#sender.data(now, peer, keypair, at, bytes, out) ? 'ok' : 'send-failed';
    }
    this.#sender.stage(now, peer, at, bytes, out);
    return peer.staged.size > 0 ? 'staged' : 'ok';
  }

  // --- Time

  /** When `poll` is next worth calling; Infinity for a device at rest. */
  get nextDeadline(): number {
    return this.#shared.deadlines.earliest;
  }

  /** Which timer of which peer that is. */
  nextReason(): string {
    const peer = this.#table.at(this.#shared.deadlines.first);
    return peer ? `${timer.timerNames[peer.timers.first]} of ${peer.publicKeyHex.slice(0, 8)}` : 'nothing';
  }

  /** Fires everything due. Early calls do nothing, late ones do it all. */
  poll(now: number, out: Outbox): void {
    const { deadlines } = this.#shared;
    while (deadlines.earliest <= now) {
      const peer = this.#table.at(deadlines.first)!;
      const { at } = peer.timers;
      for (let i = 0; i < at.length; i++) {
        if (at[i]! > now) continue;
        at[i] = Infinity;
        this.#actions.fire(now, peer, i, out);
      }
      this.#shared.arm(peer);
    }
  }

  // --- The packet path in batches; nothing here allocates

  /** The key for `packets` packets, or null after starting a handshake: stage them then. All or nothing (T2). */
  sendKeypair(now: number, peer: Peer, out: Outbox, packets = 1): Keypair<Peer> | null {
    return this.#sender.usableKeypair(now, peer, packets, out);
  }

  /** Copies a packet into the peer's queue, where it waits for the session (D3). */
  stage(now: number, peer: Peer, at: number, bytes: number, out: Outbox): void {
    this.#sender.stage(now, peer, at, bytes, out);
  }

  /**
   * Once per batch and peer after sending: timers, counters, keep the key fresh. `wireBytes` and `anyData` speak only of
   * what was sent without error (D7, D8); call it all the same when everything failed.
   */
  sentData(
    now: number,
    peer: Peer,
    keypair: Keypair<Peer>,
    packets: number,
    wireBytes: number,
    anyData: boolean,
    out: Outbox,
  ): void {
    this.#sender.sentData(now, peer, keypair, packets, wireBytes, anyData, out);
  }

  /** By receiver index as `getInt32` reads it. */
  findKeypair(index: number): Keypair<Peer> | null {
    return this.#shared.indices.keypair(index);
  }

  /** Whether packets under this key may still be opened (T5). */
  acceptable(now: number, keypair: Keypair<Peer>): boolean {
    return keypair.acceptable(now);
  }

  /**
   * Once per batch and keypair after at least one packet was authenticated: endpoint (of the last valid packet, R7), key
   * confirmation, timers. `wireBytes` counts accepted packets only (R5), `anyData` any non-empty authenticated one.
   */
  receivedData(
    now: number,
    keypair: Keypair<Peer>,
    from: Endpoint,
    packets: number,
    wireBytes: number,
    anyData: boolean,
    out: Outbox,
  ): void {
    this.#receiver.receivedData(now, keypair, from, packets, wireBytes, anyData, out);
  }

  // --- Load

  /** How many handshake messages wait in the caller's queue (M7). */
  noteHandshakeLoad(now: number, pending: number): void {
    this.#shared.load.pending(now, pending);
  }

  /** Whether handshakes are answered with cookies just now (M8). */
  underLoad(now: number): boolean {
    return this.#shared.load.isUnder(now);
  }

  // --- Helpers

  #expireSendKeys(peer: Peer): void {
    this.#shared.clearHandshake(peer);
    peer.expireSendKeys();
  }
}

function requireLength(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new RangeError(`a ${what} has ${length} bytes, not ${bytes.length}`);
}
