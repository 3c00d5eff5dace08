// The administrator's verbs on what failed attempts have locked: accounts, devices and addresses.

import { PlainError } from '../../util/errors.ts';
import { waitMs } from '../login/attempts.ts';
import type { GateKind } from '../login/attempts.ts';
import { readWords } from './words.ts';
import { audit, date, said, table } from './verb.ts';
import type { Said, Scope, Verbs } from './verb.ts';

interface Lock {
  /** "account/u_…", "device/d_…", "source/192.0.2.7". */
  readonly key: string;
  readonly name: string;
  readonly failures: number;
  readonly until: number;
}

function locks(scope: Scope): Lock[] {
  const now = scope.clock();
  return scope.store.logins.gateKeys().flatMap(key => {
    const gate = scope.store.logins.gate(key);
    const [kind = '', ...rest] = key.split('/');
    const wait = waitMs(kind as GateKind, gate, now);
    if (wait === 0) return [];
    return [{ key, name: nameOf(scope, kind, rest.join('/')), failures: gate.failures, until: now + wait }];
  });
}

function nameOf(scope: Scope, kind: string, id: string): string {
  if (kind === 'account') return scope.store.people.user(id)?.name ?? id;
  if (kind === 'device') return scope.store.people.device(id)?.name ?? id;
  return id;
}

function lockList(scope: Scope, args: readonly string[]): Said {
  readWords('lock list', args, [], {});
  const held = locks(scope);
  return said(
    held,
    table(
      ['KEY', 'NAME', 'FAILURES', 'UNTIL'],
      held.map(({ key, name, failures, until }) => [key, name, String(failures), date(until)]),
    ),
  );
}

function lockLift(scope: Scope, args: readonly string[]): Said {
  const text = readWords('lock lift', args, ['KEY|NAME|ADDRESS'], {}).positions[0]!;
  const lifted = locks(scope).filter(({ key, name }) => key === text || name === text);
  if (lifted.length === 0)
    throw new PlainError('no-lock', `nothing is locked for "${text}": see "core lock list"`);
  for (const { key } of lifted) scope.store.logins.forgetGate(key);
  const keys = lifted.map(({ key }) => key);
  audit(scope, 'lock.lifted', { reason: keys.join(', ') });
  return said({ lifted: keys }, `lifted: ${keys.join(', ')}`);
}

export const lockVerbs: Verbs = { list: lockList, lift: lockLift };
