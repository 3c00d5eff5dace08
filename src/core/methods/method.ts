// What a second factor is to the login flow: a name, whether a user has it, and a check that changes nothing. A right answer comes with
// a claim (a TOTP step, a recovery code) that the store takes in the same transaction as the session, so that one answer is good for one
// login even when two arrive together.

import type { Store } from '../store/store.ts';
import type { User } from '../store/people.ts';
import { hashRecoveryCode } from './recovery.ts';
import { matchTotp } from './totp.ts';

/** Uses the answer up. False when it was used already. */
export type Claim = () => boolean;

export interface Method {
  readonly name: string;
  available(store: Store, user: User): boolean;
  check(store: Store, user: User, response: string, now: number): Claim | null;
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

export const methods: ReadonlyMap<string, Method> = new Map(
  [totp, recovery].map(method => [method.name, method]),
);
