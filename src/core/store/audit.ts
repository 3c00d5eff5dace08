// The audit log: append-only, each record bound by a hash to the one before, so that a changed, removed or inserted record shows. A
// signed checkpoint (sequence and hash) kept elsewhere also shows a log that was cut or rewritten. What, by which user, when, from where,
// method, reason: never a secret.

import { utf8 } from '../../util/bytes.ts';
import { createHash } from 'node:crypto';
import { signBytes, verifyBytes } from '../../control/trust/keys.ts';
import type { Database } from './database.ts';

export interface AuditRecord {
  /** Verb and object: "session.granted", "login.denied", "user.added". */
  readonly what: string;
  /** User name, "admin", "agent NAME" or "core". */
  readonly who: string;
  /** Address of the client, where there is one. */
  readonly from?: string;
  readonly device?: string;
  readonly location?: string;
  readonly session?: string;
  readonly method?: string;
  readonly reason?: string;
}

export interface AuditEntry {
  readonly seq: number;
  readonly at: number;
  readonly record: AuditRecord;
  readonly hash: string;
}

export interface Checkpoint {
  readonly seq: number;
  readonly hash: string;
  readonly at: number;
  readonly signature: string;
}

export type AuditVerdict =
  { ok: true; records: number; hash: string } | { ok: false; seq: number; problem: string };

const beginning = '0'.repeat(64);

export class Audit {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  append(at: number, record: AuditRecord): void {
    this.#db.transaction(() => {
      const last = this.#db.get('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1');
      const seq = Number(last?.['seq'] ?? 0) + 1;
      const text = JSON.stringify(record);
      const hash = chain(String(last?.['hash'] ?? beginning), seq, at, text);
      this.#db.run('INSERT INTO audit (seq, at, record, hash) VALUES (?, ?, ?, ?)', seq, at, text, hash);
    });
  }

  entries(limit: number): AuditEntry[] {
    return this.#db
      .all('SELECT * FROM audit ORDER BY seq DESC LIMIT ?', limit)
      .map(row => ({
        seq: Number(row['seq']),
        at: Number(row['at']),
        record: JSON.parse(String(row['record'])) as AuditRecord,
        hash: String(row['hash']),
      }))
      .reverse();
  }

  /** Walks the whole chain, a thousand records at a time. */
  verify(checkpoint?: { seq: number; hash: string }): AuditVerdict {
    let seq = 0;
    let hash = beginning;
    for (;;) {
      const rows = this.#db.all('SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT 1000', seq);
      if (rows.length === 0) break;
      for (const row of rows) {
        const next = Number(row['seq']);
        if (next !== seq + 1) return { ok: false, seq: seq + 1, problem: 'the record is missing' };
        hash = chain(hash, next, Number(row['at']), String(row['record']));
        if (hash !== row['hash']) return { ok: false, seq: next, problem: 'the record was changed' };
        if (checkpoint?.seq === next && checkpoint.hash !== hash)
          return { ok: false, seq: next, problem: 'the log was rewritten before the checkpoint' };
        seq = next;
      }
    }
    if (checkpoint !== undefined && checkpoint.seq > seq)
      return {
        ok: false,
        seq: seq + 1,
        problem: `the log was cut: the checkpoint has record ${checkpoint.seq}`,
      };
    return { ok: true, records: seq, hash };
  }

  checkpoint(at: number, signKey: Uint8Array): Checkpoint {
    const last = this.#db.get('SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1');
    const seq = Number(last?.['seq'] ?? 0);
    const hash = String(last?.['hash'] ?? beginning);
    const signature = Buffer.from(signBytes(signKey, checkpointBytes(seq, hash, at))).toString('base64');
    return { seq, hash, at, signature };
  }
}

export function verifyCheckpoint(publicKey: Uint8Array, checkpoint: Checkpoint): boolean {
  const signature = new Uint8Array(Buffer.from(checkpoint.signature, 'base64'));
  return verifyBytes(publicKey, checkpointBytes(checkpoint.seq, checkpoint.hash, checkpoint.at), signature);
}

function checkpointBytes(seq: number, hash: string, at: number): Uint8Array {
  return utf8(`sallyport audit checkpoint v1\0${JSON.stringify([seq, hash, at])}`);
}

function chain(previous: string, seq: number, at: number, record: string): string {
  return createHash('sha256')
    .update(JSON.stringify([previous, seq, at, record]))
    .digest('hex');
}
