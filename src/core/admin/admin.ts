// What an administrator can do, as verbs on the store and the live sessions. The same code runs inside of a running Core (asked
// over its unix socket) and, when none is running, directly on the store. Every change is audited.

import { usageError } from '../../util/errors.ts';
import { auditVerbs } from './audit.ts';
import { deviceVerbs, userVerbs } from './people.ts';
import { lockVerbs } from './locks.ts';
import { agentVerbs, locationVerbs } from './places.ts';
import { sessionVerbs } from './sessions.ts';
import type { Said, Scope, Verbs } from './verb.ts';

const verbs: Readonly<Record<string, Verbs>> = {
  user: userVerbs,
  device: deviceVerbs,
  location: locationVerbs,
  agent: agentVerbs,
  session: sessionVerbs,
  lock: lockVerbs,
  audit: auditVerbs,
};

export const nouns: readonly string[] = Object.keys(verbs);

/** Runs e.g. ["user", "add", "ada"]. Throws a PlainError with one line for people. */
export function administer(scope: Scope, args: readonly string[]): Said {
  const [noun = '', verb = '', ...rest] = args;
  const known = Object.hasOwn(verbs, noun) ? verbs[noun]! : {};
  if (!Object.hasOwn(known, verb))
    throw usageError(
      'unknown-verb',
      `core ${noun}: unknown verb "${verb}"; known are ${Object.keys(known).join(', ')}`,
    );
  return known[verb]!(scope, rest);
}
