// The administrator's verbs on the audit log.

import { PlainError, usageError } from '../../util/errors.ts';
import { verifyCheckpoint } from '../store/audit.ts';
import type { Checkpoint } from '../store/audit.ts';
import { numberOption, readWords } from './words.ts';
import { date, said } from './verb.ts';
import type { Said, Scope, Verbs } from './verb.ts';

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

export const auditVerbs: Verbs = {
  show: auditShow,
  verify: auditVerify,
  checkpoint: auditCheckpoint,
};
