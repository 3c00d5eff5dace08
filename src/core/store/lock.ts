// One process at a time owns a data directory: a running Core, or one command without a running Core. The lock is SQLite's on a
// file of its own, so the system releases it however the process ends.

import { join } from 'node:path';
import { PlainError } from '../../util/errors.ts';
import { loadSqlite } from './database.ts';

/** Throws `in-use` when another process owns `directory`. The function that is returned releases it. */
export function lockDirectory(directory: string): () => void {
  const sqlite = loadSqlite();
  const db = new sqlite.DatabaseSync(join(directory, 'core.lock'));
  try {
    db.exec('PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    throw new PlainError(
      'in-use',
      `${directory}: another Core is running on it, or a command: if it is a Core whose socket is gone, restart it`,
      1,
      error,
    );
  }
  return () => db.close();
}
