// Server: the calls a client makes to Core through the Proxy, with the proof of the device key on those that need one, and
// every answer checked by shape. Core's clock may differ from ours: its `clock-skew` answer carries its time, and the call
// is made once more with it.

import { randomBytes } from 'node:crypto';
import {
  enrolReply,
  extendAnswer,
  logoutAnswer,
  startAnswer,
  stepAnswer,
} from '../../control/clientapi/bodies.ts';
import { paths } from '../../control/clientapi/words.ts';
import type {
  EnrolAnswer,
  Granted,
  SessionInfo,
  StartAnswer,
  StepAnswer,
} from '../../control/clientapi/bodies.ts';
import { answerProof, enrolSecret, isProof, requestProof } from '../../control/trust/enrolment.ts';
import { grantedRequest, makeProof, proofKey, verifyProof } from '../../control/trust/proof.ts';
import type { ProofPurpose } from '../../control/trust/proof.ts';
import { bytesOf, check } from '../../control/validate.ts';
import type { Shape } from '../../control/validate.ts';
import { toBase64, wipe } from '../../util/bytes.ts';
import { PlainError } from '../../util/errors.ts';
import { wipeAtEnd } from '../../util/scope.ts';
import { Refused } from '../api.ts';
import type { Api } from '../api.ts';
import type { ClientState, Location } from '../state.ts';

/** Registers a device. The answer is authenticated with the token, for this key. */
export async function enrol(
  api: Api,
  token: string,
  devicePublicKey: string,
  name: string,
): Promise<EnrolAnswer> {
  const { ticket, key } = enrolSecret(token);
  const request = { ticket, devicePublicKey, name };
  const proof = requestProof(key, request);
  const reply = checked(enrolReply, await api.post(paths.enrol, { ...request, proof }));
  const isCores = isProof(reply.proof, answerProof(key, devicePublicKey, reply.enrolled));
  wipe(key);
  if (!isCores)
    throw new PlainError(
      'not-from-core',
      'the answer was changed between Core and this device: tell your administrator, and enrol through a Proxy you trust',
    );
  return reply.enrolled;
}

/** The calls of one device at one location. */
export class Server {
  readonly #api: Api;
  readonly #state: ClientState;
  readonly #location: Location;
  readonly #wallMs: () => number;
  #offsetMs = 0;

  constructor(api: Api, state: ClientState, location: Location, wallMs: () => number = Date.now) {
    this.#api = api;
    this.#state = state;
    this.#location = location;
    this.#wallMs = wallMs;
  }

  /** `nonce` is the client's half of the login digest. */
  async start(
    kemPublicKey: string,
    methods: readonly string[],
  ): Promise<{ answer: StartAnswer; nonce: string }> {
    const [body, reply] = await this.#proved('start', paths.start, [kemPublicKey, ...methods], {
      kemPublicKey,
      ...(methods.length === 0 ? {} : { methods }),
    });
    return { answer: checked(startAnswer, reply), nonce: body.nonce };
  }

  async step(login: string, method: string, response: string): Promise<StepAnswer> {
    return checked(stepAnswer, await this.#api.post(paths.step, { login, method, response }));
  }

  /** Whether Core made this answer, for the login with this digest. */
  isFromCore(granted: Granted, loginDigest: string): boolean {
    const key = this.#proofKey();
    using _wiped = wipeAtEnd(key);
    const request = grantedRequest(this.#state.publicKey, loginDigest, granted);
    return (
      granted.session.location === this.#location.id && verifyProof(key, 'granted', request, granted.proof)
    );
  }

  async extend(session: string): Promise<SessionInfo> {
    const [, reply] = await this.#proved('extend', paths.extend, [session], { session });
    return checked(extendAnswer, reply).session;
  }

  async logout(session: string): Promise<boolean> {
    const [, reply] = await this.#proved('logout', paths.logout, [session], { session });
    return checked(logoutAnswer, reply).ended;
  }

  async addresses(): Promise<string[]> {
    return await this.#api.addresses();
  }

  async events(token: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return await this.#api.events(paths.session, token, signal);
  }

  async #proved(
    purpose: ProofPurpose,
    path: string,
    details: readonly string[],
    fields: object,
  ): Promise<[{ nonce: string }, unknown]> {
    const key = this.#proofKey();
    using _wiped = wipeAtEnd(key);
    for (let again = false; ; again = true) {
      const request = {
        location: this.#location.id,
        device: this.#state.publicKey,
        time: Math.round(this.#wallMs() + this.#offsetMs),
        nonce: toBase64(new Uint8Array(randomBytes(32))),
      };
      const proof = makeProof(key, purpose, { ...request, details });
      try {
        return [request, await this.#api.post(path, { ...request, ...fields, proof })];
      } catch (error) {
        if (again || !(error instanceof Refused) || error.code !== 'clock-skew' || error.time === null)
          throw error;
        this.#offsetMs = error.time - this.#wallMs();
      }
    }
  }

  #proofKey(): Uint8Array {
    const privateKey = bytesOf(this.#state.privateKey);
    const key = proofKey(privateKey, bytesOf(this.#location.proofKey));
    wipe(privateKey);
    if (key === null)
      throw new PlainError(
        'bad-proof-key',
        `location ${this.#location.name}: Core's proof key is unusable; enrol again`,
      );
    return key;
  }
}

function checked<T>(shape: Shape<T>, reply: unknown): T {
  const result = check(shape, reply);
  if (!result.ok)
    throw new PlainError(
      'bad-answer',
      `the server's answer is not what this client expects (${result.error}): do they have the same version?`,
    );
  return result.value;
}
