// The client API as Core answers it: paths, shapes, status codes and words. It is fed by the relay (relay.ts) and knows no
// sockets. Answers are JSON; errors are {"error":{"code","message"}}. Answers that must not tell devices apart are held
// back until a fixed time has passed.

import type { Log } from '../../control/log.ts';
import { enrolRequest, sessionRequest, startRequest, stepRequest } from '../../control/clientapi/bodies.ts';
import { grantedRequest } from '../../control/trust/proof.ts';
import { paths, sessionToken } from '../../control/clientapi/words.ts';
import type { LoginStep, SessionEvent, SessionRequest, StepAnswer } from '../../control/clientapi/bodies.ts';
import type { ErrorBody } from '../../control/clientapi/words.ts';
import { check, read } from '../../control/validate.ts';
import type { Shape } from '../../control/validate.ts';
import { enrolDevice, locationsFor, tunnelConfig } from '../login/enrol.ts';
import type { EnrolRefusal } from '../login/enrol.ts';
import type { Flow, FlowAnswer, Subject } from '../login/flow.ts';
import { hashToken } from '../ids.ts';
import type { Random } from '../ids.ts';
import { counted, waitMs } from '../login/attempts.ts';
import { loginLifeMs } from '../login/login.ts';
import type { NotAuthorised } from '../sessions/authorised.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Session } from '../store/sessions.ts';
import type { Store } from '../store/store.ts';
import { StoreTrouble } from '../store/trouble.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly source: string;
  readonly authorization?: string;
  readonly body: string;
}

export type ApiReply =
  | { readonly status: number; readonly body: string }
  | { readonly stream: (emit: (event: SessionEvent) => void) => (() => void) | null };

export interface ApiOptions {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly flow: Flow;
  readonly clock: () => number;
  readonly random: Random;
  readonly log: Log;
  /** Waits until `ms` after the call began; replaced in tests. */
  readonly holdUntil?: (startedAt: number, ms: number) => Promise<void>;
}

/** Some forty of them: the rest of an answer has to fit the relay's frame as well. */
const locationsMaxBytes = 30_000;
/** Longer than any start takes, and short for a person. */
const uniformMs = 150;

export class Api {
  readonly #o: ApiOptions;

  constructor(options: ApiOptions) {
    this.#o = options;
  }

