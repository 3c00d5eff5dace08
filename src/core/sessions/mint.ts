// Minting: 32 random bytes become a session's pre-shared key, are sealed to each agent of the location and to the client, and
// are wiped. What leaves this file is sealed or signed; the plaintext exists inside one function.

import { signGrant, transcriptOf } from '../../control/trust/grant.ts';
import type { Grant } from '../../control/trust/grant.ts';
import { loginDigest, seal } from '../../control/trust/seal.ts';
import {} from '../../util/bytes.ts';
import { wipeAtEnd } from '../../util/scope.ts';
import type { Random } from '../ids.ts';
import type { LoginState } from '../login/login.ts';
import { hostAddresses, policyOf } from '../policy/policy.ts';
import type { Agent, Location } from '../store/places.ts';

export interface Minted {
  /** One signed grant per agent. */
  readonly grants: readonly { readonly agent: string; readonly text: string }[];
  /** The PSK sealed to the client's ephemeral key. */
  readonly forClient: string;
  readonly loginDigest: string;
  readonly expiresAt: number;
  /** 0 when the location has no lease. */
  readonly leaseUntil: number;
}

export interface MintOrder {
  readonly id: string;
  readonly epoch: number;
  readonly login: LoginState;
  readonly location: Location;
  readonly agents: readonly Agent[];
  /** Host number of the device in the location's network. */
  readonly host: number;
  readonly now: number;
}

/** Null when the client's KEM key is unusable; agents whose key is are left out. */
export async function mint(order: MintOrder, signKey: Uint8Array, random: Random): Promise<Minted | null> {
  const { id, epoch, login, location, now } = order;
  const policy = policyOf(location.settings);
  const options = { allowX25519: location.settings.allowX25519 === true };
  const expiresAt = now + policy.maxLife * 1000;
  const digest = loginDigest(login.nonce, login.id);
  const transcript = transcriptOf({ id, device: login.deviceKey, location: location.id, login: digest });
  const psk = random(32);
  using _wiped = wipeAtEnd(psk);
  const forClient = seal(login.kemPublicKey, 'client', transcript, psk, options);
  if (forClient === null) return null;
  const grants: { agent: string; text: string }[] = [];
  for (const agent of order.agents) {
    // An agent enrolled itself with its KEM; the location's choice concerns clients only.
    const sealed = seal(agent.kemPublic, 'agent', transcript, psk, { allowX25519: true });
    if (sealed === null) continue;
    const grant: Grant = {
      v: 1,
      id,
      epoch,
      aud: agent.id,
      location: location.id,
      device: login.deviceKey,
      user: login.user,
      ips: hostAddresses(location.settings, order.host),
      psk: sealed,
      login: digest,
      iat: now,
      nbf: now,
      exp: expiresAt,
      lease: policy.lease,
      stale: policy.staleAfter,
      idle: policy.idleAfter,
      claim: policy.claimWithin,
      grace: policy.offlineGrace,
      onRoam: policy.onRoam,
      aal: login.done,
    };
    grants.push({ agent: agent.id, text: signGrant(signKey, grant) });
  }
  return {
    grants,
    forClient,
    loginDigest: digest,
    expiresAt,
    leaseUntil: leaseEnd(now, policy.lease, expiresAt),
  };
}

/** When a lease that starts now runs out; never after the session. */
export function leaseEnd(now: number, leaseSeconds: number, expiresAt: number): number {
  return leaseSeconds === 0 ? 0 : Math.min(now + leaseSeconds * 1000, expiresAt);
}
