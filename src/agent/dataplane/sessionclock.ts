// Sessions: the three clocks of a login and every other way it ends. PURE: `now` is milliseconds of a clock that counts suspend; the
// worker turns each end into a revoke. A session reads its peer's times only when its one deadline is due, and moves the deadline if the
// peer was active: a deadline may be early, never late, and `stale` fires exactly at lastHandshakeAt + staleAfter.

import type { EndReason } from '../../control/clientapi/reasons.ts';
import { Deadlines } from '../../util/deadlines.ts';
import type { GrantedPeer, GrantRefusal, SessionState } from './commands.ts';

/** What a session reads of its peer; `Peer` of the protocol core is one. Zero means "never". */
export interface PeerClocks {
  /** When the last handshake was confirmed, on the same clock as `now`. */
  readonly lastHandshakeAt: number;
  /** When the last non-empty packet came from the peer. Keepalives and traffic towards the peer do not count. */
  readonly lastDataReceivedAt: number;
}

/** The grant without its PSK, which is not needed here. */
export type SessionGrant = Omit<GrantedPeer, 'psk' | 'allowedIps' | 'persistentKeepalive' | 'device'> & {
  /** Hex public key. */
  readonly device: string;
};

export class Session {
  readonly slot: number;
  readonly id: string;
  readonly epoch: number;
  readonly device: string;
  readonly user: string;
  readonly peer: PeerClocks;
  readonly openedAt: number;
  readonly staleAfterMs: number;
  readonly idleAfterMs: number;
  readonly onRoam: 'ignore' | 'reauth';
  /** Absolute ends on the clock of `now`; Infinity when off. */
  readonly claimBy: number;
  readonly notAfter: number;
  leaseUntil: number;
  /** First handshake confirmed under this grant, 0 = none yet. */
  claimedAt = 0;
  /** The peer's address (no port: NATs renumber ports at will), '' until one is known. */
  address = '';

  constructor(now: number, grant: SessionGrant, slot: number, peer: PeerClocks) {
    this.slot = slot;
    this.id = grant.id;
    this.epoch = grant.epoch;
    this.device = grant.device;
    this.user = grant.user;
    this.peer = peer;
    this.openedAt = now;
    this.staleAfterMs = grant.staleAfterMs;
    this.idleAfterMs = grant.idleAfterMs;
    this.onRoam = grant.onRoam ?? 'ignore';
    this.claimBy = after(now, grant.claimWithinMs);
    this.leaseUntil = after(now, grant.leaseMs);
    this.notAfter = now + grant.expiresInMs;
  }

  /** The last handshake that belongs to this session; one before the grant was made under another PSK. */
  get handshakeAt(): number {
    return this.peer.lastHandshakeAt > this.openedAt ? this.peer.lastHandshakeAt : this.claimedAt;
  }

  get staleAt(): number {
    const at = this.handshakeAt;
    return at === 0 ? Infinity : after(at, this.staleAfterMs);
  }

  /** Idleness counts from the first handshake until data comes, so that an unused login ends as well. */
  get idleAt(): number {
    if (this.idleAfterMs === 0 || this.handshakeAt === 0) return Infinity;
    const first = this.claimedAt === 0 ? this.handshakeAt : this.claimedAt;
    return Math.max(first, this.peer.lastDataReceivedAt) + this.idleAfterMs;
  }

  get unclaimedAt(): number {
    return this.handshakeAt === 0 ? this.claimBy : Infinity;
  }

  /** The earliest of all ends, as things stand. */
  get endsAt(): number {
    return Math.min(this.staleAt, this.idleAt, this.unclaimedAt, this.leaseUntil, this.notAfter);
  }

  /** Why it ends at `endsAt`. When two fall on the same moment, the more final one is reported. */
  get endsWith(): EndReason {
    const at = this.endsAt;
    if (at === this.notAfter) return 'expired';
    if (at === this.leaseUntil) return 'lease';
    if (at === this.unclaimedAt) return 'unclaimed';
    if (at === this.staleAt) return 'stale';
    return 'idle';
  }

  state(now: number, wallMs: number): SessionState {
    return {
      id: this.id,
      epoch: this.epoch,
      device: this.device,
      user: this.user,
      sinceWallMs: wallMs - (now - this.openedAt),
      confirmed: this.handshakeAt !== 0,
      sinceHandshakeMs: now - (this.handshakeAt === 0 ? this.openedAt : this.handshakeAt),
      staleInMs: this.staleAt - now,
      idleInMs: this.idleAt - now,
      leaseInMs: this.leaseUntil - now,
      expiresInMs: this.notAfter - now,
      claimInMs: this.unclaimedAt - now,
    };
  }
}