  async handle(request: ApiRequest): Promise<ApiReply> {
    const route = `${request.method} ${request.path}`;
    try {
      switch (route) {
        case `POST ${paths.enrol}`:
          return this.#enrol(request);
        case `POST ${paths.start}`:
          return await this.#start(request);
        case `POST ${paths.step}`:
          return await this.#step(request);
        case `GET ${paths.session}`:
          return this.#session(request);
        case `POST ${paths.extend}`:
          return await this.#extend(request);
        case `POST ${paths.logout}`:
          return await this.#logout(request);
        default:
          return failure(404, 'not-found', `there is no ${request.method} of this path`);
      }
    } catch (error) {
      if (error instanceof StoreTrouble)
        return failure(
          503,
          error.code,
          'Core cannot use its database: try again later or tell an administrator',
        );
      // The message may quote a value: only its kind is logged, at a level that names no request.
      this.#o.log.error('request failed', {
        route,
        error: error instanceof Error ? error.name : typeof error,
      });
      this.#o.log.debug('stack', {
        where: error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '',
      });
      return failure(500, 'internal', 'Core could not answer; its log says more');
    }
  }

  #enrol(request: ApiRequest): ApiReply {
    const { store, clock, random, sessions } = this.#o;
    const body = parse(enrolRequest, request.body);
    if (!body.ok) return body.reply;
    const now = clock();
    const key = `source/${request.source}`;
    const gate = store.logins.gate(key);
    const wait = waitMs('source', gate, now);
    if (wait > 0) return slowDown(Math.ceil(wait / 1000));
    const result = enrolDevice(
      store,
      body.value,
      request.source,
      now,
      random,
      new Set(sessions.hub.connected()),
    );
    if (result.ok) return success(result.answer);
    if (result.code === 'bad-token') store.logins.saveGate(key, counted('source', gate, now));
    return enrolFailure(result.code, result.where);
  }

  async #start(request: ApiRequest): Promise<ApiReply> {
    const startedAt = performance.now();
    const body = parse(startRequest, request.body);
    if (!body.ok) return body.reply;
    const answer = this.#o.flow.start(body.value, request.source);
    await this.#hold(startedAt);
    return this.#say(answer);
  }

  async #step(request: ApiRequest): Promise<ApiReply> {
    const startedAt = performance.now();
    const body = parse(stepRequest, request.body);
    if (!body.ok) return body.reply;
    const answer = await this.#o.flow.step(body.value, request.source);
    await this.#hold(startedAt);
    return this.#say(answer);
  }

  #session(request: ApiRequest): ApiReply {
    const bearer = /^Bearer (.+)$/.exec(request.authorization ?? '')?.[1];
    const token = check(sessionToken, bearer);
    const session = token.ok ? this.#o.store.sessions.sessionWithToken(hashToken(token.value)) : undefined;
    if (session === undefined)
      return failure(401, 'unauthenticated', 'a session token is expected as "Authorization: Bearer sps_…"');
    return { stream: emit => this.#o.sessions.watch(session, emit) };
  }

  async #extend(request: ApiRequest): Promise<ApiReply> {
    const found = await this.#owned('extend', request);
    if ('status' in found) return found;
    // `maxLife` counts from the login and is signed into the grant: only a new login goes beyond it.
    return failure(
      409,
      'login-required',
      'a session is prolonged by logging in again; the running one works until the new one takes over',
    );
  }

  async #logout(request: ApiRequest): Promise<ApiReply> {
    const found = await this.#owned('logout', request);
    if ('status' in found) return found;
    return success({ ended: this.#o.sessions.end(found.session.id, 'logout-user', found.subject.user.name) });
  }

  /** The session a device proved to be its own. */
  async #owned(
    purpose: 'extend' | 'logout',
    request: ApiRequest,
  ): Promise<{ session: Session; subject: Subject } | { status: number; body: string }> {
    const startedAt = performance.now();
    const body = parse(sessionRequest, request.body);
    if (!body.ok) return body.reply;
    const { location, device, time, nonce, session: id, proof }: SessionRequest = body.value;
    const subject = this.#o.flow.proveOnce(purpose, { location, device, time, nonce, details: [id] }, proof);
    await this.#hold(startedAt);
    if (subject === 'clock-skew') return this.#clockSkew();
    const session = subject === null ? undefined : this.#o.store.sessions.session(id);
    if (
      subject === null ||
      session === undefined ||
      session.device !== subject.device.id ||
      session.location !== location
    )
      return failure(404, 'no-session', 'there is no such session of this device');
    return { session, subject };
  }

  #say(answer: FlowAnswer): ApiReply {
    switch (answer.say) {
      case 'started':
        return success({
          login: answer.login,
          step: stepOf(answer.steps, answer.index),
          expiresIn: loginLifeMs / 1000,
        });
      case 'next': {
        const { steps, done } = answer.login;
        return success({
          step: { methods: steps[0] ?? [], index: done.length + 1, of: done.length + steps.length },
        });
      }
      case 'challenged': {
        const { login, show, seconds } = answer;
        const step = stepOf(login.steps, login.done.length + 1);
        const challenge = { method: login.challenge!.method, show, expiresIn: seconds };
        return success({ step, challenge } satisfies StepAnswer);
      }
      case 'not-sent':
        return failure(
          502,
          'not-sent',
          'the mail server refused the message: use another method, or ask an administrator',
        );
      case 'denied':
        return failure(401, 'denied', 'the answer was not accepted');
      case 'wait':
        return slowDown(answer.seconds);
      case 'clock-skew':
        return this.#clockSkew();
      case 'no-method':
        return failure(
          403,
          'no-method',
          'none of the methods this location wants is set up for this user: ask an administrator',
        );
      case 'kem-refused':
        return failure(
          403,
          'kem-refused',
          'this location wants the hybrid X-Wing KEM; plain X25519 is not accepted',
        );
      case 'granted':
        return this.#granted(answer);
      case 'failed':
        return notAuthorised(answer.why);
      default:
        return answer satisfies never;
    }
  }

  #granted({ authorised, location }: Extract<FlowAnswer, { say: 'granted' }>): ApiReply {
    const { session, granted, loginDigest, token } = authorised;
    const { store, sessions } = this.#o;
    const connected = new Set(sessions.hub.connected());
    const config = tunnelConfig(store, location, session.device, connected);
    const user = store.people.user(session.user);
    if (config === null || user === undefined) return enrolFailure('network-full');
    const locations = locationsFor(store, user, session.device, connected);
    const fits = JSON.stringify(locations).length <= locationsMaxBytes;
    const known = { granted, login: loginDigest, config, session: sessions.info(session), token };
    const body = { ...known, ...(fits && { locations }) };
    const proof = this.#o.flow.vouch(session, grantedRequest(session.deviceKey, loginDigest, body));
    return success({ ...body, proof } satisfies StepAnswer);
  }

  #clockSkew(): { status: number; body: string } {
    return failure(400, 'clock-skew', 'the clock of this device is more than two minutes off', {
      time: this.#o.clock(),
    });
  }

  async #hold(startedAt: number): Promise<void> {
    await (this.#o.holdUntil ?? holdUntil)(startedAt, uniformMs);
  }
}

