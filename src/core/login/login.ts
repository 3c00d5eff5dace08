// The login flow as a pure machine: facts and verdicts go in, an answer and effects come out; flow.ts executes the effects durably before
// it answers. start: gates, proof, clock, nonce, methods, a login (any doubt about the proof: a decoy login). step: admit counts the
// attempt, the caller checks the code, settle gives the next step or a grant.

import { counted, succeeded, waitMs } from './attempts.ts';
import type { Gate, GateKind } from './attempts.ts';

export interface LoginState {
  readonly id: string;
  /** Device id, its WireGuard key, user id, location id. */
  readonly device: string;
  readonly deviceKey: string;
  readonly user: string;
  readonly location: string;
  /** Steps still to do, each a list of alternatives; empty when everything was proved. */
  readonly steps: readonly (readonly string[])[];
  /** Methods proved so far, in order. */
  readonly done: readonly string[];
  readonly kemPublicKey: string;
  readonly nonce: string;
  readonly expiresAt: number;
  /** Of the present step, once a method with a challenge was begun. */
  readonly challenge?: Challenge | null;
}

export interface Challenge {
  readonly method: string;
  /** What the answer is compared with; sealed by the store. */
  readonly sealed: string;
  readonly expiresAt: number;
  readonly triesLeft: number;
}

export const loginLifeMs: number = 5 * 60_000;
export const challengeLifeMs: number = 10 * 60_000;
const challengeTries = 5;

/** Messages to one account: one in this time, and so many in an hour. */
const messageEveryMs = 30_000;
const messagesAnHour = 10;
export const messageMemoryMs: number = 3600_000;

export interface HeldGate {
  readonly kind: GateKind;
  /** "account/u_…", "device/d_…", "source/192.0.2.7". */
  readonly key: string;
  readonly gate: Gate;
}

export type Effect =
  | { readonly do: 'gate'; readonly key: string; readonly gate: Gate }
  | { readonly do: 'nonce'; readonly nonce: string }
  | { readonly do: 'save'; readonly login: LoginState }
  | {
      readonly do: 'audit';
      readonly what: 'login.started' | 'login.challenged' | 'login.denied' | 'login.locked';
      readonly method?: string;
    };

export type Answer =
  | {
      readonly say: 'started';
      readonly login: string;
      readonly steps: readonly (readonly string[])[];
      readonly index: number;
    }
  | { readonly say: 'next'; readonly login: LoginState }
  | {
      readonly say: 'challenged';
      readonly login: LoginState;
      readonly show: string;
      readonly seconds: number;
    }
  | { readonly say: 'not-sent' }
  | { readonly say: 'denied' }
  | { readonly say: 'wait'; readonly seconds: number }
  | { readonly say: 'clock-skew' }
  | { readonly say: 'no-method' }
  | { readonly say: 'kem-refused' };

export interface Outcome {
  readonly effects: readonly Effect[];
  readonly answer: Answer;
}

export interface StartFacts {
  readonly now: number;
  readonly newId: string;
  readonly source: HeldGate;
  /** Null unless device, user and location are known, enabled, belong together, and the proof is right. */
  readonly subject: {
    readonly device: string;
    readonly deviceKey: string;
    readonly user: string;
    readonly location: string;
    /** The location's steps, reduced to the methods this user has. */
    readonly steps: readonly (readonly string[])[];
    readonly kemAllowed: boolean;
  } | null;
  /** What an unproved client is shown: the same for every device there is or is not. */
  readonly decoySteps: readonly (readonly string[])[];
  readonly clockRight: boolean;
  readonly nonceFresh: boolean;
  readonly kemPublicKey: string;
  readonly nonce: string;
}

export function start(facts: StartFacts): Outcome {
  const { now, source, subject } = facts;
  // A right proof passes: strangers at the same address do not keep its owner out.
  const wait = subject === null ? waitMs(source.kind, source.gate, now) : 0;
  if (wait > 0) return { effects: [], answer: { say: 'wait', seconds: Math.ceil(wait / 1000) } };
  const decoy: Answer = { say: 'started', login: facts.newId, steps: facts.decoySteps, index: 1 };
  // Without a right proof nothing is stored about the device or its user; the source alone pays.
  if (subject === null) return { effects: [count(source, now)], answer: decoy };
  if (!facts.clockRight) return { effects: [], answer: { say: 'clock-skew' } };
  if (!facts.nonceFresh) return { effects: [count(source, now)], answer: decoy };
  const nonce: Effect = { do: 'nonce', nonce: facts.nonce };
  if (!subject.kemAllowed) return { effects: [nonce], answer: { say: 'kem-refused' } };
  if (subject.steps.length === 0 || subject.steps.some(step => step.length === 0))
    return { effects: [nonce], answer: { say: 'no-method' } };
  const login: LoginState = {
    id: facts.newId,
    device: subject.device,
    deviceKey: subject.deviceKey,
    user: subject.user,
    location: subject.location,
    steps: subject.steps,
    done: [],
    kemPublicKey: facts.kemPublicKey,
    nonce: facts.nonce,
    expiresAt: now + loginLifeMs,
  };
  return {
    effects: [nonce, { do: 'save', login }, { do: 'audit', what: 'login.started' }],
    answer: { say: 'started', login: login.id, steps: login.steps, index: 1 },
  };
}

