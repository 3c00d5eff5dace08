// What an administrator can do, as verbs on the store and the live sessions. The same code runs inside of a running Core (asked
// over its unix socket) and, when none is running, directly on the store. Every change is audited. A verb returns data for
// `--json` and text for people; one-time secrets appear in that answer and nowhere else.

import { generateX25519KeyPair } from '../control/keys.ts';
import { endpointText } from '../control/messages.ts';
import { check, id, label } from '../control/validate.ts';
import { toBase64 } from '../util/bytes.ts';
import { PlainError, usageError } from '../util/errors.ts';
import { hashToken, newId, newToken } from './ids.ts';
import type { Random } from './ids.ts';
import { locationFlags, settingsFrom } from './locationflags.ts';
import { newRecoveryCodes, hashRecoveryCode } from './mfa/recovery.ts';
import { base32, otpauthUri, totpSeedBytes } from './mfa/totp.ts';
import { locationSettings, settingsProblem } from './policy.ts';
import type { LocationSettings } from './policy.ts';
import type { Sessions } from './sessions.ts';
import { verifyCheckpoint } from './store/audit.ts';
import type { Checkpoint } from './store/audit.ts';
import type { Device, User } from './store/people.ts';
import type { Location } from './store/places.ts';
import type { Store } from './store/store.ts';
import { listOption, numberOption, readWords } from './words.ts';

export interface Scope {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly clock: () => number;
  readonly random: Random;
}

export interface Said {
  readonly data: unknown;
  readonly text: string;
}

type Verb = (scope: Scope, args: readonly string[]) => Said;

export const nouns: readonly string[] = ['user', 'device', 'location', 'agent', 'session', 'audit'];

/** Runs e.g. ["user", "add", "ada"]. Throws a PlainError with one line for people. */
export function administer(scope: Scope, args: readonly string[]): Said {
  const verb = args.slice(0, 2).join(' ');
  const run = verbs.get(verb);
  if (run === undefined) {
    const noun = args[0] ?? '';
    const known = [...verbs.keys()].filter(name => name.startsWith(`${noun} `));
    throw usageError(
      'unknown-verb',
      `core ${noun}: unknown verb "${args[1] ?? ''}"; known are ${known.map(name => name.split(' ')[1]).join(', ')}`,
    );
  }
  return run(scope, args.slice(2));
}

// --- users --------------------------------------------------------------------------------------------------------------

function userAdd(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user add', args, ['NAME'], { groups: true });
  const name = named(words.positions[0]!, 'a user name');
  if (scope.store.people.userNamed(name) !== undefined)
    throw new PlainError('exists', `there is a user ${name} already`);
  const user = newId('u', scope.random);
  scope.store.people.addUser(user, name, groupNames(listOption(words, 'groups') ?? []), scope.clock());
  audit(scope, 'user.added', { reason: name });
  return said({ id: user, name }, `user ${name} (${user})`);
}

function userList(scope: Scope, args: readonly string[]): Said {
  readWords('user list', args, [], {});
  const users = scope.store.people.users();
  return said(
    users,
    table(
      ['NAME', 'GROUPS', 'TOTP', 'STATE'],
      users.map(user => [
        user.name,
        user.groups.join(',') || '-',
        user.hasTotp ? 'yes' : 'no',
        user.disabled ? 'disabled' : 'enabled',
      ]),
    ),
  );
}

function userTotp(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user totp', args, ['NAME'], {});
  const user = userOf(scope, words.positions[0]!);
  const seed = scope.random(totpSeedBytes);
  scope.store.people.setTotp(user.id, seed);
  audit(scope, 'user.totp', { reason: user.name });
  const uri = otpauthUri(user.name, 'Sallyport', seed);
  return said(
    { user: user.name, uri, secret: base32(seed) },
    `${uri}\nshown once: scan it, or type the secret ${base32(seed)}`,
  );
}

