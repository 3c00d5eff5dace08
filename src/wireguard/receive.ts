// Receiving (the kernel's receive.c): which message it is, whether it may cost anything, what it changes. Every input ends
// in a verdict; nothing but counters changes before authentication. Bytes of the arena are judged where they lie, except
// handshake messages, which are copied first.

import { toHex } from '../util/bytes.ts';
import {
  refreshAsResponderMs,
  rekeyAfterMs,
  rekeyOnReceiveAfterMs,
  unconfirmedCount,
  unconfirmedWithinMs,
} from './constants.ts';
import type { Outbox, Verdict } from './effects.ts';
import type { Endpoint } from './peer/endpoint.ts';
import { innerLength, sourceOwner } from './inner.ts';
import type { Keypair } from './noise/keypair.ts';
import * as m from './messages.ts';
import type { Peer } from './peer/peer.ts';
import { event } from './send.ts';
import type { Sender } from './send.ts';
import type { Shared } from './shared.ts';
import { confirm, refresh } from './peer/timers.ts';

export class Receiver {
  readonly #shared: Shared;
  readonly #sender: Sender;
  readonly #find: (publicKey: Uint8Array) => Peer | undefined;
  readonly #cookieReply = new Uint8Array(m.cookieReplyBytes);

  constructor(shared: Shared, sender: Sender) {
    this.#shared = shared;
    this.#sender = sender;
    this.#find = publicKey => shared.peers.get(toHex(publicKey));
  }

  message(now: number, at: number, bytes: number, from: Endpoint, out: Outbox): Verdict {
    const { arena, isUp } = this.#shared;
    if (!isUp) return 'down';
    if (bytes < 4) return 'malformed';
    const type = arena.view.getUint32(at, true);
    if (!m.isLegalLength(type, bytes)) return 'malformed';
    switch (type) {
      case m.typeData:
        return this.#data(now, at, bytes, from, out);
      case m.typeInitiation:
        return this.#initiation(now, at, from, out);
      case m.typeResponse:
        return this.#response(now, at, from, out);
      default:
        return this.#cookie(now, at);
    }
  }

  #initiation(now: number, at: number, from: Endpoint, out: Outbox): Verdict {
    const { arena, noise } = this.#shared;
    const message = noise.incomingInitiation;
    message.set(arena.u8.subarray(at, at + m.initiationBytes));
    const admission = this.#admit(now, message, from, out);
    if (admission !== 'ok') return admission;
    const consumed = noise.consumeInitiation(now, this.#find);
    if (consumed !== 'ok') return consumed;

    const peer = noise.initiator!;
    event(out, 'initiation-received', peer);
    this.#roam(peer, from, out);
    this.#sender.respond(now, peer, out);
    if (peer.next !== null) this.#countUnconfirmed(now, peer, message, out);
    this.#authenticated(now, peer, m.initiationBytes);
    return 'ok';
  }

  #response(now: number, at: number, from: Endpoint, out: Outbox): Verdict {
    const { arena, noise, indices } = this.#shared;
    const message = noise.incomingResponse;
    message.set(arena.u8.subarray(at, at + m.responseBytes));
    const admission = this.#admit(now, message, from, out);
    if (admission !== 'ok') return admission;
    const handshake = indices.handshake(arena.view.getInt32(at + m.responseReceiverAt, true));
    if (handshake === null) return 'unknown-index';
    const peer = handshake.peer;
    const consumed = noise.consumeResponse(handshake);
    if (consumed !== 'ok') {
      if (noise.pskEvidence !== 'none') this.#pskMismatch(now, peer, out);
      return consumed;
    }

