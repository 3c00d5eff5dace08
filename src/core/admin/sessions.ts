// The administrator's verbs on sessions.

import { PlainError, usageError } from '../../util/errors.ts';
import { readWords, switchOption } from './words.ts';
import { date, deviceOf, said, table, userOf } from './verb.ts';
import type { Said, Scope, Verbs } from './verb.ts';

function sessionList(scope: Scope, args: readonly string[]): Said {
  const words = readWords('session list', args, [], { all: false });
  const found =
    switchOption(words, 'all') === true ? scope.store.sessions.recent(200) : scope.store.sessions.live();
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

export const sessionVerbs: Verbs = {
  list: sessionList,
  revoke: sessionRevoke,
};
