// The administrator's verbs on locations and their agents.

import { generateX25519KeyPair } from '../../control/trust/keys.ts';
import { endpointText } from '../../control/clientapi/words.ts';
import { check } from '../../control/validate.ts';
import { toBase64 } from '../../util/bytes.ts';
import { PlainError, usageError } from '../../util/errors.ts';
import { formatPrefix } from '../../util/inet.ts';
import { hashToken, newId, newToken } from '../ids.ts';
import { locationFlags, settingsFrom } from './locationflags.ts';
import { locationSettings, networksOf, overlap, settingsProblem } from '../policy/policy.ts';
import type { LocationSettings } from '../policy/policy.ts';
import type { Location } from '../store/places.ts';
import { dismissAgent } from '../sessions/dismissal.ts';
import { hoursOption, readWords } from './words.ts';
import { audit, date, endedText, locationOf, named, said, table } from './verb.ts';
import type { Said, Scope, Verbs } from './verb.ts';

function locationAdd(scope: Scope, args: readonly string[]): Said {
  const words = readWords('location add', args, ['NAME'], locationFlags);
  const name = named(words.positions[0]!, 'a location name');
  const settings = settingsFrom(words, undefined);
  return addLocation(scope, name, settings);
}

export function addLocation(scope: Scope, name: string, settings: LocationSettings): Said {
  named(name, 'a location name');
  checkSettings(settings);
  if (scope.store.places.locationNamed(name) !== undefined)
    throw new PlainError('exists', `there is a location ${name} already`);
  const location = newId('loc', scope.random);
  const pair = generateX25519KeyPair();
  const proof = { publicKey: toBase64(pair.publicKey), privateKey: pair.privateKey };
  scope.store.places.addLocation(location, name, settings, proof, scope.clock());
  audit(scope, 'location.added', { location: name });
  return said(
    { id: location, name, settings },
    `location ${name} (${location}), network ${networksText(settings)}${dangerText(settings)}${overlapText(scope, location, settings)}`,
  );
}

function locationSet(scope: Scope, args: readonly string[]): Said {
  const words = readWords('location set', args, ['NAME'], locationFlags);
  const location = locationOf(scope, words.positions[0]!);
  return changeLocation(scope, location, settingsFrom(words, location.settings));
}

/** Throws when these settings cannot take the place of the location's. */
export function checkChange(scope: Scope, location: Location, settings: LocationSettings): void {
  checkSettings(settings);
  const used = scope.store.places.hasAddresses(location.id);
  for (const name of ['network', 'network6'] as const) {
    const before = location.settings[name];
    if (before !== undefined && settings[name] !== before && used)
      throw new PlainError(
        'network-in-use',
        `location ${location.name}: devices have addresses in ${before}, so the network cannot change`,
      );
  }
}

export function changeLocation(scope: Scope, location: Location, settings: LocationSettings): Said {
  checkChange(scope, location, settings);
  scope.store.places.changeLocation(location.id, settings);
  audit(scope, 'location.changed', { location: location.name });
  const ended = scope.sessions.enforce('admin');
  for (const agent of scope.store.places.agents(location.id)) scope.sessions.hub.configure(agent.id);
  return said(
    { id: location.id, name: location.name, settings, ended },
    `location ${location.name} changed${endedText(ended)}${dangerText(settings)}${overlapText(scope, location.id, settings)}`,
  );
}

function locationList(scope: Scope, args: readonly string[]): Said {
  readWords('location list', args, [], {});
  const locations = scope.store.places.locations();
  return said(
    locations,
    table(
      ['ID', 'NAME', 'NETWORK', 'ENDPOINT', 'AGENTS', 'GROUPS'],
      locations.map(({ id: at, name, settings }) => {
        const agents = scope.store.places.agents(at);
        const here = agents.filter(agent => scope.sessions.hub.isConnected(agent.id)).length;
        return [
          at,
          name,
          networksText(settings),
          settings.endpoint ?? '-',
          `${here}/${agents.length}`,
          settings.groups?.join(',') ?? '-',
        ];
      }),
    ),
  );
}

function networksText(settings: LocationSettings): string {
  return networksOf(settings).map(formatPrefix).join(', ');
}

function locationRemove(scope: Scope, args: readonly string[]): Said {
  const location = locationOf(scope, readWords('location remove', args, ['NAME'], {}).positions[0]!);
  const ended = scope.sessions.endWhere(session => session.location === location.id, 'policy', 'admin');
  for (const agent of scope.store.places.agents(location.id))
    dismissAgent(scope, agent.id, 'the location was removed');
  scope.store.places.removeLocation(location.id);
  audit(scope, 'location.removed', { location: location.name });
  return said(
    { location: location.name, ended },
    `location ${location.name} removed with its agents${endedText(ended)}`,
  );
}