export class Sessions {
  readonly #bySlot = new Map<number, Session>();
  readonly #byId = new Map<string, Session>();
  readonly #byDevice = new Map<string, Session>();
  readonly #deadlines = new Deadlines();
  readonly maxSessions: number;

  constructor(maxSessions = 65536) {
    this.maxSessions = maxSessions;
  }

  get size(): number {
    return this.#bySlot.size;
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#bySlot.values();
  }

  of(slot: number): Session | undefined {
    return this.#bySlot.get(slot);
  }

  byId(id: string): Session | undefined {
    return this.#byId.get(id);
  }

  byDevice(device: string): Session | undefined {
    return this.#byDevice.get(device);
  }

  /** Asked before anything changes: null when the grant may be opened. The same grant again is welcome (Core retries). */
  refusal(grant: SessionGrant): GrantRefusal | null {
    if (!(grant.expiresInMs > 0)) return 'already-over';
    const live = this.#byDevice.get(grant.device);
    if (live === undefined) return this.size >= this.maxSessions ? 'too-many-peers' : null;
    if (live.id === grant.id) return null;
    return grant.epoch > live.epoch ? null : 'older-epoch';
  }

  /**
   * Starts the clocks. A live session of the same slot is replaced and returned, for the caller to report as
   * `superseded`; the same grant again only renews the lease and returns null.
   */
  open(now: number, grant: SessionGrant, slot: number, peer: PeerClocks): Session | null {
    const live = this.#bySlot.get(slot);
    if (live !== undefined && live.id === grant.id) {
      this.#extend(live, after(now, grant.leaseMs));
      return null;
    }
    if (live !== undefined) this.#forget(live);
    const session = new Session(now, grant, slot, peer);
    if (live !== undefined) session.address = live.address;
    this.#bySlot.set(slot, session);
    this.#byId.set(session.id, session);
    this.#byDevice.set(session.device, session);
    this.#deadlines.set(slot, session.endsAt);
    return live ?? null;
  }

  /** Stops the clocks: the caller ends the session for a reason of its own (admin, user, policy, stop). */
  close(slot: number): Session | null {
    const session = this.#bySlot.get(slot);
    if (session === undefined) return null;
    this.#forget(session);
    return session;
  }

  /** A handshake of the peer was confirmed. True for the first one of its session: the login is in use. */
  handshake(now: number, slot: number): boolean {
    const session = this.#bySlot.get(slot);
    if (session === undefined) return false;
    const first = session.claimedAt === 0;
    if (first) session.claimedAt = now;
    this.#deadlines.set(slot, session.endsAt);
    return first;
  }

  /** Core renewed the lease; it never becomes shorter, for renewals may overtake each other. */
  renew(now: number, id: string, untilMs: number): boolean {
    const session = this.#byId.get(id);
    if (session === undefined) return false;
    this.#extend(session, now + untilMs);
    return true;
  }

  /**
   * An authenticated packet came from `address` (no port). 'first' when none was known, 'roamed' when it moved and the
   * location demands a new login, which the caller then enforces.
   */
  seenAt(slot: number, address: string): 'first' | 'same' | 'moved' | 'roamed' {
    const session = this.#bySlot.get(slot);
    if (session === undefined || session.address === address) return 'same';
    const first = session.address === '';
    session.address = address;
    if (first) return 'first';
    return session.onRoam === 'reauth' ? 'roamed' : 'moved';
  }

  /** Ends what is due. A session is already forgotten when `end` hears of it. */
  poll(now: number, end: (session: Session, reason: EndReason) => void): void {
    while (this.#deadlines.earliest <= now) {
      const slot = this.#deadlines.first;
      const session = this.#bySlot.get(slot)!;
      const endsAt = session.endsAt;
      if (endsAt > now) {
        this.#deadlines.set(slot, endsAt); // the peer moved on since the deadline was set
        continue;
      }
      const reason = session.endsWith;
      this.#forget(session);
      end(session, reason);
    }
  }

  /** When `poll` next has something to look at; Infinity with no session. */
  get nextDeadline(): number {
    return this.#deadlines.earliest;
  }

  #extend(session: Session, until: number): void {
    if (until <= session.leaseUntil) return;
    session.leaseUntil = until;
    this.#deadlines.set(session.slot, session.endsAt);
  }

  #forget(session: Session): void {
    this.#bySlot.delete(session.slot);
    this.#byId.delete(session.id);
    if (this.#byDevice.get(session.device) === session) this.#byDevice.delete(session.device);
    this.#deadlines.set(session.slot, Infinity);
  }
}

/** `from + duration`, where a duration of 0 means "off". */
function after(from: number, durationMs: number): number {
  return durationMs === 0 ? Infinity : from + durationMs;
}
