// The timers of one peer as data (whitepaper §6; the kernel's timers.c): each is a point in time or Infinity; the device exposes the
// earliest and fires what is due. Methods are named after the events that call them and touch nothing but these numbers.

import * as c from '../constants.ts';

/** An initiation went unanswered. */
export const retransmit = 0;
/** Data came in and nothing went out for ten seconds. */
export const passiveKeepalive = 1;
/** Data went out and nothing came in for fifteen seconds. */
export const newHandshake = 2;
/** Nothing either way for the configured interval. */
export const persistentKeepalive = 3;
/** Nine minutes after the last session was derived. */
export const zeroKeys = 4;
/** Ours, as is `confirm`: only for peers kept fresh, see `Peer.keepFresh`. */
export const refresh = 5;
export const confirm = 6;

export const timerNames = [
  'retransmit',
  'passive-keepalive',
  'new-handshake',
  'persistent-keepalive',
  'zero-keys',
  'refresh',
  'confirm',
] as const;
export type TimerName = (typeof timerNames)[number];

export class Timers {
  readonly at: Float64Array = new Float64Array(timerNames.length).fill(Infinity);
  handshakeAttempts = 0;
  needAnotherKeepalive = false;
  sentLastMinuteHandshake = false;
  /** Persistent keepalive interval; 0 is off. */
  persistentMs = 0;
  #confirmDelay = 0;

  get earliest(): number {
    const at = this.at;
    let least = at[0]!;
    for (let i = 1; i < at.length; i++) if (at[i]! < least) least = at[i]!;
    return least;
  }

  /** Index of the earliest timer. */
  get first(): number {
    return this.at.indexOf(this.earliest);
  }

  stopAll(): void {
    this.at.fill(Infinity);
    this.handshakeAttempts = 0;
    this.needAnotherKeepalive = this.sentLastMinuteHandshake = false;
  }

  /** Non-empty data was sent (T11). Returns whether the timer needs arming, for only then is a jitter worth drawing. */
  wantsNewHandshake(): boolean {
    return this.at[newHandshake] === Infinity;
  }

  dataSent(now: number, jitter: number): void {
    this.at[newHandshake] = now + c.keepaliveTimeoutMs + c.rekeyTimeoutMs + jitter;
  }

  /** Non-empty data was received (T10). */
  dataReceived(now: number): void {
    if (this.at[passiveKeepalive] === Infinity) this.at[passiveKeepalive] = now + c.keepaliveTimeoutMs;
    else this.needAnotherKeepalive = true;
  }

  /** Any authenticated packet was sent: data, keepalive or handshake. */
  anySent(): void {
    this.at[passiveKeepalive] = Infinity;
  }

  anyReceived(): void {
    this.at[newHandshake] = Infinity;
  }

  /** Any authenticated packet, either way (T12). */
  anyTraversal(now: number): void {
    if (this.persistentMs > 0) this.at[persistentKeepalive] = now + this.persistentMs;
  }

  handshakeInitiated(now: number, jitter: number): void {
    this.at[retransmit] = now + c.rekeyTimeoutMs + jitter;
  }

  /** A response was accepted, or the first data confirmed our own. */
  handshakeComplete(): void {
    this.at[retransmit] = Infinity;
    this.handshakeAttempts = 0;
    this.sentLastMinuteHandshake = false;
  }

  sessionDerived(now: number): void {
    this.at[zeroKeys] = now + c.zeroAfterMs;
  }

  /** Starts repeating the key confirmation; see `Peer.keepFresh`. */
  awaitConfirmation(now: number): void {
    this.#confirmDelay = c.firstConfirmMs;
    this.at[confirm] = now + this.#confirmDelay;
  }

  confirmRepeated(now: number): void {
    this.#confirmDelay *= 2;
    this.at[confirm] = this.#confirmDelay > c.lastConfirmMs ? Infinity : now + this.#confirmDelay;
  }
}
