// Sign-in: performs the actions of the login flow (login.ts): the calls, the questions, the ephemeral KEM key and the
// hand-over of the PSK to the running tunnel. The KEM key lives as long as one login, so a recording of it cannot be opened
// later; key and PSK are wiped on every way out, as far as JavaScript lets us.

import { generateKemKeyPair, loginDigest, open } from '../control/trust/seal.ts';
import type { KemKeyPair } from '../control/trust/seal.ts';
import type { Granted, LoginStep, StepChallenge } from '../control/clientapi/bodies.ts';
import { wipe } from '../util/bytes.ts';
import { PlainError } from '../util/errors.ts';
import { Refused } from './api.ts';
import { LoginFlow } from './login.ts';
import type { Event } from './login.ts';
import type { Server } from './daemon/server.ts';
import type { Location } from './state.ts';

export type Answer = { readonly method: string; readonly response: string };

export interface SignInOptions {
  readonly server: Server;
  readonly location: Location;
  /** Our WireGuard public key, base64. */
  readonly device: string;
  readonly methods: readonly string[];
  readonly tries: number;
  /** Asks the person; null when they give up. */
  ask(step: LoginStep, again: string | null, challenge: StepChallenge | null): Promise<Answer | null>;
  /** Puts the PSK into the tunnel and waits for a handshake; false when none came. The PSK is wiped afterwards. */
  install(psk: Uint8Array, granted: Granted): Promise<boolean>;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Logs in; throws a PlainError with the code of whatever stopped it. */
export async function signIn(options: SignInOptions): Promise<Granted> {
  const { server, location } = options;
  const sleep = options.sleep ?? (ms => new Promise(resolve => setTimeout(resolve, ms)));
  const flow = new LoginFlow(options.tries);
  const kem = generateKemKeyPair('xwing');
  let nonce = '';
  let psk: Uint8Array | null = null;
  let granted: Granted | null = null;
  let event: Event = { on: 'begin' };
  try {
    for (;;) {
      const action = flow.next(event);
      switch (action.act) {
        case 'start':
          event = await calling(async () => {
            const started = await server.start(kem.publicKey, options.methods);
            nonce = started.nonce;
            return { on: 'step', login: started.answer.login, step: started.answer.step, challenge: null };
          });
          break;
        case 'ask': {
          const answer = await options.ask(action.step, action.again, action.challenge);
          if (answer === null) throw new PlainError('given-up', 'login cancelled');
          event = { on: 'answered', ...answer };
          break;
        }
        case 'answer':
          event = await answering(server, action.login, action.method, action.response);
          break;
        case 'resume':
          await sleep(action.afterMs);
          event = await answering(server, action.login, 'resume', '');
          break;
        case 'unseal':
          psk = await unseal(kem, options, action.granted, nonce, action.login);
          event = psk === null ? { on: 'unseal-failed' } : { on: 'unsealed' };
          break;
        case 'install':
          granted = action.granted;
          event = (await options.install(psk!, granted)) ? { on: 'installed' } : { on: 'silent' };
          break;
        case 'done':
          return granted!;
        case 'fail':
          throw new PlainError(action.code, `${location.name}: ${action.message}`);
        default:
          action satisfies never;
      }
    }
  } finally {
    wipe(kem.privateKey);
    if (psk !== null) wipe(psk);
  }
}

async function answering(server: Server, login: string, method: string, response: string): Promise<Event> {
  return await calling(async () => {
    const answer = await server.step(login, method, response);
    if (!('step' in answer)) return { on: 'granted', granted: answer };
    return { on: 'step', login, step: answer.step, challenge: answer.challenge ?? null };
  });
}

/** The server's refusals belong to the flow; a broken line does not. */
async function calling(call: () => Promise<Event>): Promise<Event> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof Refused) return { on: 'refused', code: error.code, message: error.message };
    throw error;
  }
}

// The transcript is made of what this side knows: a server or proxy that mixes up logins cannot make the seal open.
async function unseal(
  kem: KemKeyPair,
  options: SignInOptions,
  granted: Granted,
  nonce: string,
  login: string,
): Promise<Uint8Array | null> {
  const digest = loginDigest(nonce, login);
  // A seal alone proves no sender: without Core's MAC an attacker could seal a key and name a gateway.
  if (!options.server.isFromCore(granted, digest)) return null;
  const transcript = {
    grant: granted.session.id,
    device: options.device,
    location: options.location.id,
    login: digest,
  };
  return open(kem, 'client', transcript, granted.granted, {
    allowX25519: options.location.kem === 'x25519-allowed',
  });
}