function stepOf(steps: readonly (readonly string[])[], index: number): LoginStep {
  return { methods: steps[0] ?? [], index, of: index - 1 + steps.length };
}

function notAuthorised(why: NotAuthorised): ApiReply {
  switch (why.code) {
    case 'no-agent':
      return failure(
        503,
        'no-agent',
        'no gateway of this location is connected: try again, your code was not used',
      );
    case 'agent-timeout':
      return failure(
        504,
        'agent-timeout',
        'the gateway did not confirm in time: repeat the step with method "resume"',
      );
    case 'agent-refused':
      return failure(502, 'agent-refused', `the gateway refused the grant (${why.detail ?? 'unknown'})`);
    case 'network-full':
      return enrolFailure('network-full');
    case 'kem-refused':
      return failure(400, 'kem-refused', 'the KEM public key of this login cannot be used');
    case 'denied':
      return failure(401, 'denied', 'the answer was not accepted');
    default:
      return why.code satisfies never;
  }
}

function enrolFailure(code: EnrolRefusal, where = 'this location'): { status: number; body: string } {
  switch (code) {
    case 'bad-token':
      return failure(403, code, 'this enrolment token is not valid (any more): ask for a new one');
    case 'key-taken':
      return failure(409, code, 'this public key is registered already: make a new key pair');
    case 'bad-key':
      return failure(400, code, 'this is not a usable public key');
    case 'network-full':
      return failure(
        503,
        code,
        `no free address for another device: the network of ${where} is full; tell an administrator`,
      );
    default:
      return code satisfies never;
  }
}

function slowDown(seconds: number): { status: number; body: string } {
  return failure(429, 'slow-down', `too many attempts: try again in ${seconds} s`, { retryAfter: seconds });
}

function success(body: object): { status: number; body: string } {
  return { status: 200, body: JSON.stringify(body) };
}

function failure(
  status: number,
  code: string,
  message: string,
  more: { retryAfter?: number; time?: number } = {},
): { status: number; body: string } {
  const body: ErrorBody = { error: { code, message, ...more } };
  return { status, body: JSON.stringify(body) };
}

function parse<T>(
  shape: Shape<T>,
  text: string,
): { ok: true; value: T } | { ok: false; reply: { status: number; body: string } } {
  const result = read(shape, text);
  return result.ok ? result : { ok: false, reply: failure(400, 'bad-request', result.error) };
}

async function holdUntil(startedAt: number, ms: number): Promise<void> {
  const left = startedAt + ms - performance.now();
  if (left > 0) await new Promise(resolve => setTimeout(resolve, left));
}
