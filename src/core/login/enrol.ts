// Enrolment, of devices (through the Proxy) and of agents (on Core's own listener): a one-time token becomes a registered
// public key. Private keys never come here. What goes out is a configuration without a PSK.

import type { AgentEnrolAnswer, AgentEnrolRequest } from '../../control/wire/agentchannel.ts';
import type {
  EnrolledLocation,
  EnrolReply,
  EnrolRequest,
  TunnelConfig,
} from '../../control/clientapi/bodies.ts';
import { answerProof, isProof, requestProof } from '../../control/trust/enrolment.ts';
import { fromBase64, isZero, toBase64 } from '../../util/bytes.ts';
import { formatPrefix } from '../../util/inet.ts';
import { hashToken, newId } from '../ids.ts';
import type { Random } from '../ids.ts';
import { agentConfig, hostAddresses, mayUse, networksOf, stepsOf } from '../policy/policy.ts';
import type { User } from '../store/people.ts';
import type { Location } from '../store/places.ts';
import type { Store } from '../store/store.ts';

export type EnrolRefusal = 'bad-token' | 'key-taken' | 'bad-key' | 'network-full';
export type Enrolled<T> =
  | { readonly ok: true; readonly answer: T }
  | { readonly ok: false; readonly code: EnrolRefusal; readonly where?: string };

const devicesMax = 65_536;

export function enrolDevice(
  store: Store,
  request: EnrolRequest,
  source: string,
  now: number,
  random: Random,
  connected: ReadonlySet<string>,
): Enrolled<EnrolReply> {
  return attempt(store, () => {
    const token = store.logins.useToken(hashToken(request.ticket), 'enrol', now);
    const user = token === null ? undefined : store.people.user(token.subject);
    if (!token?.key || user === undefined || user.disabled) throw new Refused('bad-token');
    if (!isProof(request.proof, requestProof(token.key, request))) throw new Refused('bad-token');
    // Only after the token: otherwise an unauthenticated client could learn which keys are registered.
    checkKey(store, request.devicePublicKey);
    if (store.people.deviceCount >= devicesMax) throw new Refused('network-full');
    const id = newId('d', random);
    store.people.addDevice(id, user.id, request.name, request.devicePublicKey, now);
    const locations = locationsFor(store, user, id, connected);
    const full = permitted(store, user).filter(({ id: at }) => locations.every(found => found.id !== at));
    const names = full.map(({ name }) => name).join(', ');
    if (locations.length === 0 && full.length > 0) throw new Refused('network-full', names);
    store.audit.append(now, {
      what: 'device.enrolled',
      who: user.name,
      device: request.name,
      from: source,
      ...(full.length > 0 && { reason: `no free address: ${names}` }),
    });
    const enrolled = { device: id, user: user.name, locations };
    return { enrolled, proof: answerProof(token.key, request.devicePublicKey, enrolled) };
  });
}

/** Thrown inside of a transaction, so that it rolls back and the token stays good. */
class Refused extends Error {
  readonly refusal: EnrolRefusal;
  /** The locations that are full. */
  readonly where: string | undefined;

  constructor(refusal: EnrolRefusal, where?: string) {
    super(refusal);
    this.refusal = refusal;
    this.where = where;
  }
}

function attempt<T>(store: Store, work: () => T): Enrolled<T> {
  try {
    return { ok: true, answer: store.db.transaction(work) };
  } catch (error) {
    if (error instanceof Refused)
      return { ok: false, code: error.refusal, ...(error.where !== undefined && { where: error.where }) };
    throw error;
  }
}

export function enrolAgent(
  store: Store,
  request: AgentEnrolRequest,
  source: string,
  now: number,
  random: Random,
): Enrolled<AgentEnrolAnswer> {
  return attempt(store, () => {
    const token = store.logins.useToken(hashToken(request.joinToken), 'join', now);
    const location = token === null ? undefined : store.places.location(token.subject);
    if (token === null || location === undefined) throw new Refused('bad-token');
    checkKey(store, request.wgPublicKey);
    const id = newId('a', random);
    store.places.addAgent(
      {
        id,
        location: location.id,
        name: request.name,
        wgPublic: request.wgPublicKey,
        signPublic: request.signPublicKey,
        kemPublic: request.kemPublicKey,
        endpoint: token.details['endpoint'] ?? null,
      },
      now,
    );
    store.audit.append(now, {
      what: 'agent.enrolled',
      who: `agent ${id}`,
      location: location.name,
      from: source,
    });
    return {
      agentId: id,
      location: location.id,
      coreKeys: [toBase64(store.signKey.publicKey)],
      config: agentConfig(location),
    };
  });
}

function checkKey(store: Store, publicKey: string): void {
  if (isZero(fromBase64(publicKey)!)) throw new Refused('bad-key');
  if (
    store.people.deviceWithKey(publicKey) !== undefined ||
    store.places.agentWithKey(publicKey) !== undefined
  )
    throw new Refused('key-taken');
}

function permitted(store: Store, user: User): Location[] {
  return store.places.locations().filter(({ settings }) => mayUse(settings, user.groups));
}

/** Every location the user may use, with an address in each; not those that have none left. */
export function locationsFor(
  store: Store,
  user: User,
  device: string,
  connected: ReadonlySet<string>,
): EnrolledLocation[] {
  const result: EnrolledLocation[] = [];
  for (const location of permitted(store, user)) {
    const config = tunnelConfig(store, location, device, connected);
    if (config === null) continue;
    result.push({
      id: location.id,
      name: location.name,
      mfa: 'internal',
      methods: [...new Set(stepsOf(location.settings).flat())],
      proofKey: location.proofPublic,
      kem: location.settings.allowX25519 === true ? 'x25519-allowed' : 'xwing',
      config,
    });
  }
  return result;
}

/** The tunnel of one device at one location, gateways that are connected first. */
export function tunnelConfig(
  store: Store,
  location: Location,
  device: string,
  connected: ReadonlySet<string>,
): TunnelConfig | null {
  const { settings } = location;
  const host = store.places.allocate(location, device);
  if (host === null) return null;
  const agents = store.places.agents(location.id);
  const ordered = [
    ...agents.filter(agent => connected.has(agent.id)),
    ...agents.filter(agent => !connected.has(agent.id)),
  ];
  return {
    addresses: hostAddresses(settings, host),
    dns: settings.dns ?? [],
    mtu: settings.mtu ?? 1420,
    allowedIps: settings.allowedIps ?? networksOf(settings).map(formatPrefix),
    keepalive: settings.keepalive ?? 25,
    gateways: ordered.flatMap(agent => {
      const endpoint = agent.endpoint ?? settings.endpoint;
      return endpoint === undefined ? [] : [{ publicKey: agent.wgPublic, endpoint }];
    }),
  };
}
