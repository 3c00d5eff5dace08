// What a location asks of a login and of a session, with its defaults and bounds. Pure. Everything here is in seconds; the
// grant carries the values in force when it was made, so a change touches new logins only.

import type { AgentConfig } from '../../control/wire/agentchannel.ts';
import { endpointText } from '../../control/clientapi/words.ts';
import {
  boolean,
  id,
  integer,
  list,
  literal,
  object,
  optional,
  prefixText,
  ShapeError,
} from '../../control/validate.ts';
import type { Optional, Shape, Shaped } from '../../control/validate.ts';
import {
  addressAt,
  contains,
  formatAddress,
  formatPrefix,
  network,
  parseAddress,
  parsePrefixOrAddress,
} from '../../util/inet.ts';
import type { IpPrefix } from '../../util/inet.ts';

/** WireGuard re-handshakes about every 120 s and drops keys at 180 s: a shorter `stale` logs live peers out. */
export const staleFloor = 180;

type NumberField =
  | 'staleAfter'
  | 'idleAfter'
  | 'maxLife'
  | 'lease'
  | 'claimWithin'
  | 'offlineGrace'
  | 'dangerouslyShortStaleAfter';

const second = integer(0, 31_536_000);

const policyFields: {
  readonly [name in NumberField]: Optional<number>;
} & { readonly onRoam: Optional<'ignore' | 'reauth'>; readonly ack: Optional<'one' | 'all'> } = {
  staleAfter: optional(integer(staleFloor, 86_400)),
  idleAfter: optional(second),
  maxLife: optional(integer(60, 31_536_000)),
  lease: optional(integer(0, 86_400)),
  claimWithin: optional(integer(5, 3600)),
  offlineGrace: optional(integer(0, 604_800)),
  onRoam: optional(literal('ignore', 'reauth')),
  /** Answer the client when one agent has acknowledged, or when all connected ones have. */
  ack: optional(literal('one', 'all')),
  /** For demonstrations: a `staleAfter` below the floor. Logs live peers out between two handshakes. */
  dangerouslyShortStaleAfter: optional(integer(1, staleFloor)),
};

export interface Policy {
  readonly staleAfter: number;
  readonly idleAfter: number;
  readonly maxLife: number;
  readonly lease: number;
  readonly claimWithin: number;
  readonly offlineGrace: number;
  readonly onRoam: 'ignore' | 'reauth';
  readonly ack: 'one' | 'all';
}

export const defaultPolicy: Policy = {
  staleAfter: staleFloor,
  idleAfter: 0,
  maxLife: 12 * 3600,
  lease: 15 * 60,
  claimWithin: 60,
  offlineGrace: 0,
  onRoam: 'ignore',
  ack: 'one',
};

const addressText: Shape<string> = (value, path) => {
  if (typeof value !== 'string' || parseAddress(value) === null) throw new ShapeError(path, 'an IP address');
  return value;
};

const methodName = literal('totp', 'recovery', 'email');

/** A location as it is declared, in a file or on the command line. */
export const locationSettings: Shape<LocationSettings> = object({
  /** Prefix the devices' inner addresses come from; its first host address is the gateway. */
  network: prefixText,
  /** An IPv6 prefix beside an IPv4 one: devices have an address in each. */
  network6: optional(prefixText),
  /** Where clients reach the gateway, unless the agent has its own. */
  endpoint: optional(endpointText),
  /** What clients route into the tunnel; the networks themselves by default. */
  allowedIps: optional(list(prefixText, 256)),
  dns: optional(list(addressText, 8)),
  mtu: optional(integer(576, 65_535)),
  keepalive: optional(integer(0, 65_535)),
  /** Groups that may use it; empty is every user. */
  groups: optional(list(id, 64)),
  mfa: optional(literal('internal')),
  /** Ordered steps, each a list of alternatives. */
  steps: optional(list(list(methodName, 8, 1), 8, 1)),
  /** Clients without the hybrid KEM may log in; their PSK has no post-quantum secrecy. */
  allowX25519: optional(boolean),
  policy: optional(object(policyFields)),
});

export type LocationSettings = {
  network: string;
  network6?: string;
  endpoint?: string;
  allowedIps?: string[];
  dns?: string[];
  mtu?: number;
  keepalive?: number;
  groups?: string[];
  mfa?: 'internal';
  steps?: ('totp' | 'recovery' | 'email')[][];
  allowX25519?: boolean;
  policy?: Shaped<typeof policyFields>;
};

