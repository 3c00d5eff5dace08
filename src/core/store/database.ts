// The embedded database: node:sqlite with a write-ahead log and `synchronous=FULL`, so that what was answered survives a power
// cut. Everything is synchronous and runs in short transactions; statements are prepared once. Needs a runtime with
// node:sqlite and says so in one line where there is none.

import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { PlainError } from '../../util/errors.ts';
import { migrations } from './schema.ts';
import { type StoreTrouble, troubleOf } from './trouble.ts';

export type Row = Record<string, string | number | null>;
type Value = string | number | null;

export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;
  #trouble: StoreTrouble | null = null;

  /** `path` may be ":memory:". */
  constructor(path: string) {
    const sqlite = loadSqlite();
    this.#db = new sqlite.DatabaseSync(path);
    // The busy timeout is for the command line that opens the store beside another command.
    this.#db.exec('PRAGMA busy_timeout = 5000');
    this.#db.exec('PRAGMA journal_mode = WAL');
    this.#db.exec('PRAGMA synchronous = FULL');
    this.#db.exec('PRAGMA foreign_keys = ON');
    this.#migrate();
  }

  run(sql: string, ...values: Value[]): number {
    return this.#told(() => Number(this.#statement(sql).run(...values).changes));
  }

  get(sql: string, ...values: Value[]): Row | undefined {
    return this.#told(() => this.#statement(sql).get(...values) as Row | undefined);
  }

  all(sql: string, ...values: Value[]): Row[] {
    return this.#told(() => this.#statement(sql).all(...values) as Row[]);
  }

  /** All or nothing. Nested calls join the outer transaction; `work` must not be async. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    const result = this.#told(() => this.#whole(work));
    this.#trouble = null;
    return result;
  }

  /** Why the latest write failed; null once one has worked again. */
  get trouble(): StoreTrouble | null {
    return this.#trouble;
  }

  /** How long a statement waits for the lock of another process. Core serves people meanwhile and waits a short time only. */
  waitForLock(ms: number): void {
    this.#db.exec(`PRAGMA busy_timeout = ${ms}`);
  }

  /** Writes what is there already, to see whether writing works. */
  probe(): void {
    this.transaction(() => this.#told(() => this.#db.exec(`PRAGMA user_version = ${migrations.length}`)));
  }

  close(): void {
    this.#statements.clear();
    this.#db.close();
  }

  #whole<T>(work: () => T): T {
    this.#db.exec('BEGIN IMMEDIATE');
    this.#depth++;
    try {
      const result = work();
      if (result instanceof Promise) throw new Error('a transaction must not be asynchronous');
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      // After some faults SQLite has rolled back by itself.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth--;
    }
  }

  /** Gives the faults of the database their names. */
  #told<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const trouble = troubleOf(error);
      if (trouble === null) throw error;
      this.#trouble = trouble;
      throw trouble;
    }
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #migrate(): void {
    const version = Number((this.#db.prepare('PRAGMA user_version').get() as Row)['user_version']);
    if (version > migrations.length)
      throw new PlainError(
        'store-newer',
        `the store has schema version ${version}, this Sallyport knows up to ${migrations.length}: run the newer version`,
      );
    if (version === migrations.length) return;
    this.transaction(() => {
      // Another process may have migrated between the look and the lock.
      const now = Number((this.#db.prepare('PRAGMA user_version').get() as Row)['user_version']);
      for (const sql of migrations.slice(now)) this.#db.exec(sql);
      this.#db.exec(`PRAGMA user_version = ${migrations.length}`);
    });
  }
}

/** A line for people where the runtime has no node:sqlite. */
export function loadSqlite(): typeof import('node:sqlite') {
  // Not a static import: the same bundle also runs as an agent on Node 20, which has no node:sqlite.
  const sqlite = process.getBuiltinModule?.('node:sqlite') as typeof import('node:sqlite') | undefined;
  if (sqlite?.DatabaseSync === undefined)
    throw new PlainError(
      'no-sqlite',
      `Core needs a Node with node:sqlite (22.13 or newer, 26 recommended); this is ${process.version}`,
    );
  return sqlite;
}