function userRecovery(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user recovery', args, ['NAME'], {});
  const user = userOf(scope, words.positions[0]!);
  const codes = newRecoveryCodes(scope.random);
  scope.store.people.setRecoveryCodes(
    user.id,
    codes.map(code => hashRecoveryCode(user.id, code)!),
  );
  audit(scope, 'user.recovery', { reason: user.name });
  return said({ user: user.name, codes }, `${codes.join('\n')}\nshown once: each works one time`);
}

function userGroups(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user groups', args, ['NAME', 'GROUP,GROUP'], {});
  const user = userOf(scope, words.positions[0]!);
  const groups = groupNames(words.positions[1]!.split(',').filter(group => group !== ''));
  scope.store.people.changeUser(user.id, { groups });
  audit(scope, 'user.groups', { reason: `${user.name}: ${groups.join(',')}` });
  const ended = scope.sessions.enforce('admin');
  return said(
    { user: user.name, groups, ended },
    `user ${user.name}: groups ${groups.join(', ') || 'none'}${endedText(ended)}`,
  );
}

function userSwitch(disabled: boolean): Verb {
  const verb = disabled ? 'disable' : 'enable';
  return (scope, args) => {
    const user = userOf(scope, readWords(`user ${verb}`, args, ['NAME'], {}).positions[0]!);
    scope.store.people.changeUser(user.id, { disabled });
    audit(scope, `user.${verb}d`, { reason: user.name });
    const ended = scope.sessions.enforce('admin');
    return said({ user: user.name, disabled, ended }, `user ${user.name} ${verb}d${endedText(ended)}`);
  };
}

function userUnlock(scope: Scope, args: readonly string[]): Said {
  const user = userOf(scope, readWords('user unlock', args, ['NAME'], {}).positions[0]!);
  scope.store.db.run('DELETE FROM attempts WHERE key = ?', `account/${user.id}`);
  for (const device of scope.store.people.devices(user.id))
    scope.store.db.run('DELETE FROM attempts WHERE key = ?', `device/${device.id}`);
  audit(scope, 'user.unlocked', { reason: user.name });
  return said({ user: user.name }, `user ${user.name}: attempts forgotten`);
}

function userRemove(scope: Scope, args: readonly string[]): Said {
  const user = userOf(scope, readWords('user remove', args, ['NAME'], {}).positions[0]!);
  const ended = scope.sessions.endWhere(session => session.user === user.id, 'revoked-admin', 'admin');
  scope.store.people.removeUser(user.id);
  audit(scope, 'user.removed', { reason: user.name });
  return said({ user: user.name, ended }, `user ${user.name} removed with its devices${endedText(ended)}`);
}

// --- devices ------------------------------------------------------------------------------------------------------------

function deviceToken(scope: Scope, args: readonly string[]): Said {
  const words = readWords('device token', args, ['USER'], { hours: true });
  const user = userOf(scope, words.positions[0]!);
  const expiresAt = scope.clock() + (numberOption(words, 'hours', 'hours') ?? 24) * 3600_000;
  const token = newToken('spe', scope.random);
  scope.store.logins.addToken(hashToken(token), 'enrol', user.id, {}, expiresAt);
  audit(scope, 'device.token', { reason: user.name });
  return said(
    { token, user: user.name, expiresAt },
    `${token}\nshown once: enrols one device of ${user.name} until ${date(expiresAt)}`,
  );
}

function deviceList(scope: Scope, args: readonly string[]): Said {
  const words = readWords('device list', args, ['[USER]'], {});
  const user = words.positions[0] === undefined ? undefined : userOf(scope, words.positions[0]);
  const devices = scope.store.people.devices(user?.id);
  return said(
    devices,
    table(
      ['ID', 'NAME', 'USER', 'KEY', 'STATE'],
      devices.map(device => [
        device.id,
        device.name,
        scope.store.people.user(device.user)?.name ?? '-',
        device.publicKey,
        device.disabled ? 'disabled' : 'enabled',
      ]),
    ),
  );
}