export function policyOf(settings: LocationSettings): Policy {
  const { dangerouslyShortStaleAfter, ...given } = settings.policy ?? {};
  const staleAfter = dangerouslyShortStaleAfter ?? given.staleAfter ?? defaultPolicy.staleAfter;
  return { ...defaultPolicy, ...given, staleAfter };
}

/** Steps of a login, each a list of methods of which one is enough. */
export function stepsOf(settings: LocationSettings): readonly (readonly string[])[] {
  return settings.steps ?? [['totp', 'recovery']];
}

export function mayUse(settings: LocationSettings, groups: readonly string[]): boolean {
  const wanted = settings.groups ?? [];
  return wanted.length === 0 || wanted.some(group => groups.includes(group));
}

/** Offsets in the network that devices may have: after the gateway, before the broadcast address; at most a /16 worth. */
export function hostRange(settings: LocationSettings): { first: number; last: number } {
  const net = parsePrefixOrAddress(settings.network)!;
  const bits = Math.min(16, net.address.length * 8 - net.prefix);
  return { first: 2, last: 2 ** bits - (net.family === 4 ? 2 : 1) };
}

/** One, or an IPv4 and an IPv6 one. */
export function networksOf({ network: first, network6 }: LocationSettings): IpPrefix[] {
  return [first, network6].flatMap(text => (text === undefined ? [] : [parsePrefixOrAddress(text)!]));
}

/** The device's address in each network, as host prefixes. */
export function hostAddresses(settings: LocationSettings, host: number): string[] {
  return networksOf(settings).map(net => `${formatAddress(addressAt(net, host))}/${net.address.length * 8}`);
}

export function gatewayAddresses(settings: LocationSettings): string[] {
  return networksOf(settings).map(net => `${formatAddress(addressAt(net, 1))}/${net.prefix}`);
}

/** What the agents of a location are told. */
export function agentConfig(location: {
  readonly id: string;
  readonly name: string;
  readonly settings: LocationSettings;
}): AgentConfig {
  const { id, name, settings } = location;
  return {
    location: id,
    name,
    addresses: gatewayAddresses(settings),
    mtu: settings.mtu ?? 1420,
    keepalive: settings.keepalive ?? 25,
  };
}

/** One line about what is wrong with settings whose shape is right, or null. */
export function settingsProblem(settings: LocationSettings): string | null {
  const { first, last } = hostRange(settings);
  if (last < first) return `network ${settings.network} has no room for devices: give at least a /29`;
  for (const net of networksOf(settings)) {
    const wanted = formatPrefix(network(net));
    if (formatPrefix(net) !== wanted)
      return `network ${formatPrefix(net)} has host bits set: did you mean ${wanted}?`;
    if (unusable.some(range => overlap(range, net)))
      return `network ${wanted} is not for hosts: give one of unicast addresses, such as 10.77.0.0/24`;
  }
  const steps = stepsOf(settings);
  if (!areDistinct(steps))
    return `steps ${steps.map(step => step.join()).join('/')} ask for one factor twice`;
  const [four, six] = networksOf(settings);
  if (six === undefined) return null;
  if (six.family !== 6 || four!.family !== 4)
    return `network6 ${settings.network6}: expected an IPv6 prefix beside an IPv4 network`;
  if (2 ** Math.min(16, 128 - six.prefix) <= last)
    return `network6 ${settings.network6} has less room than ${settings.network}: give at least a /112`;
  return null;
}

/** "This network", loopback, multicast and reserved. */
const unusable = ['0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3', '::/96', 'ff00::/8'].map(text =>
  parsePrefixOrAddress(text)!,
);

export function overlap(a: IpPrefix, b: IpPrefix): boolean {
  return contains(a, b) || contains(b, a);
}

/** Can each step be done with a method of its own? */
function areDistinct(steps: readonly (readonly string[])[], used: readonly string[] = []): boolean {
  const [first, ...rest] = steps;
  if (first === undefined) return true;
  if (new Set(first).size < first.length) return false;
  return first.some(method => !used.includes(method) && areDistinct(rest, [...used, method]));
}
