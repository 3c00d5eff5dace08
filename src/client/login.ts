// The flow of one login as a state machine (docs/protocol.md): start with a proof, answer each step, unseal the PSK, put it to use, see
// the gateway answer. Pure: holds no key, reads no clock, does no IO; the caller performs each action and reports the result.

import type { Granted, LoginStep, StepChallenge } from '../control/clientapi/bodies.ts';

export type Action =
  | { readonly act: 'start' }
  /** Ask the person; `again` says why the last answer was not taken. */
  | {
      readonly act: 'ask';
      readonly step: LoginStep;
      readonly again: string | null;
      /** What was sent to the person for this step. */
      readonly challenge: StepChallenge | null;
    }
  | { readonly act: 'answer'; readonly login: string; readonly method: string; readonly response: string }
  /** The codes were right but no gateway took the grant in time: wait, then ask for it again without a new code. */
  | { readonly act: 'resume'; readonly login: string; readonly afterMs: number }
  | { readonly act: 'unseal'; readonly login: string; readonly granted: Granted }
  | { readonly act: 'install'; readonly granted: Granted }
  | { readonly act: 'done' }
  | { readonly act: 'fail'; readonly code: string; readonly message: string };

export type Event =
  | { readonly on: 'begin' }
  | {
      readonly on: 'step';
      readonly login: string;
      readonly step: LoginStep;
      readonly challenge: StepChallenge | null;
    }
  | { readonly on: 'answered'; readonly method: string; readonly response: string }
  | { readonly on: 'granted'; readonly granted: Granted }
  | { readonly on: 'refused'; readonly code: string; readonly message: string }
  | { readonly on: 'unsealed' }
  | { readonly on: 'unseal-failed' }
  | { readonly on: 'installed' }
  /** The PSK is in the tunnel, but no handshake came of it. */
  | { readonly on: 'silent' };

interface Asked {
  readonly login: string;
  readonly step: LoginStep;
  readonly challenge: StepChallenge | null;
}

type State =
  | { readonly at: 'idle' }
  | { readonly at: 'starting' }
  | ({ readonly at: 'asking' } & Asked)
  | ({ readonly at: 'answering' } & Asked)
  | { readonly at: 'unsealing'; readonly granted: Granted }
  | { readonly at: 'installing' }
  | { readonly at: 'over' };

/** Refusals of an answer, not of the login: another code may be right. */
const wrongAnswers = new Set(['denied']);
/** Failures on the way to a gateway, after the codes were accepted. */
const undelivered = new Set(['agent-timeout']);
const resumeAfterMs = 1000;
const resumes = 3;

export class LoginFlow {
  #triesLeft: number;
  #resumesLeft = resumes;
  #state: State = { at: 'idle' };

  /** `tries`: answers the person may give; 1 where there is no terminal to ask again. The server counts too, durably. */
  constructor(tries: number) {
    this.#triesLeft = tries;
  }

  get at(): State['at'] {
    return this.#state.at;
  }

  next(event: Event): Action {
    const state = this.#state;
    if (event.on === 'refused' && state.at !== 'over') return this.#refused(state, event.code, event.message);
    switch (state.at) {
      case 'idle':
        if (event.on !== 'begin') break;
        this.#state = { at: 'starting' };
        return { act: 'start' };
      case 'starting':
        if (event.on === 'step') return this.#ask(event, null);
        break;
      case 'asking':
        if (event.on !== 'answered') break;
        if (!state.step.methods.includes(event.method))
          return this.#fail(
            'wrong-method',
            `the location wants ${state.step.methods.join(' or ')} here, not ${event.method}`,
          );
        this.#state = { ...state, at: 'answering' };
        this.#triesLeft--;
        return { act: 'answer', login: state.login, method: event.method, response: event.response };
      case 'answering':
        if (event.on === 'step') {
          if (event.challenge !== null) this.#triesLeft++; // asking for a message was no try
          return this.#ask(event, null);
        }
        if (event.on !== 'granted') break;
        this.#state = { at: 'unsealing', granted: event.granted };
        return { act: 'unseal', login: state.login, granted: event.granted };
      case 'unsealing':
        if (event.on === 'unseal-failed')
          return this.#fail(
            'bad-seal',
            'the answer to this login was not made by Core, or changed on its way: tell your administrator',
          );
        if (event.on !== 'unsealed') break;
        this.#state = { at: 'installing' };
        return { act: 'install', granted: state.granted };
      case 'installing':
        if (event.on === 'silent')
          return this.#fail(
            'gateway-silent',
            'logged in, but the gateway does not answer: is its UDP port reachable from here?',
          );
        if (event.on !== 'installed') break;
        this.#state = { at: 'over' };
        return { act: 'done' };
      case 'over':
        break;
      default:
        return state satisfies never;
    }
    return this.#fail(
      'out-of-order',
      `the server's answer (${event.on}) does not fit the login (${state.at}): do client and server have the same version?`,
    );
  }

  #ask({ login, step, challenge }: Asked, again: string | null): Action {
    this.#state = { at: 'asking', login, step, challenge };
    return { act: 'ask', step, again, challenge };
  }

  #refused(state: State, code: string, message: string): Action {
    if (state.at === 'answering' && undelivered.has(code) && this.#resumesLeft > 0) {
      this.#resumesLeft--;
      return { act: 'resume', login: state.login, afterMs: resumeAfterMs };
    }
    if (state.at === 'answering' && wrongAnswers.has(code) && this.#triesLeft > 0)
      return this.#ask(state, message);
    return this.#fail(code, message);
  }

  #fail(code: string, message: string): Action {
    this.#state = { at: 'over' };
    return { act: 'fail', code, message };
  }
}