function agentToken(scope: Scope, args: readonly string[]): Said {
  const words = readWords('agent token', args, ['LOCATION'], { endpoint: true, hours: true });
  const location = locationOf(scope, words.positions[0]!);
  const endpoint = words.options.get('endpoint');
  if (endpoint !== undefined && !check(endpointText, endpoint).ok)
    throw usageError(
      'bad-endpoint',
      `--endpoint must be HOST:PORT such as gate.example:51820, not "${endpoint}"`,
    );
  const expiresAt = scope.clock() + hoursOption(words);
  const token = newToken('spj', scope.random);
  const details: Record<string, string> = endpoint === undefined ? {} : { endpoint };
  scope.store.logins.addToken(hashToken(token), 'join', location.id, details, expiresAt);
  audit(scope, 'agent.token', { location: location.name });
  return said(
    { token, location: location.name, expiresAt },
    `${token}\nshown once: lets one agent join ${location.name} until ${date(expiresAt)}`,
  );
}

function agentList(scope: Scope, args: readonly string[]): Said {
  readWords('agent list', args, [], {});
  const agents = scope.store.places.agents().map(agent => ({
    id: agent.id,
    name: agent.name,
    location: scope.store.places.location(agent.location)?.name ?? agent.location,
    wgPublicKey: agent.wgPublic,
    endpoint: agent.endpoint,
    connected: scope.sessions.hub.isConnected(agent.id),
  }));
  return said(
    agents,
    table(
      ['ID', 'NAME', 'LOCATION', 'STATE'],
      agents.map(agent => [agent.id, agent.name, agent.location, agent.connected ? 'connected' : 'away']),
    ),
  );
}

function agentRemove(scope: Scope, args: readonly string[]): Said {
  const agent = scope.store.places.agent(readWords('agent remove', args, ['ID'], {}).positions[0]!);
  if (agent === undefined) throw new PlainError('no-agent', 'there is no such agent: see "core agent list"');
  const ended = dismissAgent(scope, agent.id, 'the agent was removed');
  scope.store.places.removeAgent(agent.id);
  audit(scope, 'agent.removed', { reason: agent.name });
  return said({ agent: agent.id, ended }, `agent ${agent.name} removed; stop it${endedText(ended)}`);
}

function checkSettings(settings: LocationSettings): void {
  const shaped = check(locationSettings, settings);
  const problem = shaped.ok ? settingsProblem(settings) : shaped.error;
  if (problem !== null) throw usageError('bad-location', problem);
}

function dangerText(settings: LocationSettings): string {
  const stale = settings.policy?.dangerouslyShortStaleAfter;
  return stale === undefined
    ? ''
    : `\nWARNING: sessions go stale after ${stale} s. WireGuard re-handshakes only every 120 s, so live tunnels will be logged out: for demonstrations only`;
}

/** Two locations may share a network, each behind its own gateways; a device cannot be up in both at once. */
function overlapText(scope: Scope, location: string, settings: LocationSettings): string {
  const mine = networksOf(settings);
  const others = scope.store.places
    .locations()
    .filter(other => other.id !== location)
    .filter(other => networksOf(other.settings).some(net => mine.some(own => overlap(own, net))))
    .map(({ name }) => name);
  return others.length === 0
    ? ''
    : `\nWARNING: the network overlaps that of ${others.join(', ')}: a device cannot be up in both`;
}

function locationRename(scope: Scope, args: readonly string[]): Said {
  const words = readWords('location rename', args, ['NAME', 'NEW'], {});
  const location = locationOf(scope, words.positions[0]!);
  const name = named(words.positions[1]!, 'a location name');
  if (scope.store.places.locationNamed(name) !== undefined)
    throw new PlainError('exists', `there is a location ${name} already`);
  scope.store.places.renameLocation(location.id, name);
  audit(scope, 'location.renamed', { location: name, reason: `${location.name} -> ${name}` });
  for (const agent of scope.store.places.agents(location.id)) scope.sessions.hub.configure(agent.id);
  return said({ id: location.id, name }, `location ${location.name} is ${name} now`);
}

export const locationVerbs: Verbs = {
  add: locationAdd,
  set: locationSet,
  rename: locationRename,
  list: locationList,
  remove: locationRemove,
};

export const agentVerbs: Verbs = {
  token: agentToken,
  list: agentList,
  remove: agentRemove,
};
