// A peer: its key, where it is, the three session slots (whitepaper §6.3; S1–S4) and its accounts. Holds state
// and the rules between its parts; what is sent and when is decided in send.ts and receive.ts.

import { toHex } from '../../util/bytes.ts';
import { CookieGenerator } from '../dos/cookie.ts';
import { Endpoint } from './endpoint.ts';
import type { Keypair } from '../noise/keypair.ts';
import { Handshake } from '../noise/handshakeslot.ts';
import { StagedQueue } from './staged.ts';
import type { StagedBlocks } from './staged.ts';
import { Timers } from './timers.ts';

export class Peer {
  /** Small integer, unique among living peers, reused after removal. */
  readonly slot: number;
  readonly publicKey: Uint8Array;
  readonly publicKeyHex: string;
  readonly endpoint: Endpoint = new Endpoint();
  readonly handshake: Handshake<Peer>;
  readonly presharedKey: Uint8Array;
  readonly cookie: CookieGenerator;
  readonly timers: Timers = new Timers();
  readonly staged: StagedQueue;
  isAlive = true;

  current: Keypair<Peer> | null = null;
  next: Keypair<Peer> | null = null;
  previous: Keypair<Peer> | null = null;

  /** Seconds; 0 is off. */
  persistentKeepalive = 0;
  /**
   * For peers of a session, so that the three-minute rule does not log out a living one: the initiator renews at 120 s without
   * traffic and repeats its key confirmation until heard, the responder starts a handshake at 150 s.
   * docs/decisions/0012-keep-a-living-peer-fresh.md.
   */
  keepFresh = false;

  txBytes = 0;
  rxBytes = 0;
  txErrors = 0;
  rxErrors = 0;
  /** Packets dropped while they waited for a session. */
  txDropped = 0;
  /** Completed handshakes. */
  handshakes = 0;
  /** Last confirmed handshake (S8) on the device's clock, 0 before the first. */
  lastHandshakeAt = 0;
  lastHandshakeWallMs = 0;
  /** Last non-empty authenticated packet. */
  lastDataReceivedAt = 0;
  /** Last authenticated message of any kind. */
  lastHeardAt: number = -Infinity;

  /** Initiation or response (T7). */
  lastSentHandshakeAt: number = -Infinity;
  /** No initiation before this time: the PSKs disagree (P6). */
  holdUntil: number = -Infinity;
  mismatches = 0;
  hasMismatch = false;
  /** The PSK has changed since the last explicit handshake. */
  hasNewCredentials = false;
  /** Answered initiations in a row without confirmation, and when the first came. */
  unconfirmed = 0;
  unconfirmedSince = 0;

  constructor(slot: number, publicKey: Uint8Array, blocks: StagedBlocks) {
    this.slot = slot;
    this.publicKey = Uint8Array.from(publicKey);
    this.publicKeyHex = toHex(publicKey);
    this.handshake = new Handshake(this, this.publicKey);
    this.presharedKey = this.handshake.presharedKey;
    this.cookie = new CookieGenerator(this.publicKey);
    this.staged = new StagedQueue(blocks);
  }

  /**
   * Puts a new session into its slot and calls `discard` for those that fall out. An initiator uses it at once (S2); a
   * responder keeps it as `next` until the other side has proved that it has the key (S3).
   */
  addKeypair(keypair: Keypair<Peer>, discard: (keypair: Keypair<Peer>) => void): void {
    const { previous, current, next } = this;
    if (keypair.isInitiator) {
      this.previous = next ?? current;
      this.current = keypair;
      this.next = null;
      if (next && current) discard(current);
    } else {
      this.next = keypair;
      this.previous = null;
      if (next) discard(next);
    }
    if (previous) discard(previous);
  }

  /** The first authenticated packet under `next` (S4). */
  confirmNext(discard: (keypair: Keypair<Peer>) => void): void {
    const { previous } = this;
    this.previous = this.current;
    this.current = this.next;
    this.next = null;
    if (previous) discard(previous);
  }

  dropKeypairs(discard: (keypair: Keypair<Peer>) => void): void {
    const { previous, current, next } = this;
    this.previous = this.current = this.next = null;
    if (previous) discard(previous);
    if (current) discard(current);
    if (next) discard(next);
  }

  /** Live keys stop sending; they still receive until they expire (T18, U6). */
  expireSendKeys(): void {
    if (this.current) this.current.canSend = false;
    if (this.next) this.next.canSend = false;
    this.lastSentHandshakeAt = -Infinity;
  }

  /** Disagreement is over: other credentials, or a handshake that worked. */
  forgetMismatch(): void {
    this.holdUntil = -Infinity;
    this.mismatches = this.unconfirmed = 0;
    this.hasMismatch = false;
  }

  /** A printed peer shows no key. */
  toJSON(): string {
    return this.publicKeyHex;
  }
}
