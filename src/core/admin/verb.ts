// What the administrator's verbs share: where they act, how they answer, how they find what a name means.

import { check, id, label } from '../../control/validate.ts';
import { PlainError, usageError } from '../../util/errors.ts';
import type { Random } from '../ids.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { Device, User } from '../store/people.ts';
import type { Location } from '../store/places.ts';
import type { Store } from '../store/store.ts';

export interface Scope {
  readonly store: Store;
  readonly sessions: Sessions;
  readonly clock: () => number;
  readonly random: Random;
}

export interface Said {
  /** For `--json`. */
  readonly data: unknown;
  /** For people. */
  readonly text: string;
}

export type Verb = (scope: Scope, args: readonly string[]) => Said;
export type Verbs = Readonly<Record<string, Verb>>;

export function userOf(scope: Scope, name: string): User {
  const user = scope.store.people.userNamed(name) ?? scope.store.people.user(name);
  if (user === undefined) throw new PlainError('no-user', `there is no user "${name}": see "core user list"`);
  return user;
}

export function deviceOf(scope: Scope, text: string): Device {
  const device = scope.store.people.device(text) ?? scope.store.people.deviceWithKey(text);
  if (device === undefined)
    throw new PlainError('no-device', `there is no device "${text}": see "core device list"`);
  return device;
}

export function locationOf(scope: Scope, name: string): Location {
  const location = scope.store.places.locationNamed(name) ?? scope.store.places.location(name);
  if (location === undefined)
    throw new PlainError('no-location', `there is no location "${name}": see "core location list"`);
  return location;
}

export function named(text: string, what: string): string {
  if (
    !check(label, text).ok ||
    text.startsWith('-') ||
    text.trim() !== text ||
    text.normalize('NFC') !== text
  )
    throw usageError(
      'bad-name',
      `"${text}" is not ${what}: one line of 1 to 100 characters, without spaces at its ends`,
    );
  return text;
}

export function groupNames(groups: string[]): string[] {
  for (const group of groups)
    if (!check(id, group).ok) throw usageError('bad-name', `"${group}" is not a group name`);
  return groups;
}

export function audit(
  scope: Scope,
  what: string,
  more: { reason?: string; device?: string; location?: string },
): void {
  scope.store.audit.append(scope.clock(), { what, who: 'admin', ...more });
}

export function said(data: unknown, text: string): Said {
  return { data, text };
}

/** After something that ends no session by itself. */
export function liveText(live: number, user: string): string {
  if (live === 0) return '';
  const sessions = live === 1 ? '1 live session goes on' : `${live} live sessions go on`;
  return `\n${sessions}: "core session revoke --user ${user}" ends ${live === 1 ? 'it' : 'them'}`;
}

export function endedText(ended: number): string {
  return ended === 0 ? '' : `; ${ended} session${ended === 1 ? '' : 's'} ended`;
}

export function date(at: number): string {
  return new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
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