function deviceSwitch(disabled: boolean): Verb {
  const verb = disabled ? 'disable' : 'enable';
  return (scope, args) => {
    const device = deviceOf(scope, readWords(`device ${verb}`, args, ['ID|KEY'], {}).positions[0]!);
    scope.store.people.setDeviceDisabled(device.id, disabled);
    audit(scope, `device.${verb}d`, { device: device.name });
    const ended = scope.sessions.enforce('admin');
    return said({ device: device.id, disabled, ended }, `device ${device.name} ${verb}d${endedText(ended)}`);
  };
}

function deviceRemove(scope: Scope, args: readonly string[]): Said {
  const device = deviceOf(scope, readWords('device remove', args, ['ID|KEY'], {}).positions[0]!);
  const ended = scope.sessions.endWhere(session => session.device === device.id, 'revoked-admin', 'admin');
  scope.store.people.removeDevice(device.id);
  audit(scope, 'device.removed', { device: device.name });
  return said({ device: device.id, ended }, `device ${device.name} removed${endedText(ended)}`);
}

// --- locations ----------------------------------------------------------------------------------------------------------

function locationAdd(scope: Scope, args: readonly string[]): Said {
  const words = readWords('location add', args, ['NAME'], locationFlags);
  const name = named(words.positions[0]!, 'a location name');
  const settings = settingsFrom(words, undefined);
  return addLocation(scope, name, settings);
}

export function addLocation(scope: Scope, name: string, settings: LocationSettings): Said {
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
    `location ${name} (${location}), network ${settings.network}${dangerText(settings)}`,
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
  const used = scope.store.db.get('SELECT 1 FROM addresses WHERE location_id = ?', location.id) !== undefined;
  if (settings.network !== location.settings.network && used)
    throw new PlainError(
      'network-in-use',
      `location ${location.name}: devices have addresses in ${location.settings.network}, so the network cannot change`,
    );
}

export function changeLocation(scope: Scope, location: Location, settings: LocationSettings): Said {
  checkChange(scope, location, settings);
  scope.store.places.changeLocation(location.id, settings);
  audit(scope, 'location.changed', { location: location.name });
  const ended = scope.sessions.enforce('admin');
  for (const agent of scope.store.places.agents(location.id)) scope.sessions.hub.configure(agent.id);
  return said(
    { id: location.id, name: location.name, settings, ended },
    `location ${location.name} changed${endedText(ended)}${dangerText(settings)}`,
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
          settings.network,
          settings.endpoint ?? '-',
          `${here}/${agents.length}`,
          settings.groups?.join(',') ?? '-',
        ];
      }),
    ),
  );
}

function locationRemove(scope: Scope, args: readonly string[]): Said {
  const location = locationOf(scope, readWords('location remove', args, ['NAME'], {}).positions[0]!);
  const ended = scope.sessions.endWhere(session => session.location === location.id, 'policy', 'admin');
  for (const agent of scope.store.places.agents(location.id))
    scope.sessions.hub.drop(agent.id, 4001, 'the location was removed');
  scope.store.places.removeLocation(location.id);
  audit(scope, 'location.removed', { location: location.name });
  return said(
    { location: location.name, ended },
    `location ${location.name} removed with its agents${endedText(ended)}`,
  );
}

// --- agents -------------------------------------------------------------------------------------------------------------

function agentToken(scope: Scope, args: readonly string[]): Said {
  const words = readWords('agent token', args, ['LOCATION'], { endpoint: true, hours: true });
  const location = locationOf(scope, words.positions[0]!);
  const endpoint = words.options.get('endpoint');
  if (endpoint !== undefined && !check(endpointText, endpoint).ok)
    throw usageError(
      'bad-endpoint',
      `--endpoint must be HOST:PORT such as gate.example:51820, not "${endpoint}"`,
    );
  const expiresAt = scope.clock() + (numberOption(words, 'hours', 'hours') ?? 24) * 3600_000;
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
  scope.sessions.hub.drop(agent.id, 4001, 'the agent was removed');
  scope.store.places.removeAgent(agent.id);
  audit(scope, 'agent.removed', { reason: agent.name });
  return said(
    { agent: agent.id },
    `agent ${agent.name} removed; stop it, it keeps its sessions until their deadlines`,
  );
}

