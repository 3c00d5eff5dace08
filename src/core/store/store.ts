// The store: the database with one room per noun, opened from a data directory. Makes its key file and Core's signing key on
// the first run.

import { randomBytes } from 'node:crypto';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ed25519PublicKey, generateSignKeyPair } from '../../control/trust/keys.ts';
import type { RawKeyPair } from '../../control/trust/keys.ts';
import { fromBase64, toBase64 } from '../../util/bytes.ts';
import { usageError } from '../../util/errors.ts';
import { Audit } from './audit.ts';
import { Database } from './database.ts';
import { Logins } from './logins.ts';
import { People } from './people.ts';
import { Places } from './places.ts';
import { SessionStore } from './sessions.ts';
import { Vault } from './vault.ts';

export class Store {
  readonly db: Database;
  readonly people: People;
  readonly places: Places;
  readonly logins: Logins;
  readonly sessions: SessionStore;
  readonly audit: Audit;
  /** Core's Ed25519 key: agents pin the public half. */
  readonly signKey: RawKeyPair;

  constructor(db: Database, vault: Vault) {
    this.db = db;
    this.people = new People(db, vault);
    this.places = new Places(db, vault);
    this.logins = new Logins(db, vault);
    this.sessions = new SessionStore(db);
    this.audit = new Audit(db);
    this.signKey = db.transaction(() => signKeyOf(db, vault));
  }

  close(): void {
    this.db.close();
  }
}

/** `keyFile` may lie outside of the data directory, e.g. on another disk or in $CREDENTIALS_DIRECTORY. */
export function openStore(directory: string, keyFile: string = join(directory, 'store.key')): Store {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const key = storeKey(keyFile, existsSync(join(directory, 'core.db')));
  const path = join(directory, 'core.db');
  keepPrivate(path);
  const db = new Database(path);
  return new Store(db, new Vault(key));
}

/** SQLite gives its log the mode that the database has when it is opened: made first, by us, whatever the umask. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, 'a', 0o600));
  for (const suffix of ['', '-wal', '-shm']) if (existsSync(path + suffix)) chmodSync(path + suffix, 0o600);
}

function storeKey(path: string, storeExists: boolean): Uint8Array {
  if (!existsSync(path)) {
    // A fresh key beside an old database would make every secret in it unreadable, one by one and later.
    if (storeExists)
      throw usageError(
        'no-store-key',
        `the key file ${path} is missing, but the store exists: restore the file`,
      );
    writeFileSync(path, toBase64(new Uint8Array(randomBytes(32))) + '\n', { mode: 0o600, flag: 'wx' });
  }
  const key = fromBase64(readFileSync(path, 'utf8').trim());
  if (key?.length !== 32)
    throw usageError('bad-store-key', `the key file ${path} must hold 32 bytes in base64`);
  return key;
}

function signKeyOf(db: Database, vault: Vault): RawKeyPair {
  const sealed = db.get("SELECT sealed FROM secrets WHERE name = 'sign'")?.['sealed'];
  if (typeof sealed === 'string') {
    const privateKey = vault.open('secret/sign', sealed);
    return { privateKey, publicKey: ed25519PublicKey(privateKey) };
  }
  const pair = generateSignKeyPair();
  db.run("INSERT INTO secrets (name, sealed) VALUES ('sign', ?)", vault.seal('secret/sign', pair.privateKey));
  return pair;
}
