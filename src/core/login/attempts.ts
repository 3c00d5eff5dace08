// Counting attempts, pure. One gate per account, device and source; an attempt is counted, and stored, *before* the code is
// looked at, so guessing in parallel or cutting the power gains nothing. After a few free tries each one costs a growing wait,
// and at a limit comes a lock that always ends by itself.

export type GateKind = 'account' | 'device' | 'source';

export interface Gate {
  readonly failures: number;
  readonly lastAt: number;
  readonly lockedUntil: number;
  /** Locks so far; each doubles the next, up to the longest. */
  readonly locks: number;
}

export const openGate: Gate = { failures: 0, lastAt: 0, lockedUntil: 0, locks: 0 };

interface GateRule {
  readonly free: number;
  readonly lockAt: number;
}

// A source may be an office behind one address, so it is given more room than a person.
const rules: Readonly<Record<GateKind, GateRule>> = {
  account: { free: 3, lockAt: 10 },
  device: { free: 3, lockAt: 10 },
  source: { free: 20, lockAt: 60 },
};

const longestWaitMs = 60_000;
const firstLockMs = 15 * 60_000;
const longestLockMs = 60 * 60_000;
const forgetAfterMs = 24 * 3600_000;
/** A source forgets one failure in this time: an office of many people mistypes every day. */
const sourceLeakMs = 5 * 60_000;

/** Milliseconds until another attempt is allowed; 0 is now. */
export function waitMs(kind: GateKind, gate: Gate, now: number): number {
  if (now < gate.lockedUntil) return gate.lockedUntil - now;
  const over = aged(kind, gate, now).failures - rules[kind].free;
  if (over < 0) return 0;
  const wait = Math.min(longestWaitMs, 1000 * 2 ** Math.min(over, 10));
  return Math.max(0, gate.lastAt + wait - now);
}

/** The gate after one more attempt. */
export function counted(kind: GateKind, gate: Gate, now: number): Gate {
  const { failures, locks } = aged(kind, gate, now);
  const next = failures + 1;
  if (next < rules[kind].lockAt) return { failures: next, lastAt: now, lockedUntil: 0, locks };
  const lock = Math.min(longestLockMs, firstLockMs * 2 ** Math.min(locks, 8));
  // After the lock a person starts with the free tries again, the next lock is longer.
  return { failures: 0, lastAt: now, lockedUntil: now + lock, locks: locks + 1 };
}

/**
 * The gate after the attempt turned out right. A person starts afresh. A source gets this attempt back and one earlier slip
 * of the finger; others share it, so not more.
 */
export function succeeded(kind: GateKind, gate: Gate): Gate {
  if (kind === 'source') return { ...gate, failures: Math.max(0, gate.failures - 2) };
  return openGate;
}

function aged(kind: GateKind, gate: Gate, now: number): Gate {
  const quiet = now - gate.lastAt;
  if (quiet > forgetAfterMs) return openGate;
  if (kind !== 'source' || quiet < sourceLeakMs) return gate;
  return { ...gate, failures: Math.max(0, gate.failures - Math.floor(quiet / sourceLeakMs)) };
}