// --- sessions -----------------------------------------------------------------------------------------------------------

function sessionList(scope: Scope, args: readonly string[]): Said {
  const words = readWords('session list', args, [], { all: false });
  const found = words.options.has('all') ? scope.store.sessions.recent(200) : scope.store.sessions.live();
  const sessions = found.map(({ tokenHash: _hash, policy: _policy, ...session }) => ({
    ...session,
    userName: scope.store.people.user(session.user)?.name ?? null,
    locationName: scope.store.places.location(session.location)?.name ?? null,
  }));
  return said(
    sessions,
    table(
      ['ID', 'USER', 'LOCATION', 'DEVICE', 'STATE', 'SINCE', 'UNTIL', 'RX', 'TX'],
      sessions.map(session => [
        session.id,
        session.userName ?? session.user,
        session.locationName ?? session.location,
        session.deviceKey.slice(0, 8) + '…',
        session.reason ?? (session.confirmedAt === null ? `${session.status}, unused` : session.status),
        date(session.createdAt),
        date(session.endedAt ?? session.expiresAt),
        String(session.rx),
        String(session.tx),
      ]),
    ),
  );
}

function sessionRevoke(scope: Scope, args: readonly string[]): Said {
  const words = readWords('session revoke', args, ['[ID]'], { device: true, user: true });
  const [session] = words.positions;
  const deviceText = words.options.get('device');
  const userText = words.options.get('user');
  if ([session, deviceText, userText].filter(given => given !== undefined).length !== 1)
    throw usageError('arguments', 'usage: sallyport core session revoke ID | --device ID|KEY | --user NAME');
  const device = deviceText === undefined ? undefined : deviceOf(scope, deviceText);
  const user = userText === undefined ? undefined : userOf(scope, userText);
  const ended = scope.sessions.endWhere(
    live => live.id === session || live.device === device?.id || live.user === user?.id,
    'revoked-admin',
    'admin',
  );
  if (ended === 0) throw new PlainError('no-session', 'no live session matches: see "core session list"');
  return said({ ended }, `${ended} session${ended === 1 ? '' : 's'} revoked`);
}

// --- audit --------------------------------------------------------------------------------------------------------------

function auditShow(scope: Scope, args: readonly string[]): Said {
  const words = readWords('audit show', args, [], { limit: true });
  const entries = scope.store.audit.entries(numberOption(words, 'limit', 'records') ?? 50);
  const lines = entries.map(({ seq, at, record }) => {
    const { what, who, ...rest } = record;
    const details = Object.entries(rest).map(([name, value]) => ` ${name}=${value}`);
    return `${seq} ${date(at)} ${what} by ${who}${details.join('')}`;
  });
  return said(entries, lines.join('\n'));
}

function auditVerify(scope: Scope, args: readonly string[]): Said {
  const words = readWords('audit verify', args, [], { checkpoint: true });
  const text = words.options.get('checkpoint');
  const checkpoint = text === undefined ? undefined : readCheckpoint(scope, text);
  const verdict = scope.store.audit.verify(checkpoint);
  if (!verdict.ok) throw new PlainError('audit-broken', `audit record ${verdict.seq}: ${verdict.problem}`);
  return said(verdict, `${verdict.records} records, chain intact, last hash ${verdict.hash}`);
}

function auditCheckpoint(scope: Scope, args: readonly string[]): Said {
  readWords('audit checkpoint', args, [], {});
  const checkpoint = scope.store.audit.checkpoint(scope.clock(), scope.store.signKey.privateKey);
  return said(checkpoint, JSON.stringify(checkpoint));
}

