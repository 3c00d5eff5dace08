// A session: two transport keys, one per direction (whitepaper §5.4.5). Which slot it sits in is the peer's business,
// how its packets travel that of the callers. Nonces come from one plain number, so a keypair has one owner.

import { rejectAfterMessages, rejectAfterMs } from '../constants.ts';
import type { Aead } from '../primitives/provider.ts';
import { ReplayWindow } from './replay.ts';

/** `P` is the peer's type; a keypair only hands its owner back. */
export class Keypair<P> {
  readonly peer: P;
  readonly send: Aead;
  readonly receive: Aead;
  readonly localIndex: number; // int32
  readonly remoteIndex: number; // int32
  readonly isInitiator: boolean;
  readonly createdAt: number;
  readonly replay: ReplayWindow = new ReplayWindow();
  /** The next counter to use. */
  sendCounter = 0;
  /** Cleared when the key must not send any more, though it may still receive (T2, T18, a changed private key). */
  canSend = true;
  /** Something authenticated has arrived under this key. */
  isHeard = false;
  isDestroyed = false;

  constructor(
    peer: P,
    send: Aead,
    receive: Aead,
    localIndex: number,
    remoteIndex: number,
    isInitiator: boolean,
    createdAt: number,
  ) {
    this.peer = peer;
    this.send = send;
    this.receive = receive;
    this.localIndex = localIndex;
    this.remoteIndex = remoteIndex;
    this.isInitiator = isInitiator;
    this.createdAt = createdAt;
  }

  /** Whether `packets` more may be sealed: age and counter, all or nothing (T2, T5). Past a limit it never sends again. */
  usable(now: number, packets: number): boolean {
    if (!this.canSend) return false;
    if (this.createdAt + rejectAfterMs > now && this.sendCounter + packets <= rejectAfterMessages)
      return true;
    this.canSend = false;
    return false;
  }

  /** Whether a packet may be opened; the counter's own limit is the replay window's. */
  acceptable(now: number): boolean {
    return !this.isDestroyed && this.createdAt + rejectAfterMs > now;
  }

  destroy(): void {
    if (this.isDestroyed) return;
    this.isDestroyed = true;
    this.canSend = false;
    this.send.destroy();
    this.receive.destroy();
  }
}