    this.#roam(peer, from, out);
    if (this.#sender.beginSession(now, peer) !== null) {
      peer.timers.sessionDerived(now);
      this.#complete(now, peer, out);
      if (peer.keepFresh) {
        peer.timers.at[refresh] = now + rekeyAfterMs;
        peer.timers.awaitConfirmation(now);
      }
      // Staged packets or else a keepalive, at once: the responder may not send before it hears from us (S6).
      this.#sender.keepalive(now, peer, out);
    }
    this.#authenticated(now, peer, m.responseBytes);
    return 'ok';
  }

  /** Touches neither endpoint nor timers nor counters: it is not authenticated by a session (M6, E1). */
  #cookie(now: number, at: number): Verdict {
    const { arena, indices } = this.#shared;
    const message = this.#cookieReply;
    message.set(arena.u8.subarray(at, at + m.cookieReplyBytes));
    const index = arena.view.getInt32(at + m.cookieReceiverAt, true);
    const peer = indices.handshake(index)?.peer ?? indices.keypair(index)?.peer;
    if (peer === undefined) return 'unknown-index';
    return peer.cookie.consume(now, message) ? 'ok' : 'bad-crypto';
  }

  /** Whether a handshake message may cost a Diffie-Hellman: mac1 always, under load a cookie and the rate limit too. */
  #admit(now: number, message: Uint8Array, from: Endpoint, out: Outbox): Verdict {
    const { checker, limiter, load, noise } = this.#shared;
    if (!noise.hasIdentity) return 'no-identity';
    if (!checker.checkMac1(message)) return 'bad-mac1';
    load.arrived(now);
    if (!load.isUnder(now)) return 'ok';
    if (!checker.checkMac2(now, message, from)) {
      this.#sender.cookieReply(now, message, from, out);
      return 'under-load';
    }
    return limiter.allow(now, from) ? 'ok' : 'rate-limited';
  }

  #data(now: number, at: number, bytes: number, from: Endpoint, out: Outbox): Verdict {
    const { arena, indices, routes } = this.#shared;
    const { view, u8 } = arena;
    const keypair = indices.keypair(view.getInt32(at + m.dataReceiverAt, true));
    if (keypair === null) return 'unknown-index';
    if (!keypair.acceptable(now)) return 'expired-key';
    const low = view.getUint32(at + m.dataCounterAt, true);
    const high = view.getUint32(at + m.dataCounterAt + 4, true);
    const inner = at + m.dataHeaderBytes;
    if (!keypair.receive.open(inner, bytes - m.dataHeaderBytes, low, high)) return 'bad-crypto';
    if (!keypair.replay.accept(low, high)) return 'replay';

    const { peer } = keypair;
    const innerBytes = bytes - m.dataOverheadBytes;
    if (innerBytes === 0) {
      this.receivedData(now, keypair, from, 1, bytes, false, out);
      return 'keepalive';
    }
    // Judged first, because only accepted packets count as received (R5); acted on last (R1).
    const length = innerLength(u8, inner, innerBytes);
    const verdict = length < 0 ? 'bad-inner' : sourceOwner(routes, u8, inner) !== peer ? 'bad-source' : 'ok';
    if (verdict !== 'ok') peer.rxErrors++;
    this.receivedData(now, keypair, from, 1, verdict === 'ok' ? bytes : 0, true, out);
    if (verdict === 'ok') out.packet(inner, length, peer);
    return verdict;
  }

  receivedData(
    now: number,
    keypair: Keypair<Peer>,
    from: Endpoint,
    _packets: number,
    wireBytes: number,
    anyData: boolean,
    out: Outbox,
  ): void {
    const { peer } = keypair;
    if (!peer.isAlive) return; // revoked in the middle of the batch
    const { timers } = peer;
    this.#roam(peer, from, out);
    keypair.isHeard = true;
    if (keypair === peer.next) {
      peer.confirmNext(this.#shared.discard);
      this.#complete(now, peer, out);
      if (peer.keepFresh) timers.at[refresh] = now + refreshAsResponderMs;
      this.#sender.flush(now, peer, out);
    }
    if (keypair === peer.current) timers.at[confirm] = Infinity;
    this.#keepKeyFresh(now, peer, out);
    if (anyData) {
      timers.dataReceived(now);
      peer.lastDataReceivedAt = now;
    }
    this.#authenticated(now, peer, wireBytes);
  }

  /** T4: an initiator that only listens renews at 165 s; one that keeps its peer fresh as soon as it is due. */
  #keepKeyFresh(now: number, peer: Peer, out: Outbox): void {
    const { current, timers } = peer;
    if (peer.keepFresh && current !== null && current.canSend && this.#shared.isStale(now, peer))
      return this.#sender.initiate(now, peer, false, out);
    if (timers.sentLastMinuteHandshake || current === null) return;
    if (!current.canSend || !current.isInitiator || current.createdAt + rekeyOnReceiveAfterMs > now) return;
    timers.sentLastMinuteHandshake = true;
    this.#sender.initiate(now, peer, false, out);
  }

  /** Bookkeeping of any authenticated message (T15). */
  #authenticated(now: number, peer: Peer, wireBytes: number): void {
    peer.rxBytes += wireBytes;
    peer.lastHeardAt = now;
    peer.timers.anyReceived();
    peer.timers.anyTraversal(now);
    this.#shared.arm(peer);
  }

  /** The key is confirmed: last_handshake moves (S8). */
  #complete(now: number, peer: Peer, out: Outbox): void {
    peer.timers.handshakeComplete();
    peer.lastHandshakeAt = now;
    peer.lastHandshakeWallMs = this.#shared.wallMs();
    peer.handshakes++;
    peer.forgetMismatch();
    event(out, 'handshake-complete', peer);
  }

  /** The source of anything authenticated is where the peer is now (E1). */
  #roam(peer: Peer, from: Endpoint, out: Outbox): void {
    const { endpoint } = peer;
    if (endpoint.equals(from)) return;
    const moved = endpoint.family !== 0 && !endpoint.isSameRemote(from);
    endpoint.copyFrom(from);
    if (moved) event(out, 'endpoint-changed', peer);
  }

  /** Answered initiations that lead nowhere: a wrong PSK on the other side, or our replies are lost (§3.5). */
  #countUnconfirmed(now: number, peer: Peer, message: Uint8Array, out: Outbox): void {
    for (let i = m.initiationMac2At; i < m.initiationBytes; i++) if (message[i] !== 0) return;
    if (peer.unconfirmed === 0 || now - peer.unconfirmedSince > unconfirmedWithinMs) {
      peer.unconfirmed = 0;
      peer.unconfirmedSince = now;
    }
    if (++peer.unconfirmed < unconfirmedCount) return;
    peer.unconfirmed = 0;
    event(out, 'handshake-unconfirmed', peer);
  }

  /** Advisory: no state of the handshake changes, the genuine response may still come (P8). Once per initiation. */
  #pskMismatch(now: number, peer: Peer, out: Outbox): void {
    if (peer.hasMismatch) return;
    peer.hasMismatch = true;
    this.#sender.holdBack(now, peer);
    event(out, 'psk-mismatch', peer);
  }
}
