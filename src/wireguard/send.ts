// Sending (the kernel's send.c): handshake messages, keepalives, staged packets and data, in the order and with the timer
// calls of the kernel. Whatever fails to leave is not counted, but the timers go on (D7, D8).

import { maxMismatchHoldMs, rekeyAfterMessages, rekeyAfterMs, rekeyTimeoutMs } from './constants.ts';
import type { DeviceEvent, Outbox } from './effects.ts';
import type { Endpoint } from './peer/endpoint.ts';
import { Keypair } from './noise/keypair.ts';
import * as m from './messages.ts';
import type { Peer } from './peer/peer.ts';
import type { Shared } from './shared.ts';
import { timestampBytes } from './noise/tai64n.ts';
import { retransmit } from './peer/timers.ts';

const nothing = new Uint8Array(0);

export class Sender {
  readonly #shared: Shared;
  readonly #timestamp = new Uint8Array(timestampBytes);
  readonly #cookieReply = new Uint8Array(m.cookieReplyBytes);

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Asks for a new session. Anything but a retry starts counting attempts anew, even when it sends nothing (T8). */
  initiate(now: number, peer: Peer, isRetry: boolean, out: Outbox): void {
    const shared = this.#shared;
    const { timers } = peer;
    if (!isRetry) timers.handshakeAttempts = 0;
    if (!shared.isUp || !peer.isAlive || peer.endpoint.family === 0) return;

    // Too early (T7, P6). The kernel forgets a retry it suppresses; this code keeps it, so that two crossed handshakes
    // whose replies were both lost do not leave both sides silent.
    const earliest = Math.max(peer.lastSentHandshakeAt + rekeyTimeoutMs, peer.holdUntil);
    if (earliest > now) {
      if (isRetry || peer.holdUntil > now) timers.at[retransmit] = earliest + shared.jitter();
      return shared.arm(peer);
    }

    const { noise, indices } = shared;
    peer.lastSentHandshakeAt = now;
    shared.clearHandshake(peer);
    shared.clock.next(this.#timestamp, shared.wallMs());
    const index = indices.insert(peer.handshake);
    peer.handshake.localIndex = index;
    if (!noise.createInitiation(peer.handshake, index, this.#timestamp)) return shared.clearHandshake(peer);

    peer.hasMismatch = false;
    this.#handshakeMessage(now, peer, noise.initiation, m.typeInitiation, out);
    timers.handshakeInitiated(now, shared.jitter());
    shared.arm(peer);
    event(out, 'initiation-sent', peer);
  }

  /** Answers the initiation just consumed and derives the session, which waits as `next`. */
  respond(now: number, peer: Peer, out: Outbox): void {
    const shared = this.#shared;
    const { noise, indices } = shared;
    peer.lastSentHandshakeAt = now;
    indices.removeHandshake(peer.handshake); // our own initiation, overwritten by theirs (H15)
    const index = indices.insert(peer.handshake);
    const created = noise.createResponse(peer.handshake, index);
    peer.handshake.localIndex = index;
    if (!created) return shared.clearHandshake(peer);
    this.beginSession(now, peer);
    peer.timers.sessionDerived(now);
    this.#handshakeMessage(now, peer, noise.response, m.typeResponse, out);
    event(out, 'response-sent', peer);
  }

  /** Turns a finished handshake into a keypair in its slot. */
  beginSession(now: number, peer: Peer): Keypair<Peer> | null {
    const { noise, crypto, indices, discard } = this.#shared;
    const session = noise.beginSession(peer.handshake);
    if (session === null) return null;
    const { localIndex, remoteIndex, isInitiator } = session;
    const send = crypto.aead(noise.sendKey);
    const receive = crypto.aead(noise.receiveKey);
    noise.forgetSession();
    const keypair = new Keypair(peer, send, receive, localIndex, remoteIndex, isInitiator, now);
    indices.replace(localIndex, keypair);
    peer.addKeypair(keypair, discard);
    return keypair;
  }

  cookieReply(now: number, message: Uint8Array, to: Endpoint, out: Outbox): void {
    const { arena, checker, scratch } = this.#shared;
    checker.reply(now, message, to, this.#cookieReply);
    arena.u8.set(this.#cookieReply, scratch);
    out.datagram(scratch, m.cookieReplyBytes, to, null, m.typeCookieReply);
  }

  /** An empty packet, unless something is already waiting, which does as well (T14). */
  keepalive(now: number, peer: Peer, out: Outbox): void {
    if (peer.staged.size === 0) peer.staged.push(nothing, 0, 0);
    this.flush(now, peer, out);
  }

  stage(now: number, peer: Peer, at: number, bytes: number, out: Outbox): void {
    peer.txDropped += peer.staged.push(this.#shared.arena.u8, at, bytes);
    this.flush(now, peer, out);
  }

  /** Sends all that is staged, or starts a handshake and leaves it staged (D4). */
  flush(now: number, peer: Peer, out: Outbox): void {
    const { staged } = peer;
    const { arena, scratchPayload } = this.#shared;
    const packets = staged.size;
    if (packets === 0) return;
    const keypair = this.usableKeypair(now, peer, packets, out);
    if (keypair === null) return;
    let sent = 0;
    let wireBytes = 0;
    let anyData = false;
    for (let i = 0; i < packets; i++) {
      const bytes = staged.nextBytes;
      staged.shift(arena.u8, scratchPayload);
      const wire = this.#seal(peer, keypair, scratchPayload, bytes, out);
      if (wire === 0) continue;
      sent++;
      wireBytes += wire;
      if (bytes > 0) anyData = true;
    }
    this.sentData(now, peer, keypair, sent, wireBytes, anyData, out);
  }

  /** One packet in place: 16 bytes of room before it, 31 behind. The key must be usable. */
  data(now: number, peer: Peer, keypair: Keypair<Peer>, at: number, bytes: number, out: Outbox): boolean {
    const wireBytes = this.#seal(peer, keypair, at, bytes, out);
    const sent = wireBytes > 0;
    this.sentData(now, peer, keypair, sent ? 1 : 0, wireBytes, sent && bytes > 0, out);
    return sent;
  }

  /** The key to send `packets` packets with, or null after asking for a new one (S5, T2, T5). */
  usableKeypair(now: number, peer: Peer, packets: number, out: Outbox): Keypair<Peer> | null {
    const keypair = peer.current;
    if (keypair !== null && keypair.usable(now, packets)) return keypair;
    this.initiate(now, peer, false, out);
    return null;
  }

  sentData(
    now: number,
    peer: Peer,
    keypair: Keypair<Peer>,
    _packets: number,
    wireBytes: number,
    anyData: boolean,
    out: Outbox,
  ): void {
    if (!peer.isAlive) return;
    const { timers } = peer;
    peer.txBytes += wireBytes;
    timers.anyTraversal(now);
    timers.anySent();
    if (anyData && timers.wantsNewHandshake()) timers.dataSent(now, this.#shared.jitter());
    this.#keepKeyFresh(now, peer, keypair, out);
    this.#shared.arm(peer);
  }

  /** T1, T3: by count for either side, by age only for the initiator. */
  #keepKeyFresh(now: number, peer: Peer, keypair: Keypair<Peer>, out: Outbox): void {
    if (keypair !== peer.current || !keypair.canSend) return;
    if (
      keypair.sendCounter > rekeyAfterMessages ||
      (keypair.isInitiator && keypair.createdAt + rekeyAfterMs <= now)
    )
      this.initiate(now, peer, false, out);
  }

  /** Returns the message's length, or 0 when it could not be sent. */
  #seal(peer: Peer, keypair: Keypair<Peer>, at: number, bytes: number, out: Outbox): number {
    const { arena, mtu } = this.#shared;
    const padded = m.paddedLength(bytes, mtu);
    for (let i = bytes; i < padded; i++) arena.u8[at + i] = 0;
    const header = at - m.dataHeaderBytes;
    const counter = keypair.sendCounter++;
    arena.view.setUint32(header, m.typeData, true);
    arena.view.setInt32(header + m.dataReceiverAt, keypair.remoteIndex, true);
    arena.view.setUint32(header + m.dataCounterAt, counter, true);
    arena.view.setUint32(header + m.dataCounterAt + 4, counter / 2 ** 32, true);
    keypair.send.seal(at, padded, counter);
    const wire = padded + m.dataOverheadBytes;
    if (out.datagram(header, wire, peer.endpoint, peer, m.typeData)) return wire;
    peer.txErrors++;
    return 0;
  }

  #handshakeMessage(now: number, peer: Peer, message: Uint8Array, type: number, out: Outbox): void {
    const { arena, scratch } = this.#shared;
    peer.cookie.addMacs(now, message);
    peer.timers.anyTraversal(now);
    peer.timers.anySent();
    arena.u8.set(message, scratch);
    if (out.datagram(scratch, message.length, peer.endpoint, peer, type)) peer.txBytes += message.length;
    else peer.txErrors++;
  }

  /** The PSKs seem to disagree: with no session to save, each further answer of that kind makes us slower (P6). */
  holdBack(now: number, peer: Peer): void {
    peer.mismatches++;
    if (peer.mismatches < 2 || (peer.current !== null && peer.current.usable(now, 1))) return;
    const wait = Math.min(maxMismatchHoldMs, rekeyTimeoutMs * 2 ** Math.min(peer.mismatches - 1, 8));
    peer.holdUntil = now + wait;
    peer.timers.at[retransmit] = peer.holdUntil + this.#shared.jitter();
    this.#shared.arm(peer);
  }
}

export function event(out: Outbox, kind: DeviceEvent['kind'], peer: Peer): void {
  out.event({ kind, peer });
}
