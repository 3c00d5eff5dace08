// What each timer of a peer does when it fires (whitepaper §6; the kernel's timers.c). When it fires is peer/timers.ts.

import * as c from './constants.ts';
import type { Outbox } from './effects.ts';
import type { Peer } from './peer/peer.ts';
import * as timer from './peer/timers.ts';
import { event, type Sender } from './send.ts';
import type { Shared } from './shared.ts';

export class TimerActions {
  readonly #shared: Shared;
  readonly #sender: Sender;

  constructor(shared: Shared, sender: Sender) {
    this.#shared = shared;
    this.#sender = sender;
  }

  /** What timer number `which` of `peer` does when it fires at `now`. */
  fire(now: number, peer: Peer, which: number, out: Outbox): void {
    const { timers } = peer;
    const sender = this.#sender;
    switch (which) {
      case timer.retransmit:
        return this.#retransmit(now, peer, out);
      case timer.passiveKeepalive:
        sender.keepalive(now, peer, out);
        if (timers.needAnotherKeepalive) timers.at[timer.passiveKeepalive] = now + c.keepaliveTimeoutMs;
        timers.needAnotherKeepalive = false;
        return;
      case timer.newHandshake:
        peer.endpoint.clearSource();
        return sender.initiate(now, peer, false, out);
      case timer.persistentKeepalive:
        if (timers.persistentMs === 0) return;
        sender.keepalive(now, peer, out);
        // Nothing could be sent, hence nothing has set it again.
        if (timers.at[timer.persistentKeepalive] === Infinity) timers.anyTraversal(now);
        return;
      case timer.zeroKeys:
        timers.at[timer.refresh] = timers.at[timer.confirm] = Infinity;
        this.#shared.wipeKeys(peer);
        return event(out, 'keys-zeroed', peer);
      case timer.refresh:
        // Only towards a living peer or one with a persistent keepalive; else the next packet received does it.
        if (timers.persistentMs === 0 && peer.lastHeardAt + c.heardWithinMs <= now) return;
        if (this.#shared.isStale(now, peer)) sender.initiate(now, peer, false, out);
        return;
      case timer.confirm:
        if (peer.current === null || peer.current.isHeard) return;
        sender.keepalive(now, peer, out);
        return timers.confirmRepeated(now);
    }
  }

  #retransmit(now: number, peer: Peer, out: Outbox): void {
    const { timers } = peer;
    if (timers.handshakeAttempts > c.maxTimerHandshakes) {
      // Twenty initiations in vain (T8). A live session is kept, and new data starts attempts again.
      timers.at[timer.passiveKeepalive] = Infinity;
      peer.txDropped += peer.staged.clear();
      if (timers.at[timer.zeroKeys] === Infinity) timers.sessionDerived(now);
      return event(out, 'handshake-gave-up', peer);
    }
    timers.handshakeAttempts++;
    peer.endpoint.clearSource(); // it may be the cause of the trouble (T9)
    this.#sender.initiate(now, peer, true, out);
  }
}
