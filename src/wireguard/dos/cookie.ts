// Cookies (whitepaper §5.4.4, §5.4.7; M1–M6): mac1 proves that a sender knows our public key, mac2 that it can
// receive at its address. `CookieChecker` is the receiver's side, one per device; `CookieGenerator` the sender's, one per
// peer. Neither touches endpoints, timers or counters.

import { equalBytes, isZero, wipe } from '../../util/bytes.ts';
import { hash, mac } from '../primitives/crypto.ts';
import type { Endpoint } from '../peer/endpoint.ts';
import { xchachaOpen, xchachaSeal } from '../primitives/xchacha.ts';

const macBytes = 16;
const secretMaxAgeMs = 120_000;
const latencyMs = 5_000;

// Cookie reply: u32 type, u32 receiver, nonce, sealed cookie (W5).
export const cookieReplyBytes = 64;
const replyType = 3;
const senderAt = 4;
const nonceAt = 8;
const sealedAt = 32;
const nonceBytes = sealedAt - nonceAt;
/** Asking for one costs nearly as much as asking for all of them, 3 us: it shows in a flood. */
const noncesAtOnce = 128;

const labelMac1 = Uint8Array.from('mac1----', c => c.charCodeAt(0));
const labelCookie = Uint8Array.from('cookie--', c => c.charCodeAt(0));

/** The part of a handshake message mac1 covers, mac1, the part mac2 covers, mac2. */
const mac1Input = (message: Uint8Array): Uint8Array => message.subarray(0, message.length - 2 * macBytes);
const mac1Of = (message: Uint8Array): Uint8Array =>
  message.subarray(message.length - 2 * macBytes, message.length - macBytes);
const mac2Input = (message: Uint8Array): Uint8Array => message.subarray(0, message.length - macBytes);
const mac2Of = (message: Uint8Array): Uint8Array => message.subarray(message.length - macBytes);

const expected = new Uint8Array(macBytes);

export class CookieChecker {
  readonly #random: (out: Uint8Array) => void;
  readonly #mac1Key = new Uint8Array(32);
  readonly #replyKey = new Uint8Array(32);
  #hasKey = false;
  readonly #secret = new Uint8Array(32);
  #secretSince = -Infinity;
  readonly #cookie = new Uint8Array(macBytes);
  /** Nonces to come. They are public, so unlike keys they may be stored here. */
  readonly #nonces = new Uint8Array(nonceBytes * noncesAtOnce);
  #nextNonce = noncesAtOnce;
  readonly #source4 = new Uint8Array(4 + 2);
  readonly #source6 = new Uint8Array(16 + 2);

  constructor(random: (out: Uint8Array) => void) {
    this.#random = random;
  }

  /** Our own public key; null refuses everything. */
  setKey(publicKey: Uint8Array | null): void {
    this.#hasKey = publicKey !== null;
    if (publicKey === null) return wipe(this.#mac1Key, this.#replyKey);
    hash(this.#mac1Key, labelMac1, publicKey);
    hash(this.#replyKey, labelCookie, publicKey);
  }

  /** `message` is a whole initiation or response. */
  checkMac1(message: Uint8Array): boolean {
    mac(expected, this.#mac1Key, mac1Input(message));
    return equalBytes(expected, mac1Of(message)) && this.#hasKey;
  }

  checkMac2(now: number, message: Uint8Array, from: Endpoint): boolean {
    if (isZero(mac2Of(message))) return false; // none was given: what a flood sends is not worth two hashes
    this.#makeCookie(now, from);
    mac(expected, this.#cookie, mac2Input(message));
    return equalBytes(expected, mac2Of(message)) && this.#hasKey;
  }

  /** Writes the cookie reply (64 bytes) to a `message` whose mac1 was right. */
  reply(now: number, message: Uint8Array, from: Endpoint, out: Uint8Array): void {
    this.#makeCookie(now, from);
    out.fill(0, 0, 4);
    out[0] = replyType;
    for (let i = 0; i < 4; i++) out[4 + i] = message[senderAt + i]!;
    if (this.#nextNonce === noncesAtOnce) {
      this.#random(this.#nonces);
      this.#nextNonce = 0;
    }
    const nonce = this.#nonces.subarray(this.#nextNonce * nonceBytes, ++this.#nextNonce * nonceBytes);
    out.set(nonce, nonceAt);
    xchachaSeal(
      out.subarray(sealedAt, cookieReplyBytes),
      this.#replyKey,
      nonce,
      this.#cookie,
      mac1Of(message),
    );
  }

  /** Cookie = MAC(secret, source address ‖ port); the secret is renewed lazily (M3). */
  #makeCookie(now: number, from: Endpoint): void {
    if (now - this.#secretSince >= secretMaxAgeMs) {
      this.#random(this.#secret);
      this.#secretSince = now;
    }
    const source = from.family === 4 ? this.#source4 : this.#source6;
    const bytes = source.length - 2;
    for (let i = 0; i < bytes; i++) source[i] = from.address[i]!;
    source[bytes] = from.port >> 8;
    source[bytes + 1] = from.port;
    mac(this.#cookie, this.#secret, source);
  }
}

export class CookieGenerator {
  readonly #mac1Key = new Uint8Array(32);
  readonly #replyKey = new Uint8Array(32);
  readonly #lastMac1 = new Uint8Array(macBytes);
  #awaitsReply = false;
  readonly #cookie = new Uint8Array(macBytes);
  #cookieSince = -Infinity;

  /** `publicKey` is the peer's. */
  constructor(publicKey: Uint8Array) {
    hash(this.#mac1Key, labelMac1, publicKey);
    hash(this.#replyKey, labelCookie, publicKey);
  }

  /** Fills the last 32 bytes of an outgoing initiation or response. */
  addMacs(now: number, message: Uint8Array): void {
    mac(this.#lastMac1, this.#mac1Key, mac1Input(message));
    this.#awaitsReply = true;
    mac1Of(message).set(this.#lastMac1);
    const mac2 = mac2Of(message);
    // Five seconds short of the secret's life, so that a cookie is not stale on arrival (M4).
    if (now - this.#cookieSince < secretMaxAgeMs - latencyMs) mac(mac2, this.#cookie, mac2Input(message));
    else mac2.fill(0);
  }

  /** Takes a cookie reply, at most one for each message sent (M6); false changes nothing. */
  consume(now: number, reply: Uint8Array): boolean {
    if (!this.#awaitsReply || reply.length !== cookieReplyBytes) return false;
    const nonce = reply.subarray(nonceAt, sealedAt);
    if (!xchachaOpen(this.#cookie, this.#replyKey, nonce, reply.subarray(sealedAt), this.#lastMac1))
      return false;
    this.#cookieSince = now;
    this.#awaitsReply = false;
    return true;
  }

  /** Forgets cookie and mac1; the peer is gone. */
  destroy(): void {
    wipe(this.#cookie, this.#lastMac1);
    this.#cookieSince = -Infinity;
    this.#awaitsReply = false;
  }
}
