// Enrolment: a one-time token becomes a registered device. The WireGuard key is made here and its private half stays here;
// what Core gets is the public one.

import { generateX25519KeyPair } from '../control/trust/keys.ts';
import { enrolToken } from '../control/clientapi/words.ts';
import { check, label } from '../control/validate.ts';
import { toBase64 } from '../util/bytes.ts';
import { usageError } from '../util/errors.ts';
import { wipeAtEnd } from '../util/scope.ts';
import { Api } from './api.ts';
import { enrol } from './daemon/server.ts';
import type { ClientState, Store } from './state.ts';

export interface EnrolOptions {
  readonly proxy: string;
  readonly caFile?: string;
  readonly token: string;
  readonly name: string;
}

export async function enrolDevice(store: Store, options: EnrolOptions): Promise<ClientState> {
  // Never quote the token: it may be good although something around it is wrong.
  if (!check(enrolToken, options.token).ok)
    throw usageError(
      'bad-token',
      'this is not an enrolment token: expected "spe_" and 32 characters, as in the link you were given',
    );
  const name = check(label, options.name);
  if (!name.ok) throw usageError('bad-name', `--name: expected a line of 1 to 100 characters`);
  store.make(); // fail on a wrong directory before the token is spent
  const api = new Api(options.proxy, options.caFile === undefined ? {} : { caFile: options.caFile });
  const pair = generateX25519KeyPair();
  using _wiped = wipeAtEnd(pair.privateKey);
  const publicKey = toBase64(pair.publicKey);
  const enrolled = await enrol(api, options.token, publicKey, name.value);
  const state: ClientState = {
    version: 1,
    proxy: options.proxy,
    ...(options.caFile === undefined ? {} : { caFile: options.caFile }),
    privateKey: toBase64(pair.privateKey),
    publicKey,
    enrolled,
  };
  store.save(state);
  return state;
}
