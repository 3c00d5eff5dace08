// Configuration as code: `core apply FILE [--dry-run] [--prune]`. The file declares locations and users; the difference to the
// store is printed line by line and, without --dry-run, made in one transaction: all of it or nothing. What the file does not
// name stays, unless --prune says that the file is everything.

import { parse } from 'smol-toml';
import { boolean, check, id, label, list, object, optional } from '../../control/validate.ts';
import { errorText, usageError } from '../../util/errors.ts';
import { addLocation, changeLocation, checkChange } from './places.ts';
import type { Said, Scope } from './verb.ts';
import { administer } from './admin.ts';
import { locationSettings, settingsProblem } from '../policy/policy.ts';
import type { LocationSettings } from '../policy/policy.ts';
import { readWords, switchOption } from './words.ts';
import { emailText } from '../methods/email.ts';

interface Change {
  readonly line: string;
  readonly make: () => void;
}

const userShape = object({
  name: label,
  groups: optional(list(id, 64)),
  disabled: optional(boolean),
  email: optional(emailText),
});
type DeclaredUser = ReturnType<typeof userShape>;

/** `args` is the file's name for messages, then its text (the command line read it: Core may run as another user). */
export function apply(scope: Scope, args: readonly string[]): Said {
  const words = readWords('apply', args, ['FILE', '[TEXT]'], { 'dry-run': false, prune: false });
  const [name, text] = words.positions;
  const file = readFile(name!, text ?? '');
  const changes = [...locationChanges(scope, file.locations), ...userChanges(scope, file.users)];
  if (switchOption(words, 'prune') === true) changes.push(...pruned(scope, file));
  const dryRun = switchOption(words, 'dry-run') === true;
  if (!dryRun) scope.store.db.transaction(() => changes.forEach(change => change.make()));
  const ended = dryRun ? 0 : scope.sessions.enforce('admin');
  const lines = changes.map(change => change.line);
  const summary =
    lines.length === 0
      ? 'nothing to change'
      : `${lines.length} change${lines.length === 1 ? '' : 's'}${dryRun ? ', none made' : ' made'}`;
  return { data: { changes: lines, dryRun, ended }, text: [...lines, summary].join('\n') };
}

interface Declared {
  readonly locations: ReadonlyMap<string, LocationSettings>;
  readonly users: ReadonlyMap<string, DeclaredUser>;
}

function readFile(name: string, text: string): Declared {
  let file: Record<string, unknown>;
  try {
    file = parse(text);
  } catch (error) {
    throw usageError('bad-file', `${name}: ${errorText(error).split(';')[0]}`, error);
  }
  for (const key of Object.keys(file))
    if (key !== 'location' && key !== 'user')
      throw usageError('unknown-key', `${name}: unknown table "${key}"; known are [[location]] and [[user]]`);
  const locations = new Map<string, LocationSettings>();
  const users = new Map<string, DeclaredUser>();
  for (const [i, entry] of entries(name, file, 'location').entries()) {
    const { name: location, ...settings } = entry;
    unknownKeys(name, `location[${i}]`, settings, locationKeys);
    const shaped = check(locationSettings, settings);
    const problem = !check(label, location).ok
      ? 'name must be a line of 1 to 100 characters'
      : shaped.ok
        ? settingsProblem(shaped.value)
        : shaped.error;
    if (problem !== null) throw usageError('bad-location', `${name}: location[${i}]: ${problem}`);
    if (locations.has(String(location)))
      throw usageError('twice', `${name}: location "${String(location)}" is declared twice`);
    if (shaped.ok) locations.set(String(location), shaped.value);
  }
  for (const [i, entry] of entries(name, file, 'user').entries()) {
    unknownKeys(name, `user[${i}]`, entry, ['name', 'groups', 'disabled', 'email']);
    const shaped = check(userShape, entry);
    if (!shaped.ok) throw usageError('bad-user', `${name}: user[${i}]: ${shaped.error}`);
    if (users.has(shaped.value.name))
      throw usageError('twice', `${name}: user "${shaped.value.name}" is declared twice`);
    users.set(shaped.value.name, shaped.value);
  }
  return { locations, users };
}