export type Admission =
  { readonly admitted: true; readonly effects: readonly Effect[] } | ({ readonly admitted: false } & Outcome);

/** May this attempt be looked at? If so it is counted first, on every gate. A decoy login has a source gate only. */
export function admit(
  now: number,
  login: LoginState | null,
  method: string,
  gates: readonly HeldGate[],
): Admission {
  // A login that exists was begun with a right proof: its own gates hold it back, never those of its neighbours.
  const holding = login === null ? gates : gates.filter(({ kind }) => kind !== 'source');
  const wait = Math.max(0, ...holding.map(({ kind, gate }) => waitMs(kind, gate, now)));
  if (wait > 0)
    return {
      admitted: false,
      effects: [{ do: 'audit', what: 'login.locked', method }],
      answer: { say: 'wait', seconds: Math.ceil(wait / 1000) },
    };
  const after = gates.map(held => ({ ...held, gate: counted(held.kind, held.gate, now) }));
  const effects: Effect[] = after.map(({ key, gate }) => ({ do: 'gate', key, gate }));
  if (login === null || login.steps[0]?.includes(method) !== true)
    return { admitted: false, effects: [...effects, ...denial(login, method)], answer: { say: 'denied' } };
  const { challenge } = login;
  if (challenge?.method === method)
    effects.push({
      do: 'save',
      login: { ...login, challenge: { ...challenge, triesLeft: Math.max(0, challenge.triesLeft - 1) } },
    });
  return { admitted: true, effects };
}

/** Milliseconds until a challenge may be begun. `sentAt` are the account's messages of the last hour, in order. */
export function challengeWaitMs(now: number, gates: readonly HeldGate[], sentAt: readonly number[]): number {
  const recent = sentAt.filter(at => at > now - messageMemoryMs);
  const lastWait = recent.length === 0 ? 0 : recent.at(-1)! + messageEveryMs - now;
  const oldest = recent.length < messagesAnHour ? undefined : recent[recent.length - messagesAnHour];
  const hourWait = oldest === undefined ? 0 : oldest + messageMemoryMs - now;
  return Math.max(0, lastWait, hourWait, ...gates.map(({ kind, gate }) => waitMs(kind, gate, now)));
}

/** A new challenge replaces the one before. The login lives at least as long as its challenge. */
export function challenged(login: LoginState, method: string, sealed: string, now: number): LoginState {
  const expiresAt = now + challengeLifeMs;
  return {
    ...login,
    challenge: { method, sealed, expiresAt, triesLeft: challengeTries },
    expiresAt: Math.max(login.expiresAt, expiresAt),
  };
}

export function isOpen(challenge: Challenge | null | undefined, method: string, now: number): boolean {
  return challenge?.method === method && now < challenge.expiresAt && challenge.triesLeft > 0;
}

export function settleWrong(login: LoginState, method: string): Outcome {
  return { effects: denial(login, method), answer: { say: 'denied' } };
}

/**
 * One step proved, the login moves on; `login.steps` empty means: grant. Only the last step clears the gates (`gates` are then
 * the current ones). An earlier one restores them as they were before this attempt: otherwise the holder of the first
 * factor could gain new guesses at the second.
 */
export function settleRight(
  login: LoginState,
  method: string,
  gates: readonly HeldGate[],
): Outcome & { readonly login: LoginState } {
  const next: LoginState = {
    ...login,
    steps: login.steps.slice(1),
    done: [...login.done, method],
    challenge: null,
  };
  const cleared = next.steps.length === 0;
  const effects: Effect[] = gates.map(({ kind, key, gate }) => ({
    do: 'gate',
    key,
    gate: cleared ? succeeded(kind, gate) : gate,
  }));
  effects.push({ do: 'save', login: next });
  return { effects, answer: { say: 'next', login: next }, login: next };
}

function count(held: HeldGate, now: number): Effect {
  return { do: 'gate', key: held.key, gate: counted(held.kind, held.gate, now) };
}

function denial(login: LoginState | null, method: string): Effect[] {
  return login === null ? [] : [{ do: 'audit', what: 'login.denied', method }];
}