function readCheckpoint(scope: Scope, text: string): Checkpoint {
  let checkpoint: Checkpoint;
  try {
    checkpoint = JSON.parse(text) as Checkpoint;
  } catch (cause) {
    throw usageError(
      'bad-checkpoint',
      '--checkpoint wants the line that "core audit checkpoint" printed',
      cause,
    );
  }
  if (
    typeof checkpoint?.signature !== 'string' ||
    !verifyCheckpoint(scope.store.signKey.publicKey, checkpoint)
  )
    throw new PlainError('bad-checkpoint', 'the checkpoint is not signed by this Core');
  return checkpoint;
}

// --- finding things -----------------------------------------------------------------------------------------------------

function userOf(scope: Scope, name: string): User {
  const user = scope.store.people.userNamed(name) ?? scope.store.people.user(name);
  if (user === undefined) throw new PlainError('no-user', `there is no user "${name}": see "core user list"`);
  return user;
}

function deviceOf(scope: Scope, text: string): Device {
  const device = scope.store.people.device(text) ?? scope.store.people.deviceWithKey(text);
  if (device === undefined)
    throw new PlainError('no-device', `there is no device "${text}": see "core device list"`);
  return device;
}

function locationOf(scope: Scope, name: string): Location {
  const location = scope.store.places.locationNamed(name) ?? scope.store.places.location(name);
  if (location === undefined)
    throw new PlainError('no-location', `there is no location "${name}": see "core location list"`);
  return location;
}

function named(text: string, what: string): string {
  if (!check(label, text).ok || text.startsWith('-'))
    throw usageError('bad-name', `"${text}" is not ${what}: one line of 1 to 100 characters`);
  return text;
}

function groupNames(groups: string[]): string[] {
  for (const group of groups)
    if (!check(id, group).ok) throw usageError('bad-name', `"${group}" is not a group name`);
  return groups;
}

function checkSettings(settings: LocationSettings): void {
  const shaped = check(locationSettings, settings);
  const problem = shaped.ok ? settingsProblem(settings) : shaped.error;
  if (problem !== null) throw usageError('bad-location', problem);
}

// --- answering ----------------------------------------------------------------------------------------------------------

function audit(
  scope: Scope,
  what: string,
  more: { reason?: string; device?: string; location?: string },
): void {
  scope.store.audit.append(scope.clock(), { what, who: 'admin', ...more });
}

function said(data: unknown, text: string): Said {
  return { data, text };
}

function endedText(ended: number): string {
  return ended === 0 ? '' : `; ${ended} session${ended === 1 ? '' : 's'} ended`;
}

function dangerText(settings: LocationSettings): string {
  const stale = settings.policy?.dangerouslyShortStaleAfter;
  return stale === undefined
    ? ''
    : `\nWARNING: sessions go stale after ${stale} s. WireGuard re-handshakes only every 120 s, so live tunnels will be logged out: for demonstrations only`;
}

function date(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map(row => row[column]!.length)));
  return all
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const verbs: ReadonlyMap<string, Verb> = new Map<string, Verb>([
  ['user add', userAdd],
  ['user list', userList],
  ['user totp', userTotp],
  ['user recovery', userRecovery],
  ['user groups', userGroups],
  ['user disable', userSwitch(true)],
  ['user enable', userSwitch(false)],
  ['user unlock', userUnlock],
  ['user remove', userRemove],
  ['device token', deviceToken],
  ['device list', deviceList],
  ['device disable', deviceSwitch(true)],
  ['device enable', deviceSwitch(false)],
  ['device remove', deviceRemove],
  ['location add', locationAdd],
  ['location set', locationSet],
  ['location list', locationList],
  ['location remove', locationRemove],
  ['agent token', agentToken],
  ['agent list', agentList],
  ['agent remove', agentRemove],
  ['session list', sessionList],
  ['session revoke', sessionRevoke],
  ['audit show', auditShow],
  ['audit verify', auditVerify],
  ['audit checkpoint', auditCheckpoint],
]);
