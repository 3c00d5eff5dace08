// The administrator's verbs on users and their devices. One-time secrets appear in the answer and nowhere else.

import { renderUnicodeCompact } from 'uqr';
import { PlainError, usageError } from '../../util/errors.ts';
import { check } from '../../control/validate.ts';
import { enrolSecret } from '../../control/trust/enrolment.ts';
import { hashToken, newId, newToken } from '../ids.ts';
import { emailText } from '../methods/email.ts';
import { hashRecoveryCode, newRecoveryCodes } from '../methods/recovery.ts';
import { base32, otpauthUri, totpSeedBytes } from '../methods/totp.ts';
import { hoursOption, listOption, readWords, switchOption } from './words.ts';
import type { Words } from './words.ts';
import {
  audit,
  date,
  deviceOf,
  endedText,
  groupNames,
  liveText,
  named,
  said,
  table,
  userOf,
} from './verb.ts';
import type { Said, Scope, Verb, Verbs } from './verb.ts';
import type { User } from '../store/people.ts';

function userAdd(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user add', args, ['NAME'], { groups: true, email: true });
  const name = named(words.positions[0]!, 'a user name');
  if (scope.store.people.userNamed(name) !== undefined)
    throw new PlainError('exists', `there is a user ${name} already`);
  const email = words.options.has('email') ? emailAddress(words.options.get('email')!) : null;
  const user = newId('u', scope.random);
  scope.store.people.addUser(user, name, groupNames(listOption(words, 'groups') ?? []), scope.clock());
  if (email !== null) scope.store.people.changeUser(user, { email });
  audit(scope, 'user.added', { reason: name });
  return said({ id: user, name }, `user ${name} (${user})`);
}

function userList(scope: Scope, args: readonly string[]): Said {
  readWords('user list', args, [], {});
  const users = scope.store.people.users();
  return said(
    users,
    table(
      ['NAME', 'GROUPS', 'TOTP', 'EMAIL', 'STATE'],
      users.map(user => [
        user.name,
        user.groups.join(',') || '-',
        user.hasTotp ? 'yes' : 'no',
        user.email ?? '-',
        user.disabled ? 'disabled' : 'enabled',
      ]),
    ),
  );
}

function userTotp(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user totp', args, ['NAME'], { 'end-sessions': false });
  const user = userOf(scope, words.positions[0]!);
  const seed = scope.random(totpSeedBytes);
  scope.store.people.setTotp(user.id, seed);
  audit(scope, 'user.totp', { reason: user.name });
  const uri = otpauthUri(user.name, 'Sallyport', seed);
  const { ended, live, text } = sessionsAfter(scope, user, words);
  return said(
    { user: user.name, uri, secret: base32(seed), ended, live },
    // Light on dark: a terminal with dark letters on light shows it inverted, which authenticators read as well.
    `${renderUnicodeCompact(uri, { ecc: 'L', border: 2 })}\n${uri}\nshown once: scan it, or type the secret ${base32(seed)}${text}`,
  );
}

function userRecovery(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user recovery', args, ['NAME'], { 'end-sessions': false });
  const user = userOf(scope, words.positions[0]!);
  const codes = newRecoveryCodes(scope.random);
  scope.store.people.setRecoveryCodes(
    user.id,
    codes.map(code => hashRecoveryCode(user.id, code)!),
  );
  audit(scope, 'user.recovery', { reason: user.name });
  const { ended, live, text } = sessionsAfter(scope, user, words);
  return said(
    { user: user.name, codes, ended, live },
    `${codes.join('\n')}\nshown once: each works one time${text}`,
  );
}

/** New factors leave sessions alone, unless asked: renewing them is routine, a stolen phone is not. */
function sessionsAfter(
  scope: Scope,
  user: User,
  words: Words,
): { ended: number; live: number; text: string } {
  const isTheirs = (session: { user: string }): boolean => session.user === user.id;
  if (switchOption(words, 'end-sessions') !== true) {
    const live = scope.store.sessions.live().filter(isTheirs).length;
    return { ended: 0, live, text: liveText(live, user.name) };
  }
  const ended = scope.sessions.endWhere(isTheirs, 'revoked-admin', 'admin');
  return { ended, live: 0, text: endedText(ended) };
}

function userRename(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user rename', args, ['NAME', 'NEW'], {});
  const user = userOf(scope, words.positions[0]!);
  const name = named(words.positions[1]!, 'a user name');
  if (scope.store.people.userNamed(name) !== undefined)
    throw new PlainError('exists', `there is a user ${name} already`);
  scope.store.people.renameUser(user.id, name);
  audit(scope, 'user.renamed', { reason: `${user.name} -> ${name}` });
  return said({ id: user.id, name }, `user ${user.name} is ${name} now`);
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

/** Codes by e-mail go there; "none" takes the method away. */
function userEmail(scope: Scope, args: readonly string[]): Said {
  const words = readWords('user email', args, ['NAME', 'ADDRESS|none'], {});
  const user = userOf(scope, words.positions[0]!);
  const email = words.positions[1] === 'none' ? null : emailAddress(words.positions[1]!);
  scope.store.people.changeUser(user.id, { email });
  audit(scope, 'user.email', { reason: `${user.name}: ${email ?? 'none'}` });
  return said({ user: user.name, email }, `user ${user.name}: e-mail ${email ?? 'none'}`);
}

function emailAddress(text: string): string {
  if (check(emailText, text).ok) return text;
  throw usageError('bad-email', `"${text}" is not an e-mail address: expected NAME@HOST in plain ASCII`);
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
  scope.store.logins.forgetGate(`account/${user.id}`);
  for (const device of scope.store.people.devices(user.id))
    scope.store.logins.forgetGate(`device/${device.id}`);
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

function deviceToken(scope: Scope, args: readonly string[]): Said {
  const words = readWords('device token', args, ['USER'], { hours: true });
  const user = userOf(scope, words.positions[0]!);
  const expiresAt = scope.clock() + hoursOption(words);
  const token = newToken('spe', scope.random);
  const { ticket, key } = enrolSecret(token);
  scope.store.logins.addToken(hashToken(ticket), 'enrol', user.id, {}, expiresAt, key);
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

export const userVerbs: Verbs = {
  add: userAdd,
  list: userList,
  totp: userTotp,
  recovery: userRecovery,
  groups: userGroups,
  email: userEmail,
  disable: userSwitch(true),
  enable: userSwitch(false),
  unlock: userUnlock,
  rename: userRename,
  remove: userRemove,
};

export const deviceVerbs: Verbs = {
  token: deviceToken,
  list: deviceList,
  disable: deviceSwitch(true),
  enable: deviceSwitch(false),
  remove: deviceRemove,
};