const locationKeys = [
  'network',
  'network6',
  'endpoint',
  'allowedIps',
  'dns',
  'mtu',
  'keepalive',
  'groups',
  'mfa',
  'steps',
  'allowX25519',
  'policy',
];

function entries(name: string, file: Record<string, unknown>, key: string): Record<string, unknown>[] {
  const value = file[key] ?? [];
  if (Array.isArray(value) && value.every(entry => typeof entry === 'object' && entry !== null))
    return value as Record<string, unknown>[];
  throw usageError('bad-file', `${name}: write [[${key}]], with two brackets, once per ${key}`);
}

// A misspelt key must not be ignored silently.
function unknownKeys(
  name: string,
  at: string,
  entry: Record<string, unknown>,
  known: readonly string[],
): void {
  for (const key of Object.keys(entry))
    if (!known.includes(key))
      throw usageError('unknown-key', `${name}: ${at}: unknown key "${key}"; known are ${known.join(', ')}`);
}

function* locationChanges(scope: Scope, declared: Declared['locations']): Iterable<Change> {
  for (const [name, settings] of declared) {
    const now = scope.store.places.locationNamed(name);
    if (now === undefined)
      yield {
        line: `+ location ${name} (${settings.network})`,
        make: () => void addLocation(scope, name, settings),
      };
    else if (!same(now.settings, settings)) {
      checkChange(scope, now, settings); // before anything is made: sessions that end do not come back with a roll-back
      yield {
        line: `~ location ${name}: ${difference(now.settings, settings)}`,
        make: () => void changeLocation(scope, now, settings),
      };
    }
  }
}

function* userChanges(scope: Scope, declared: Declared['users']): Iterable<Change> {
  for (const [name, { groups = [], disabled = false, email }] of declared) {
    const now = scope.store.people.userNamed(name);
    if (now === undefined)
      yield {
        line: `+ user ${name}`,
        make: () => void administer(scope, ['user', 'add', name, `--groups=${groups.join(',')}`]),
      };
    if (now !== undefined && !same(now.groups, groups))
      yield {
        line: `~ user ${name}: groups ${now.groups.join(',') || 'none'} -> ${groups.join(',') || 'none'}`,
        make: () => void administer(scope, ['user', 'groups', name, groups.join(',')]),
      };
    if (email !== undefined && now?.email !== email)
      yield {
        line: `~ user ${name}: e-mail ${now?.email ?? 'none'} -> ${email}`,
        make: () => void administer(scope, ['user', 'email', name, email]),
      };
    if ((now?.disabled ?? false) !== disabled)
      yield {
        line: `~ user ${name}: ${disabled ? 'disabled' : 'enabled'}`,
        make: () => void administer(scope, ['user', disabled ? 'disable' : 'enable', name]),
      };
  }
}

function* pruned(scope: Scope, declared: Declared): Iterable<Change> {
  for (const { name } of scope.store.places.locations())
    if (!declared.locations.has(name))
      yield { line: `- location ${name}`, make: () => void administer(scope, ['location', 'remove', name]) };
  for (const { name } of scope.store.people.users())
    if (!declared.users.has(name))
      yield { line: `- user ${name}`, make: () => void administer(scope, ['user', 'remove', name]) };
}

function difference(before: object, after: object): string {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const value = (settings: object, name: string): unknown => (settings as Record<string, unknown>)[name];
  return names
    .filter(name => !same(value(before, name), value(after, name)))
    .map(
      name =>
        `${name} ${JSON.stringify(value(before, name)) ?? 'unset'} -> ${JSON.stringify(value(after, name)) ?? 'unset'}`,
    )
    .join(', ');
}

/** Equal as JSON, whatever the order of the keys. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}
