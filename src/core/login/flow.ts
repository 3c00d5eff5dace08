// Performs the login flow: looks the facts up, lets login.ts decide, and executes its effects in one durable transaction before anything
// is answered. What is stored, said, and how long it takes is the same whether a device exists or not.

import type { Log } from '../../control/log.ts';
import { makeProof, proofKey, proofWindowMs, verifyProof } from '../../control/trust/proof.ts';
import type { ProofPurpose, ProofRequest } from '../../control/trust/proof.ts';
import type { StartRequest, StepRequest } from '../../control/clientapi/bodies.ts';
import { kemOf } from '../../control/trust/seal.ts';
import { fromBase64, wipe } from '../../util/bytes.ts';
import { newId } from '../ids.ts';
import type { Random } from '../ids.ts';
import {
  admit,
  challenged,
  challengeLifeMs,
  challengeWaitMs,
  settleRight,
  settleWrong,
  start,
} from './login.ts';
import type { Answer, Effect, HeldGate, LoginState } from './login.ts';
import { methods } from '../methods/method.ts';
import type { Mailer } from '../methods/mailer.ts';
import type { Method } from '../methods/method.ts';
import { mayUse, stepsOf } from '../policy/policy.ts';
import type { Authorised, NotAuthorised } from '../sessions/authorised.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Device, User } from '../store/people.ts';
import type { Location } from '../store/places.ts';
import type { Session } from '../store/sessions.ts';
import type { Store } from '../store/store.ts';

export type FlowAnswer =
  | Answer
  | { readonly say: 'granted'; readonly authorised: Authorised; readonly location: Location }
  | { readonly say: 'failed'; readonly why: NotAuthorised };

export interface Subject {
  readonly device: Device;
  readonly user: User;
  readonly location: Location;
}

export interface FlowOptions {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly clock: () => number;
  readonly random: Random;
  readonly log: Log;
  /** Null where no mail server is configured. */
  readonly mailer?: Mailer | null;
}

const decoySteps = [['totp', 'recovery']];

export class Flow {
  readonly #store: Store;
  readonly #sessions: Sessions;
  readonly #clock: () => number;
  readonly #random: Random;
  readonly #log: Log;
  readonly #mailer: Mailer | null;
  /** Stands in for the proof key of a location that does not exist, so that the same work is done. */
  readonly #decoyKey: Uint8Array;
  /** Logins whose grant is on its way to the agents. */
  readonly #granting = new Set<string>();

  constructor(options: FlowOptions) {
    this.#store = options.store;
    this.#sessions = options.sessions;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#log = options.log;
    this.#mailer = options.mailer ?? null;
    this.#decoyKey = options.random(32);
  }

