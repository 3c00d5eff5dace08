// Users, their second factors and their devices in the store. TOTP seeds are sealed, recovery codes are hashed.

import type { Database, Row } from './database.ts';
import type { Vault } from './vault.ts';

export interface User {
  readonly id: string;
  readonly name: string;
  readonly groups: readonly string[];
  readonly disabled: boolean;
  readonly hasTotp: boolean;
  /** Last accepted 30-second step: no code works twice. */
  readonly totpStep: number;
  /** Where codes are sent; given by an administrator. */
  readonly email: string | null;
}

export interface Device {
  readonly id: string;
  readonly user: string;
  readonly name: string;
  /** WireGuard public key, base64. */
  readonly publicKey: string;
  readonly disabled: boolean;
}

export class People {
  readonly #db: Database;
  readonly #vault: Vault;

  constructor(db: Database, vault: Vault) {
    this.#db = db;
    this.#vault = vault;
  }

  addUser(id: string, name: string, groups: readonly string[], now: number): void {
    this.#db.run(
      'INSERT INTO users (id, name, groups, created_at) VALUES (?, ?, ?, ?)',
      id,
      name,
      JSON.stringify(groups),
      now,
    );
  }

  user(id: string): User | undefined {
    return toUser(this.#db.get('SELECT * FROM users WHERE id = ?', id));
  }

  userNamed(name: string): User | undefined {
    return toUser(this.#db.get('SELECT * FROM users WHERE name = ?', name));
  }

  users(): User[] {
    return this.#db.all('SELECT * FROM users ORDER BY name').map(row => toUser(row)!);
  }

  changeUser(
    id: string,
    change: { groups?: readonly string[]; disabled?: boolean; email?: string | null },
  ): void {
    if (change.groups !== undefined)
      this.#db.run('UPDATE users SET groups = ? WHERE id = ?', JSON.stringify(change.groups), id);
    if (change.disabled !== undefined)
      this.#db.run('UPDATE users SET disabled = ? WHERE id = ?', change.disabled ? 1 : 0, id);
    if (change.email !== undefined) this.#db.run('UPDATE users SET email = ? WHERE id = ?', change.email, id);
  }

  renameUser(id: string, name: string): void {
    this.#db.run('UPDATE users SET name = ? WHERE id = ?', name, id);
  }

  removeUser(id: string): void {
    this.#db.run('DELETE FROM users WHERE id = ?', id);
  }

  /** A new seed; the steps start over, so that a code of the old seed cannot block one of the new. */
  setTotp(user: string, seed: Uint8Array): void {
    this.#db.run(
      'UPDATE users SET totp_sealed = ?, totp_step = 0 WHERE id = ?',
      this.#vault.seal(`totp/${user}`, seed),
      user,
    );
  }

  totpSeed(user: string): Uint8Array | null {
    const sealed = this.#db.get('SELECT totp_sealed FROM users WHERE id = ?', user)?.['totp_sealed'];
    return typeof sealed === 'string' ? this.#vault.open(`totp/${user}`, sealed) : null;
  }

  /** Takes a TOTP step for ever; false when it, or a later one, was taken before. */
  claimTotpStep(user: string, step: number): boolean {
    return (
      this.#db.run('UPDATE users SET totp_step = ? WHERE id = ? AND totp_step < ?', step, user, step) === 1
    );
  }

  setRecoveryCodes(user: string, hashes: readonly string[]): void {
    this.#db.transaction(() => {
      this.#db.run('DELETE FROM recovery_codes WHERE user_id = ?', user);
      for (const hash of hashes)
        this.#db.run('INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)', user, hash);
    });
  }

  unusedRecoveryCodes(user: string): string[] {
    return this.#db
      .all('SELECT hash FROM recovery_codes WHERE user_id = ? AND used_at IS NULL', user)
      .map(row => String(row['hash']));
  }

  claimRecoveryCode(user: string, hash: string, now: number): boolean {
    const sql = 'UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND hash = ? AND used_at IS NULL';
    return this.#db.run(sql, now, user, hash) === 1;
  }

  addDevice(id: string, user: string, name: string, publicKey: string, now: number): void {
    this.#db.run(
      'INSERT INTO devices (id, user_id, name, public_key, created_at) VALUES (?, ?, ?, ?, ?)',
      id,
      user,
      name,
      publicKey,
      now,
    );
  }

  device(id: string): Device | undefined {
    return toDevice(this.#db.get('SELECT * FROM devices WHERE id = ?', id));
  }

  deviceWithKey(publicKey: string): Device | undefined {
    return toDevice(this.#db.get('SELECT * FROM devices WHERE public_key = ?', publicKey));
  }

  devices(user?: string): Device[] {
    const rows =
      user === undefined
        ? this.#db.all('SELECT * FROM devices ORDER BY created_at')
        : this.#db.all('SELECT * FROM devices WHERE user_id = ? ORDER BY created_at', user);
    return rows.map(row => toDevice(row)!);
  }

  get deviceCount(): number {
    return Number(this.#db.get('SELECT count(*) AS n FROM devices')!['n']);
  }

  setDeviceDisabled(id: string, disabled: boolean): void {
    this.#db.run('UPDATE devices SET disabled = ? WHERE id = ?', disabled ? 1 : 0, id);
  }

  removeDevice(id: string): void {
    this.#db.run('DELETE FROM devices WHERE id = ?', id);
  }
}

function toUser(row: Row | undefined): User | undefined {
  if (row === undefined) return undefined;
  return {
    id: String(row['id']),
    name: String(row['name']),
    groups: JSON.parse(String(row['groups'])) as string[],
    disabled: row['disabled'] === 1,
    hasTotp: row['totp_sealed'] !== null,
    totpStep: Number(row['totp_step']),
    email: row['email'] === null ? null : String(row['email']),
  };
}

function toDevice(row: Row | undefined): Device | undefined {
  if (row === undefined) return undefined;
  return {
    id: String(row['id']),
    user: String(row['user_id']),
    name: String(row['name']),
    publicKey: String(row['public_key']),
    disabled: row['disabled'] === 1,
  };
}
