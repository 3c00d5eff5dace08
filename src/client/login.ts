// Login: the flow of one login as a state machine (sessions, section 6): start with a proof, answer each step, unseal the
// PSK, put it to use, see the tunnel answer. Pure: it holds no key, reads no clock and talks to nobody; its caller performs
// each action and reports what came of it.

export type Method = string;

/** What Core asks for next. `challenge` is the method's own business (an address to open, a number to compare). */
export type Step = {
  readonly methods: readonly Method[];
  readonly number: number;
  readonly of: number;
  readonly challenge: unknown;
};

export type Action =
  | { readonly act: 'start' }
  /** Ask the person; `again` says why the last answer was not taken. */
  | { readonly act: 'ask'; readonly step: Step; readonly again: string | null }
  | { readonly act: 'answer'; readonly login: string; readonly method: Method; readonly response: string }
  | { readonly act: 'unseal'; readonly granted: unknown }
  | { readonly act: 'install'; readonly granted: unknown }
  | { readonly act: 'done' }
  | { readonly act: 'fail'; readonly code: string; readonly message: string };

export type Event =
  | { readonly on: 'begin' }
  | { readonly on: 'step'; readonly login: string; readonly step: Step }
  | { readonly on: 'answered'; readonly method: Method; readonly response: string }
  | { readonly on: 'granted'; readonly granted: unknown }
  | { readonly on: 'refused'; readonly code: string; readonly message: string; readonly retry: boolean }
  | { readonly on: 'unsealed' }
  | { readonly on: 'unseal-failed' }
  | { readonly on: 'installed' }
  | { readonly on: 'silent' }
  | { readonly on: 'given-up' };

type State =
  | { readonly at: 'idle' }
  | { readonly at: 'starting' }
  | { readonly at: 'asking'; readonly login: string; readonly step: Step }
  | { readonly at: 'answering'; readonly login: string; readonly step: Step }
  | { readonly at: 'unsealing'; readonly granted: unknown }
  | { readonly at: 'installing' }
  | { readonly at: 'over' };

export class LoginFlow {
  readonly #mayAskAgain: number;
  #refusals = 0;
  #state: State = { at: 'idle' };

  /** `tries`: wrong answers after which to stop (the server counts too, durably). 1 where nobody can be asked again. */
  constructor(tries: number) {
    this.#mayAskAgain = tries - 1;
  }

  get at(): State['at'] {
    return this.#state.at;
  }

  next(event: Event): Action {
    const state = this.#state;
    if (event.on === 'given-up') return this.#fail('given-up', 'login cancelled');
    if (event.on === 'refused' && state.at !== 'idle' && state.at !== 'over') return this.#refused(state, event);
    switch (state.at) {
      case 'idle':
        if (event.on !== 'begin') break;
        this.#state = { at: 'starting' };
        return { act: 'start' };
      case 'starting':
      case 'answering':
        if (event.on === 'step') return this.#ask(event.login, event.step, null);
        if (event.on !== 'granted') break;
        this.#state = { at: 'unsealing', granted: event.granted };
        return { act: 'unseal', granted: event.granted };
      case 'asking':
        if (event.on !== 'answered') break;
        if (!state.step.methods.includes(event.method))
          return this.#fail('wrong-method', `the location wants ${state.step.methods.join(' or ')}, not ${event.method}`);
        this.#state = { at: 'answering', login: state.login, step: state.step };
        return { act: 'answer', login: state.login, method: event.method, response: event.response };
      case 'unsealing':
        if (event.on === 'unseal-failed')
          return this.#fail('bad-seal', 'the session key in the answer was not made for this login: tell your administrator');
        if (event.on !== 'unsealed') break;
        this.#state = { at: 'installing' };
        return { act: 'install', granted: state.granted };
      case 'installing':
        if (event.on === 'silent')
          return this.#fail('gateway-silent', 'logged in, but the gateway does not answer: is its UDP port reachable from here?');
        if (event.on !== 'installed') break;
        this.#state = { at: 'over' };
        return { act: 'done' };
      case 'over':
        break;
      default:
        return state satisfies never;
    }
    return this.#fail('out-of-order', `the server's answer (${event.on}) does not fit the login (${state.at}): is the proxy of another version?`);
  }

  #ask(login: string, step: Step, again: string | null): Action {
    this.#state = { at: 'asking', login, step };
    return { act: 'ask', step, again };
  }

  #refused(state: State, event: Extract<Event, { on: 'refused' }>): Action {
    if (state.at !== 'answering' || !event.retry || this.#refusals >= this.#mayAskAgain)
      return this.#fail(event.code, event.message);
    this.#refusals++;
    return this.#ask(state.login, state.step, event.message);
  }

  #fail(code: string, message: string): Action {
    this.#state = { at: 'over' };
    return { act: 'fail', code, message };
  }
}
