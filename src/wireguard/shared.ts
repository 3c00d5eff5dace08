// What sending and receiving have in common: the peer table's indices and deadlines, the handshake workshop, a scratch
// region of the arena. Made by the device and handed to both; no policy of its own.

import type { Arena } from '../util/arena.ts';
import { Deadlines } from '../util/deadlines.ts';
import { AllowedIps } from './peer/allowedips.ts';
import { jitterMs, maxTombstones, refreshAsResponderMs, rekeyAfterMs } from './constants.ts';
import { CookieChecker } from './dos/cookie.ts';
import { IndexTable } from './noise/indextable.ts';
import type { Keypair } from './noise/keypair.ts';
import { HandshakeLoad } from './dos/load.ts';
import { dataHeaderBytes, maxMessageBytes } from './messages.ts';
import { Noise } from './noise/handshake.ts';
import type { Peer } from './peer/peer.ts';
import type { CryptoProvider } from './primitives/provider.ts';
import { RateLimiter } from './dos/ratelimiter.ts';
import { StagedBlocks } from './peer/staged.ts';
import { TimestampClock } from './noise/tai64n.ts';

/** Room before a message for ciphers that borrow the 64 bytes before the payload. */
const headroom = 64;

export class Shared {
  readonly arena: Arena;
  readonly crypto: CryptoProvider;
  readonly random: (out: Uint8Array) => void;
  readonly wallMs: () => number;
  readonly noise: Noise<Peer>;
  readonly indices: IndexTable<Peer>;
  readonly checker: CookieChecker;
  readonly limiter: RateLimiter;
  readonly load: HandshakeLoad;
  readonly clock: TimestampClock;
  readonly blocks: StagedBlocks;
  readonly routes: AllowedIps<Peer> = new AllowedIps<Peer>();
  readonly deadlines: Deadlines = new Deadlines();
  /** By public key in hex. */
  readonly peers: Map<string, Peer> = new Map();
  /** Latest timestamps of revoked peers. */
  readonly tombstones: Map<string, Uint8Array> = new Map();
  /** A message being built: header, then payload. */
  readonly scratch: number;
  readonly scratchPayload: number;
  isUp = false;
  mtu: number;

  readonly #pool = new Uint32Array(64);
  readonly #poolBytes = new Uint8Array(this.#pool.buffer);
  #poolNext = this.#pool.length;
  /** Bound once, for the session slots to drop keypairs with. */
  readonly discard: (keypair: Keypair<Peer>) => void;

  constructor(
    arena: Arena,
    crypto: CryptoProvider,
    random: (out: Uint8Array) => void,
    wallMs: () => number,
    options: {
      mtu: number;
      maxStagedBytes: number;
      handshakesPerSecond: number;
      initialTimestamp?: Uint8Array;
    },
  ) {
    this.arena = arena;
    this.crypto = crypto;
    this.random = random;
    this.wallMs = wallMs;
    this.noise = new Noise<Peer>(crypto, random);
    this.indices = new IndexTable<Peer>(random);
    this.checker = new CookieChecker(random);
    this.limiter = new RateLimiter(this.#word());
    this.load = new HandshakeLoad(options.handshakesPerSecond);
    this.clock = new TimestampClock(options.initialTimestamp);
    this.blocks = new StagedBlocks(options.maxStagedBytes);
    this.mtu = options.mtu;
    this.scratch = arena.alloc(headroom + maxMessageBytes + headroom) + headroom;
    this.scratchPayload = this.scratch + dataHeaderBytes;
    this.discard = keypair => {
      this.indices.removeKeypair(keypair);
      keypair.destroy();
    };
  }

  /** Uniform in [0, 333) ms, from a small pool so that the packet path seldom asks for randomness. */
  jitter(): number {
    return (this.#word() / 2 ** 32) * jitterMs;
  }

  #word(): number {
    if (this.#poolNext === this.#pool.length) {
      this.random(this.#poolBytes);
      this.#poolNext = 0;
    }
    return this.#pool[this.#poolNext++]!;
  }

  /** Exposes the peer's earliest timer; call after every change to its timers. */
  arm(peer: Peer): void {
    this.deadlines.set(peer.slot, peer.isAlive ? peer.timers.earliest : Infinity);
  }

  clearHandshake(peer: Peer): void {
    this.indices.removeHandshake(peer.handshake);
    peer.handshake.clear();
  }

  /** Whether a peer kept fresh is due for a new handshake: we started the last session, or it is getting late. */
  isStale(now: number, peer: Peer): boolean {
    const { current } = peer;
    if (current === null) return false;
    if (current.isInitiator) return current.createdAt + rekeyAfterMs <= now;
    return peer.lastHandshakeAt + refreshAsResponderMs <= now;
  }

  /** All that could still encrypt, decrypt or complete. */
  wipeKeys(peer: Peer): void {
    this.clearHandshake(peer);
    peer.dropKeypairs(this.discard);
  }

  /** Keeps a revoked peer's latest timestamp, so that a recorded initiation stays worthless when it comes back (N2). */
  bury(peer: Peer): void {
    this.tombstones.delete(peer.publicKeyHex);
    this.tombstones.set(peer.publicKeyHex, Uint8Array.from(peer.handshake.latestTimestamp));
    if (this.tombstones.size <= maxTombstones) return;
    const oldest = this.tombstones.keys().next();
    if (!oldest.done) this.tombstones.delete(oldest.value);
  }
}