  start(request: StartRequest, source: string): FlowAnswer {
    const now = this.#clock();
    const { location, device, time, nonce, kemPublicKey, methods: wanted = [] } = request;
    const proof = { location, device, time, nonce, details: [kemPublicKey, ...wanted] };
    const subject = this.prove('start', proof, request.proof);
    const sourceGate = this.#gate('source', source);
    const outcome = start({
      now,
      newId: newId('l', this.#random),
      source: sourceGate,
      subject:
        subject === null
          ? null
          : {
              device: subject.device.id,
              deviceKey: subject.device.publicKey,
              user: subject.user.id,
              location: subject.location.id,
              steps: this.#stepsFor(subject, wanted),
              kemAllowed: kemOf(kemPublicKey) === 'xwing' || subject.location.settings.allowX25519 === true,
            },
      decoySteps,
      clockRight: Math.abs(now - time) <= proofWindowMs,
      nonceFresh: this.#store.logins.isFreshNonce(nonce),
      kemPublicKey,
      nonce,
    });
    this.#execute(outcome.effects, now, source, subject?.user.id, subject?.device.id, subject?.location.id);
    return outcome.answer;
  }

  async step(request: StepRequest, source: string): Promise<FlowAnswer> {
    const now = this.#clock();
    const login = this.#store.logins.login(request.login, now);
    if (login !== null && login.steps.length === 0) return this.#resume(login, source);
    const method = methods.get(request.method);
    if (login !== null && method !== undefined && isBeginning(login, method, request))
      return this.#begin(login, method, source, now);
    const before = this.#gates(login, source);
    const admission = admit(now, login, request.method, before);
    this.#execute(admission.effects, now, source, login?.user, login?.device, login?.location);
    if (!admission.admitted) return admission.answer;
    const user = this.#store.people.user(login!.user);
    const claim =
      user === undefined || user.disabled
        ? null
        : (method?.check(this.#store, user, request.response, now, login!) ?? null);
    if (claim === null) return this.#wrong(login!, request.method, now, source);
    const last = login!.steps.length === 1;
    const settled = settleRight(login!, request.method, last ? this.#gates(login, source) : before);
    const commit = (): boolean => {
      if (!claim()) return false;
      this.#execute(settled.effects, now, source, login!.user, login!.device, login!.location);
      return true;
    };
    if (last) return this.#grant(settled.login, source, commit);
    return this.#store.db.transaction(commit)
      ? settled.answer
      : this.#wrong(login!, request.method, now, source);
  }

  /** Begins the challenge of a method. What is sent is counted and stored first, so that a restart sends no more. */
  async #begin(login: LoginState, method: Method, source: string, now: number): Promise<FlowAnswer> {
    const user = this.#store.people.user(login.user);
    if (user === undefined || user.disabled || !this.#isAvailable(method, user))
      return this.#wrong(login, method.name, now, source);
    const sentAt = this.#store.logins.messages(user.id, now);
    const wait = challengeWaitMs(now, this.#gates(login, source), sentAt);
    if (wait > 0) return { say: 'wait', seconds: Math.ceil(wait / 1000) };
    const { answer, show, send } = method.begin!(user, {
      device: this.#store.people.device(login.device)?.name ?? login.device,
      location: this.#store.places.location(login.location)?.name ?? login.location,
      source,
      random: this.#random,
    });
    const next = challenged(login, method.name, this.#store.logins.sealAnswer(login.id, answer), now);
    this.#store.db.transaction(() => {
      this.#store.logins.addMessage(user.id, now);
      this.#execute(
        [
          { do: 'save', login: next },
          { do: 'audit', what: 'login.challenged', method: method.name },
        ],
        now,
        source,
        login.user,
        login.device,
        login.location,
      );
    });
    if (!(await send(this.#mailer!, next.challenge!.expiresAt - now))) return { say: 'not-sent' };
    return { say: 'challenged', login: next, show, seconds: challengeLifeMs / 1000 };
  }

  #isAvailable(method: Method, user: User): boolean {
    return method.available(this.#store, user) && (method.begin === undefined || this.#mailer !== null);
  }

  /**
   * The device, user and location a proof belongs to; null for a wrong proof and for anything unknown, disabled or not
   * allowed. Does the same Diffie-Hellman in every case.
   */
  prove(purpose: ProofPurpose, request: ProofRequest, proof: string): Subject | null {
    const location = this.#store.places.location(request.location);
    const device = this.#store.people.deviceWithKey(request.device);
    const user = device === undefined ? undefined : this.#store.people.user(device.user);
    const privateKey = (location && this.#store.places.proofPrivate(location.id)) ?? this.#decoyKey;
    const key = proofKey(privateKey, fromBase64(request.device) ?? new Uint8Array(32));
    const right = key !== null && verifyProof(key, purpose, request, proof);
    if (key !== null) wipe(key);
    if (!right || location === undefined || device === undefined || user === undefined) return null;
    if (device.disabled || user.disabled || !mayUse(location.settings, user.groups)) return null;
    return { device, user, location };
  }

  /** Core's own MAC towards a device of a live session, whose proof has been seen: the keys are good. */
  vouch(session: Session, request: ProofRequest): string {
    const privateKey = this.#store.places.proofPrivate(session.location)!;
    const key = proofKey(privateKey, fromBase64(session.deviceKey)!)!;
    const proof = makeProof(key, 'granted', request);
    wipe(key);
    return proof;
  }

  /** For extend and logout: the proof, the clock and the nonce. */
  proveOnce(purpose: ProofPurpose, request: ProofRequest, proof: string): Subject | 'clock-skew' | null {
    const subject = this.prove(purpose, request, proof);
    if (subject === null) return null;
    if (Math.abs(this.#clock() - request.time) > proofWindowMs) return 'clock-skew';
    return this.#store.logins.useNonce(request.nonce, this.#clock() + 2 * proofWindowMs) ? subject : null;
  }

  /** Everything was proved before, but no agent took the grant then: asks again, without new codes, one at a time. */
  #resume(login: LoginState, source: string): FlowAnswer | Promise<FlowAnswer> {
    if (this.#granting.has(login.id)) return { say: 'wait', seconds: 5 };
    return this.#grant(login, source, () => true);
  }

  async #grant(login: LoginState, source: string, commit: () => boolean): Promise<FlowAnswer> {
    this.#granting.add(login.id);
    const result = await this.#sessions
      .authorise(login, source, commit)
      .finally(() => this.#granting.delete(login.id));
    if (!result.ok) {
      this.#log.warn('login without a session', {
        login: login.id,
        why: result.code,
        detail: result.detail,
      });
      return result.code === 'denied' ? { say: 'denied' } : { say: 'failed', why: result };
    }
    this.#store.logins.remove(login.id); // one login, one session
    return { say: 'granted', authorised: result, location: this.#store.places.location(login.location)! };
  }

  #wrong(login: LoginState, method: string, now: number, source: string): FlowAnswer {
    const outcome = settleWrong(login, method);
    this.#execute(outcome.effects, now, source, login.user, login.device, login.location);
    return outcome.answer;
  }

  /** The location's steps with the methods this user has, and of those the ones the client asked for. */
  #stepsFor({ user, location }: Subject, wanted: readonly string[]): string[][] {
    return stepsOf(location.settings).map(step =>
      step.filter(name => {
        const method = methods.get(name);
        if (method === undefined || !this.#isAvailable(method, user)) return false;
        return wanted.length === 0 || wanted.includes(name);
      }),
    );
  }

  #gates(login: LoginState | null, source: string): HeldGate[] {
    const gates = [this.#gate('source', source)];
    if (login !== null) gates.push(this.#gate('account', login.user), this.#gate('device', login.device));
    return gates;
  }

  #gate(kind: HeldGate['kind'], name: string): HeldGate {
    const key = `${kind}/${name}`;
    return { kind, key, gate: this.#store.logins.gate(key) };
  }

  #execute(
    effects: readonly Effect[],
    now: number,
    source: string,
    user?: string,
    device?: string,
    location?: string,
  ): void {
    if (effects.length === 0) return;
    this.#store.db.transaction(() => {
      for (const effect of effects) {
        switch (effect.do) {
          case 'gate':
            this.#store.logins.saveGate(effect.key, effect.gate);
            break;
          case 'nonce':
            this.#store.logins.useNonce(effect.nonce, now + 2 * proofWindowMs);
            break;
          case 'save':
            this.#store.logins.save(effect.login);
            break;
          case 'audit':
            this.#audit(effect, now, source, user, device, location);
            break;
          default:
            effect satisfies never;
        }
      }
    });
  }

  #audit(
    effect: Extract<Effect, { do: 'audit' }>,
    now: number,
    from: string,
    user?: string,
    device?: string,
    location?: string,
  ): void {
    // A decoy login has no user to record; its source has been counted.
    if (user === undefined) return;
    this.#store.audit.append(now, {
      what: effect.what,
      who: this.#store.people.user(user)?.name ?? user,
      from,
      ...(device === undefined ? {} : { device: this.#store.people.device(device)?.name ?? device }),
      ...(location === undefined
        ? {}
        : { location: this.#store.places.location(location)?.name ?? location }),
      ...(effect.method === undefined ? {} : { method: effect.method }),
    });
  }
}

/** An empty response to a method of this step that has a challenge. */
function isBeginning(login: LoginState, method: Method, request: StepRequest): boolean {
  return (
    request.response === '' && method.begin !== undefined && login.steps[0]?.includes(method.name) === true
  );
}
