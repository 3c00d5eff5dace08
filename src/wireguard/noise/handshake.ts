// The handshake Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s (whitepaper §5.4.2-5.4.5; H1-H16): <- s ... -> e, es, s, ss, {t}; <- e, ee,
// se, psk, {}. A message is verified into scratch, committed to the peer's `Handshake` in one block, and the scratch is wiped on
// every way out. Synchronous, so the state checked at the top is the state committed to (H14, N4).

import { equalBytes, isZero, wipe } from '../../util/bytes.ts';
import { initiationIntervalMs } from '../constants.ts';
import { hash, kdf1, kdf2, kdf3 } from '../primitives/crypto.ts';
import * as m from '../messages.ts';
import type { CryptoProvider } from '../primitives/provider.ts';
import { type Handshake, type HandshakeOwner, initial } from './handshakeslot.ts';
import { compareTimestamps, timestampBytes } from './tai64n.ts';

const bytes32 = (): Uint8Array => new Uint8Array(32);

const nothing = new Uint8Array(0);
const zeroKey = bytes32();

/** What became of a consumed message; all but 'ok' are verdicts and leave every state as it was. */
export type Consumed =
  'ok' | 'no-identity' | 'bad-crypto' | 'unknown-peer' | 'old-timestamp' | 'flood' | 'bad-state';

/** How a refused response relates to the PSK: not at all, maybe (an attacker on the path can forge that), or for certain. */
export type PskEvidence = 'none' | 'suspected' | 'proved';

export class Noise<P extends HandshakeOwner<P>> {
  readonly #crypto: CryptoProvider;
  readonly #random: (out: Uint8Array) => void;

  readonly privateKey: Uint8Array = bytes32();
  readonly publicKey: Uint8Array = bytes32();
  hasIdentity = false;
  /** HASH(h ‖ S_us) of handshakes others start. */
  readonly #responderHash = bytes32();

  /** The outgoing messages, all but their macs and timestamps of sending. */
  readonly initiation: Uint8Array = new Uint8Array(m.initiationBytes);
  readonly response: Uint8Array = new Uint8Array(m.responseBytes);
  readonly #initiationView = new DataView(this.initiation.buffer);
  readonly #responseView = new DataView(this.response.buffer);
  readonly #initiationOut = initiationFields(this.initiation);
  readonly #responseOut = responseFields(this.response);

  /** Incoming messages are copied here by the caller before anything looks at them. */
  readonly incomingInitiation: Uint8Array = new Uint8Array(m.initiationBytes);
  readonly incomingResponse: Uint8Array = new Uint8Array(m.responseBytes);
  readonly #incomingInitiationView = new DataView(this.incomingInitiation.buffer);
  readonly #incomingResponseView = new DataView(this.incomingResponse.buffer);
  readonly #initiationIn = initiationFields(this.incomingInitiation);
  readonly #responseIn = responseFields(this.incomingResponse);

  /** The peer of the last consumed initiation. */
  initiator: P | null = null;
  pskEvidence: PskEvidence = 'none';
  /** Results of `beginSession`; the caller makes ciphers of them and calls `forgetSession`. */
  readonly sendKey: Uint8Array = bytes32();
  readonly receiveKey: Uint8Array = bytes32();

  readonly #ck = bytes32();
  readonly #h = bytes32();
  readonly #key = bytes32();
  readonly #tau = bytes32();
  readonly #dh = bytes32();
  readonly #static = bytes32();
  readonly #timestamp = new Uint8Array(timestampBytes);
  readonly #ephemeralPrivate = bytes32();
  readonly #trialCk = bytes32();
  readonly #trialH = bytes32();

  constructor(crypto: CryptoProvider, random: (out: Uint8Array) => void) {
    this.#crypto = crypto;
    this.#random = random;
  }

