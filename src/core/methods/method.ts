// What a second factor is to the login flow: a name, whether a user has it, and a check that changes nothing. A right answer
// comes with a claim, which the store takes in the same transaction as the session, so that one answer is good for one login.
// A method with a challenge makes an answer and a message; the answer is stored, sealed, with the login.

import type { Store } from '../store/store.ts';
import type { User } from '../store/people.ts';
import { isOpen } from '../login/login.ts';
import type { LoginState } from '../login/login.ts';
import { beginEmail, isEmailCode } from './email.ts';
import type { Asked, Begun } from './challenge.ts';
import { hashRecoveryCode } from './recovery.ts';
import { matchTotp } from './totp.ts';

/** Uses the answer up. False when it was used already. */
export type Claim = () => boolean;

export interface Method {
  readonly name: string;
  available(store: Store, user: User): boolean;
  /** For a method with a challenge: makes the answer and what carries it to the person. Stores nothing. */
  readonly begin?: (user: User, asked: Asked) => Begun;
  check(store: Store, user: User, response: string, now: number, login: LoginState): Claim | null;
}

const totp: Method = {
  name: 'totp',
  available: (_store, user) => user.hasTotp,
  check(store, user, response, now) {
    const seed = store.people.totpSeed(user.id);
    const step = seed === null ? null : matchTotp(seed, response, now, user.totpStep);
    return step === null ? null : () => store.people.claimTotpStep(user.id, step);
  },
};

const recovery: Method = {
  name: 'recovery',
  available: (store, user) => store.people.unusedRecoveryCodes(user.id).length > 0,
  check(store, user, response, now) {
    const hash = hashRecoveryCode(user.id, response);
    if (hash === null || !store.people.unusedRecoveryCodes(user.id).includes(hash)) return null;
    return () => store.people.claimRecoveryCode(user.id, hash, now);
  },
};

const email: Method = {
  name: 'email',
  available: (_store, user) => user.email !== null,
  begin: beginEmail,
  check(store, _user, response, now, login) {
    const { challenge } = login;
    if (challenge === null || challenge === undefined || !isOpen(challenge, 'email', now)) return null;
    const isRight = isEmailCode(store.logins.openAnswer(login.id, challenge.sealed), response);
    return isRight ? () => store.logins.hasChallenge(login.id, challenge.sealed) : null;
  },
};

export const methods: ReadonlyMap<string, Method> = new Map(
  [totp, recovery, email].map(method => [method.name, method]),
);
