// The schema as an ordered list of migrations; `PRAGMA user_version` says how many have run. Append, never edit. Kept to SQL
// that PostgreSQL also understands (TEXT, BIGINT, no rowid tricks), so that a second back end can share it.

export const migrations: readonly string[] = [
  `
  CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed TEXT NOT NULL);

  CREATE TABLE users (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, groups TEXT NOT NULL, disabled INTEGER NOT NULL DEFAULT 0,
    totp_sealed TEXT, totp_step BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
  CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, hash TEXT NOT NULL, used_at BIGINT,
    PRIMARY KEY (user_id, hash));
  CREATE TABLE devices (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, name TEXT NOT NULL,
    public_key TEXT NOT NULL UNIQUE, disabled INTEGER NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);

  CREATE TABLE locations (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, settings TEXT NOT NULL,
    proof_public TEXT NOT NULL, proof_sealed TEXT NOT NULL, created_at BIGINT NOT NULL);
  CREATE TABLE addresses (
    location_id TEXT NOT NULL REFERENCES locations(id) ON DELETE CASCADE,
    device_id TEXT NOT NULL REFERENCES devices(id) ON DELETE CASCADE, host BIGINT NOT NULL,
    PRIMARY KEY (location_id, device_id), UNIQUE (location_id, host));
  CREATE TABLE agents (
    id TEXT PRIMARY KEY, location_id TEXT NOT NULL REFERENCES locations(id) ON DELETE CASCADE, name TEXT NOT NULL,
    wg_public TEXT NOT NULL UNIQUE, sign_public TEXT NOT NULL, kem_public TEXT NOT NULL, endpoint TEXT,
    created_at BIGINT NOT NULL);
  CREATE TABLE tokens (
    hash TEXT PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, details TEXT NOT NULL,
    expires_at BIGINT NOT NULL, used_at BIGINT);

  CREATE TABLE logins (id TEXT PRIMARY KEY, device_id TEXT NOT NULL, state TEXT NOT NULL, expires_at BIGINT NOT NULL);
  CREATE TABLE nonces (nonce TEXT PRIMARY KEY, expires_at BIGINT NOT NULL);
  CREATE TABLE attempts (
    key TEXT PRIMARY KEY, failures BIGINT NOT NULL, last_at BIGINT NOT NULL, locked_until BIGINT NOT NULL,
    locks BIGINT NOT NULL);

  CREATE TABLE epochs (
    location_id TEXT NOT NULL, device_key TEXT NOT NULL, epoch BIGINT NOT NULL, PRIMARY KEY (location_id, device_key));
  CREATE TABLE sessions (
    id TEXT PRIMARY KEY, location_id TEXT NOT NULL, device_id TEXT NOT NULL, device_key TEXT NOT NULL,
    user_id TEXT NOT NULL, epoch BIGINT NOT NULL, status TEXT NOT NULL, methods TEXT NOT NULL, token_hash TEXT NOT NULL,
    policy TEXT NOT NULL, created_at BIGINT NOT NULL, confirmed_at BIGINT, expires_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL, ended_at BIGINT, reason TEXT,
    rx BIGINT NOT NULL DEFAULT 0, tx BIGINT NOT NULL DEFAULT 0, handshakes BIGINT NOT NULL DEFAULT 0);
  CREATE INDEX sessions_live ON sessions (status, location_id);
  CREATE INDEX sessions_token ON sessions (token_hash);
  CREATE INDEX sessions_device ON sessions (device_key, location_id);
  CREATE TABLE grants (
    session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE, agent_id TEXT NOT NULL, text TEXT NOT NULL,
    state TEXT NOT NULL, code TEXT, PRIMARY KEY (session_id, agent_id));
  CREATE INDEX grants_agent ON grants (agent_id, state);

  CREATE TABLE audit (seq BIGINT PRIMARY KEY, at BIGINT NOT NULL, record TEXT NOT NULL, hash TEXT NOT NULL);
  `,
  `
  ALTER TABLE users ADD COLUMN email TEXT;
  CREATE TABLE messages (user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE, sent_at BIGINT NOT NULL);
  CREATE INDEX messages_user ON messages (user_id, sent_at);
  `,
];