  /** Clamps (H9) and adopts a private key, or drops the one we had. Peers must be precomputed anew. */
  setIdentity(privateKey: Uint8Array | null): void {
    this.hasIdentity = privateKey !== null && !isZero(privateKey);
    if (!this.hasIdentity) return wipe(this.privateKey, this.publicKey);
    this.privateKey.set(privateKey!);
    clamp(this.privateKey);
    this.#crypto.publicKey(this.publicKey, this.privateKey);
    hash(this.#responderHash, initial().hash, this.publicKey);
  }

  precompute(handshake: Handshake<P>): void {
    handshake.hasStaticStatic =
      this.hasIdentity &&
      this.#crypto.sharedSecret(handshake.staticStatic, this.privateKey, handshake.remoteStatic);
    if (!handshake.hasStaticStatic) wipe(handshake.staticStatic);
  }

  /** Fills `initiation`; false, with nothing to send, without identity or towards a low-order key (H8, H10). */
  createInitiation(handshake: Handshake<P>, localIndex: number, timestamp: Uint8Array): boolean {
    if (!this.hasIdentity || !handshake.hasStaticStatic) return false;
    const out = this.#initiationOut;
    try {
      this.#ck.set(initial().chainingKey);
      this.#h.set(handshake.responderHash);

      // e
      this.#makeEphemeral(out.ephemeral);
      this.#mixEphemeral(out.ephemeral);
      // es
      if (!this.#mixDh(this.#ephemeralPrivate, handshake.remoteStatic)) return false;
      // s
      this.#encrypt(out.static, this.publicKey);
      // ss
      kdf2(this.#ck, this.#key, this.#ck, handshake.staticStatic);
      // {t}
      this.#encrypt(out.timestamp, timestamp);

      this.#initiationView.setUint32(m.typeAt, m.typeInitiation, true);
      this.#initiationView.setInt32(m.initiationSenderAt, localIndex, true);
      handshake.ephemeralPrivate.set(this.#ephemeralPrivate);
      handshake.chainingKey.set(this.#ck);
      handshake.hash.set(this.#h);
      handshake.localIndex = localIndex;
      handshake.state = 'created-initiation';
      return true;
    } finally {
      this.#wipeScratch();
    }
  }

  /** Judges `incomingInitiation`; `find` looks a peer up by its public key. */
  consumeInitiation(now: number, find: (publicKey: Uint8Array) => P | undefined): Consumed {
    this.initiator = null;
    if (!this.hasIdentity) return 'no-identity';
    const message = this.#initiationIn;
    try {
      this.#ck.set(initial().chainingKey);
      this.#h.set(this.#responderHash);

      // e
      this.#mixEphemeral(message.ephemeral);
      // es
      if (!this.#mixDh(this.privateKey, message.ephemeral)) return 'bad-crypto';
      // s
      if (!this.#decrypt(this.#static, message.static)) return 'bad-crypto';

      // The claimed identity is known now; an unknown sender costs no more than this (H16).
      const peer = find(this.#static);
      if (peer === undefined) return 'unknown-peer';
      const handshake = peer.handshake;

      // ss
      if (!handshake.hasStaticStatic) return 'bad-crypto';
      kdf2(this.#ck, this.#key, this.#ck, handshake.staticStatic);
      // {t}
      if (!this.#decrypt(this.#timestamp, message.timestamp)) return 'bad-crypto';

      if (compareTimestamps(this.#timestamp, handshake.latestTimestamp) <= 0) return 'old-timestamp';
      if (handshake.lastConsumedAt + initiationIntervalMs > now) return 'flood';

      handshake.remoteEphemeral.set(message.ephemeral);
      handshake.latestTimestamp.set(this.#timestamp);
      handshake.hash.set(this.#h);
      handshake.chainingKey.set(this.#ck);
      handshake.remoteIndex = this.#incomingInitiationView.getInt32(m.initiationSenderAt, true);
      handshake.lastConsumedAt = now;
      handshake.state = 'consumed-initiation';
      this.initiator = peer;
      return 'ok';
    } finally {
      this.#wipeScratch();
    }
  }

  /** Fills `response` to the initiation just consumed. The PSK is read here and not before (P9). */
  createResponse(handshake: Handshake<P>, localIndex: number): boolean {
    if (handshake.state !== 'consumed-initiation') return false;
    const out = this.#responseOut;
    try {
      this.#ck.set(handshake.chainingKey);
      this.#h.set(handshake.hash);

      // e
      this.#makeEphemeral(out.ephemeral);
      this.#mixEphemeral(out.ephemeral);
      // ee
      if (!this.#mixDhKeyless(this.#ephemeralPrivate, handshake.remoteEphemeral)) return false;
      // se
      if (!this.#mixDhKeyless(this.#ephemeralPrivate, handshake.remoteStatic)) return false;
      // psk
      this.#mixPsk(handshake.presharedKey);
      // {}
      this.#encrypt(out.empty, nothing);

      this.#responseView.setUint32(m.typeAt, m.typeResponse, true);
      this.#responseView.setInt32(m.responseSenderAt, localIndex, true);
      this.#responseView.setInt32(m.responseReceiverAt, handshake.remoteIndex, true);
      handshake.chainingKey.set(this.#ck);
      handshake.hash.set(this.#h);
      handshake.localIndex = localIndex;
      handshake.state = 'created-response';
      return true;
    } finally {
      this.#wipeScratch();
    }
  }

  /** Judges `incomingResponse` against the handshake its receiver index named. */
  consumeResponse(handshake: Handshake<P>): Consumed {
    this.pskEvidence = 'none';
    if (!this.hasIdentity) return 'no-identity';
    if (handshake.state !== 'created-initiation') return 'bad-state';
    const message = this.#responseIn;
    try {
      this.#ck.set(handshake.chainingKey);
      this.#h.set(handshake.hash);

      // e
      this.#mixEphemeral(message.ephemeral);
      // ee
      if (!this.#mixDhKeyless(handshake.ephemeralPrivate, message.ephemeral)) return 'bad-crypto';
      // se
      if (!this.#mixDhKeyless(this.privateKey, message.ephemeral)) return 'bad-crypto';
      this.#trialCk.set(this.#ck);
      this.#trialH.set(this.#h);
      // psk
      this.#mixPsk(handshake.presharedKey);
      // {}
      if (!this.#decrypt(nothing, message.empty)) {
        this.#weighPsk(handshake, message.empty);
        return 'bad-crypto';
      }

      handshake.remoteEphemeral.set(message.ephemeral);
      handshake.hash.set(this.#h);
      handshake.chainingKey.set(this.#ck);
      handshake.remoteIndex = this.#incomingResponseView.getInt32(m.responseSenderAt, true);
      handshake.state = 'consumed-response';
      return 'ok';
    } finally {
      this.#wipeScratch();
    }
  }

  /** (T_send, T_recv) into `sendKey` and `receiveKey` (H7); the slot returns to zeroed (H11). */
  beginSession(
    handshake: Handshake<P>,
  ): { isInitiator: boolean; localIndex: number; remoteIndex: number } | null {
    const isInitiator = handshake.state === 'consumed-response';
    if (!isInitiator && handshake.state !== 'created-response') return null;
    if (isInitiator) kdf2(this.sendKey, this.receiveKey, handshake.chainingKey, nothing);
    else kdf2(this.receiveKey, this.sendKey, handshake.chainingKey, nothing);
    const { localIndex, remoteIndex } = handshake;
    handshake.clear();
    return { isInitiator, localIndex, remoteIndex };
  }

  forgetSession(): void {
    wipe(this.sendKey, this.receiveKey);
  }

  /**
   * A tag that does not open is a wrong PSK or a forgery: mac1 needs only public knowledge. If it opens with the zero key
   * the responder has no PSK for us, and the DHs prove that it was the responder (P6).
   */
  #weighPsk(handshake: Handshake<P>, sealed: Uint8Array): void {
    this.pskEvidence = 'suspected';
    if (isZero(handshake.presharedKey)) return;
    this.#ck.set(this.#trialCk);
    this.#h.set(this.#trialH);
    this.#mixPsk(zeroKey);
    if (this.#decrypt(nothing, sealed)) this.pskEvidence = 'proved';
  }

  #makeEphemeral(out: Uint8Array): void {
    this.#random(this.#ephemeralPrivate);
    clamp(this.#ephemeralPrivate);
    this.#crypto.publicKey(out, this.#ephemeralPrivate);
  }

  /** h = HASH(h ‖ E), ck = KDF1(ck, E) (H2). */
  #mixEphemeral(ephemeral: Uint8Array): void {
    hash(this.#h, this.#h, ephemeral);
    kdf1(this.#ck, this.#ck, ephemeral);
  }

  /** (ck, k) = KDF2(ck, DH(private, public)). */
  #mixDh(privateKey: Uint8Array, publicKey: Uint8Array): boolean {
    if (!this.#crypto.sharedSecret(this.#dh, privateKey, publicKey)) return false;
    kdf2(this.#ck, this.#key, this.#ck, this.#dh);
    return true;
  }

  /** ck = KDF1(ck, DH(private, public)). */
  #mixDhKeyless(privateKey: Uint8Array, publicKey: Uint8Array): boolean {
    if (!this.#crypto.sharedSecret(this.#dh, privateKey, publicKey)) return false;
    kdf1(this.#ck, this.#ck, this.#dh);
    return true;
  }

  /** (ck, τ, k) = KDF3(ck, Q), h = HASH(h ‖ τ) (H6). */
  #mixPsk(presharedKey: Uint8Array): void {
    kdf3(this.#ck, this.#tau, this.#key, this.#ck, presharedKey);
    hash(this.#h, this.#h, this.#tau);
  }

  /** out = AEAD(k, 0, plain, h), h = HASH(h ‖ out). */
  #encrypt(out: Uint8Array, plain: Uint8Array): void {
    this.#crypto.seal(out, this.#key, plain, this.#h);
    hash(this.#h, this.#h, out);
  }

  #decrypt(out: Uint8Array, sealed: Uint8Array): boolean {
    if (!this.#crypto.open(out, this.#key, sealed, this.#h)) return false;
    hash(this.#h, this.#h, sealed);
    return true;
  }

  #wipeScratch(): void {
    wipe(this.#ck, this.#h, this.#key, this.#tau, this.#dh, this.#static, this.#timestamp);
    wipe(this.#ephemeralPrivate, this.#trialCk, this.#trialH);
  }
}

/** Curve25519 private key clamping (RFC 7748 §5). */
export function clamp(privateKey: Uint8Array): void {
  privateKey[0]! &= 248;
  privateKey[31] = (privateKey[31]! & 127) | 64;
}

/** Whether this is `clamped(privateKey)`. */
export function isSamePrivateKey(clamped: Uint8Array, privateKey: Uint8Array): boolean {
  const copy = Uint8Array.from(privateKey);
  clamp(copy);
  const same = equalBytes(clamped, copy);
  wipe(copy);
  return same;
}

function initiationFields(bytes: Uint8Array) {
  return {
    ephemeral: bytes.subarray(m.initiationEphemeralAt, m.initiationStaticAt),
    static: bytes.subarray(m.initiationStaticAt, m.initiationTimestampAt),
    timestamp: bytes.subarray(m.initiationTimestampAt, m.initiationMac1At),
  };
}

function responseFields(bytes: Uint8Array) {
  return {
    ephemeral: bytes.subarray(m.responseEphemeralAt, m.responseEmptyAt),
    empty: bytes.subarray(m.responseEmptyAt, m.responseMac1At),
  };
}
