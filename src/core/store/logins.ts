// Logins on their way, nonces that were used, attempts that were counted, and one-time tokens. All of it is in the store and
// not in memory, so a restart of Core loses no login and forgets no wrong guess.

import { openGate } from '../login/attempts.ts';
import type { Gate } from '../login/attempts.ts';
import { messageMemoryMs } from '../login/login.ts';
import type { LoginState } from '../login/login.ts';
import type { Database } from './database.ts';
import type { Vault } from './vault.ts';

const openLoginsPerDevice = 4;
/** Where the sealed key of a token lies among its details. */
const sealedKey = 'sealed_key';

export interface Token {
  readonly subject: string;
  readonly details: Readonly<Record<string, string>>;
  /** For MACs, where the token itself stays with its bearer (control/trust/enrolment.ts). */
  readonly key: Uint8Array | null;
}

export class Logins {
  readonly #db: Database;
  readonly #vault: Vault;

  constructor(db: Database, vault: Vault) {
    this.#db = db;
    this.#vault = vault;
  }

  /** Saves a login. A device keeps its newest few: starting over and over does not fill the store. */
  save(login: LoginState): void {
    const sql =
      'INSERT INTO logins (id, device_id, state, expires_at) VALUES (?, ?, ?, ?) ' +
      'ON CONFLICT (id) DO UPDATE SET state = excluded.state, expires_at = excluded.expires_at';
    this.#db.run(sql, login.id, login.device, JSON.stringify(login), login.expiresAt);
    const older = this.#db.all(
      'SELECT id FROM logins WHERE device_id = ? ORDER BY expires_at DESC, id LIMIT 100 OFFSET ?',
      login.device,
      openLoginsPerDevice,
    );
    for (const row of older)
      if (row['id'] !== login.id) this.#db.run('DELETE FROM logins WHERE id = ?', row['id']!);
  }

  login(id: string, now: number): LoginState | null {
    const row = this.#db.get('SELECT state FROM logins WHERE id = ? AND expires_at > ?', id, now);
    return row === undefined ? null : (JSON.parse(String(row['state'])) as LoginState);
  }

  remove(id: string): void {
    this.#db.run('DELETE FROM logins WHERE id = ?', id);
  }

  sealAnswer(login: string, answer: string): string {
    return this.#vault.seal(`challenge/${login}`, new TextEncoder().encode(answer));
  }

  openAnswer(login: string, sealed: string): Uint8Array {
    return this.#vault.open(`challenge/${login}`, sealed);
  }

  /** Whether the login still waits for the answer to this challenge. Call it in the transaction that ends the step. */
  hasChallenge(login: string, sealed: string): boolean {
    const row = this.#db.get('SELECT state FROM logins WHERE id = ?', login);
    return row !== undefined && (JSON.parse(String(row['state'])) as LoginState).challenge?.sealed === sealed;
  }

  addMessage(user: string, now: number): void {
    this.#db.run('INSERT INTO messages (user_id, sent_at) VALUES (?, ?)', user, now);
  }

  /** Times of the messages of the last hour to a user, in order. */
  messages(user: string, now: number): number[] {
    return this.#db
      .all(
        'SELECT sent_at FROM messages WHERE user_id = ? AND sent_at > ? ORDER BY sent_at',
        user,
        now - messageMemoryMs,
      )
      .map(row => Number(row['sent_at']));
  }

  /** False when the nonce was used before. */
  useNonce(nonce: string, expiresAt: number): boolean {
    return (
      this.#db.run(
        'INSERT INTO nonces (nonce, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
        nonce,
        expiresAt,
      ) === 1
    );
  }

  gate(key: string): Gate {
    const row = this.#db.get('SELECT * FROM attempts WHERE key = ?', key);
    if (row === undefined) return openGate;
    return {
      failures: Number(row['failures']),
      lastAt: Number(row['last_at']),
      lockedUntil: Number(row['locked_until']),
      locks: Number(row['locks']),
    };
  }

  /** Keys of all gates that counted something: "account/u_…", "device/d_…", "source/192.0.2.7". */
  gateKeys(): string[] {
    return this.#db.all('SELECT key FROM attempts ORDER BY key').map(row => String(row['key']));
  }

  forgetGate(key: string): void {
    this.#db.run('DELETE FROM attempts WHERE key = ?', key);
  }

  isFreshNonce(nonce: string): boolean {
    return this.#db.get('SELECT 1 FROM nonces WHERE nonce = ?', nonce) === undefined;
  }

  saveGate(key: string, gate: Gate): void {
    const sql =
      'INSERT INTO attempts (key, failures, last_at, locked_until, locks) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET ' +
      'failures = excluded.failures, last_at = excluded.last_at, locked_until = excluded.locked_until, locks = excluded.locks';
    this.#db.run(sql, key, gate.failures, gate.lastAt, gate.lockedUntil, gate.locks);
  }

  addToken(
    hash: string,
    kind: 'join' | 'enrol',
    subject: string,
    details: Token['details'],
    expiresAt: number,
    key: Uint8Array | null = null,
  ): void {
    const sealed = key === null ? {} : { [sealedKey]: this.#vault.seal(`token/${hash}`, key) };
    this.#db.run(
      'INSERT INTO tokens (hash, kind, subject, details, expires_at) VALUES (?, ?, ?, ?, ?)',
      hash,
      kind,
      subject,
      JSON.stringify({ ...details, ...sealed }),
      expiresAt,
    );
  }

  /** Looks a token up and uses it, once. Call it in the transaction that does what the token allows. */
  useToken(hash: string, kind: 'join' | 'enrol', now: number): Token | null {
    const row = this.#db.get(
      'SELECT subject, details FROM tokens WHERE hash = ? AND kind = ? AND used_at IS NULL AND expires_at > ?',
      hash,
      kind,
      now,
    );
    if (
      row === undefined ||
      this.#db.run('UPDATE tokens SET used_at = ? WHERE hash = ? AND used_at IS NULL', now, hash) !== 1
    )
      return null;
    const { [sealedKey]: sealed, ...details } = JSON.parse(String(row['details'])) as Record<string, string>;
    const key = sealed === undefined ? null : this.#vault.open(`token/${hash}`, sealed);
    return { subject: String(row['subject']), details, key };
  }

  /** Forgets what is over. Gates are kept for two days, longer than any lock and than their own memory. */
  sweep(now: number): void {
    this.#db.transaction(() => {
      this.#db.run('DELETE FROM logins WHERE expires_at <= ?', now);
      this.#db.run('DELETE FROM nonces WHERE expires_at <= ?', now);
      this.#db.run('DELETE FROM tokens WHERE expires_at <= ?', now);
      this.#db.run('DELETE FROM messages WHERE sent_at <= ?', now - messageMemoryMs);
      this.#db.run(
        'DELETE FROM attempts WHERE last_at <= ? AND locked_until <= ?',
        now - 2 * 86_400_000,
        now,
      );
    });
  }
}
