// Sessions and the signed grants that carry them to agents. A session is `pending` until an agent has acknowledged its grant,
// then `active`, then `ended` with a reason. The grant text holds the PSK only sealed to that agent, so it can be sent again
// to one that lost its memory; the plaintext is nowhere.

import type { EndReason } from '../../control/clientapi/reasons.ts';
import type { Policy } from '../policy/policy.ts';
import type { Database, Row } from './database.ts';

export type SessionStatus = 'pending' | 'active' | 'ended';
/** `live`: the agent has seen a handshake under it. */
export type GrantState = 'sent' | 'acked' | 'live' | 'refused' | 'ended';

export interface Session {
  readonly id: string;
  readonly location: string;
  readonly device: string;
  readonly deviceKey: string;
  readonly user: string;
  readonly epoch: number;
  readonly status: SessionStatus;
  readonly methods: readonly string[];
  readonly tokenHash: string;
  readonly policy: Policy;
  readonly createdAt: number;
  /** First handshake seen by an agent. */
  readonly confirmedAt: number | null;
  readonly expiresAt: number;
  /** 0 when the location has no lease. */
  readonly leaseUntil: number;
  readonly endedAt: number | null;
  readonly reason: EndReason | null;
  readonly rx: number;
  readonly tx: number;
  readonly handshakes: number;
}

export interface StoredGrant {
  readonly session: string;
  readonly agent: string;
  readonly text: string;
  readonly state: GrantState;
  readonly code: string | null;
}

export class SessionStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Takes the next epoch of a device at a location. It only ever grows, also when the grant comes to nothing. */
  nextEpoch(location: string, deviceKey: string): number {
    return this.#db.transaction(() => {
      this.#db.run(
        'INSERT INTO epochs (location_id, device_key, epoch) VALUES (?, ?, 1) ' +
          'ON CONFLICT (location_id, device_key) DO UPDATE SET epoch = epochs.epoch + 1',
        location,
        deviceKey,
      );
      const row = this.#db.get(
        'SELECT epoch FROM epochs WHERE location_id = ? AND device_key = ?',
        location,
        deviceKey,
      );
      return Number(row!['epoch']);
    });
  }

  add(session: Session, grants: readonly { agent: string; text: string }[]): void {
    this.#db.transaction(() => {
      this.#db.run(
        'INSERT INTO sessions (id, location_id, device_id, device_key, user_id, epoch, status, methods, token_hash, policy, ' +
          'created_at, expires_at, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        session.id,
        session.location,
        session.device,
        session.deviceKey,
        session.user,
        session.epoch,
        session.status,
        JSON.stringify(session.methods),
        session.tokenHash,
        JSON.stringify(session.policy),
        session.createdAt,
        session.expiresAt,
        session.leaseUntil,
      );
      for (const { agent, text } of grants)
        this.#db.run(
          "INSERT INTO grants (session_id, agent_id, text, state) VALUES (?, ?, ?, 'sent')",
          session.id,
          agent,
          text,
        );
    });
  }

  session(id: string): Session | undefined {
    return toSession(this.#db.get('SELECT * FROM sessions WHERE id = ?', id));
  }

  sessionWithToken(tokenHash: string): Session | undefined {
    return toSession(this.#db.get('SELECT * FROM sessions WHERE token_hash = ?', tokenHash));
  }

  /** Pending and active ones, oldest first. */
  live(): Session[] {
    return this.#db
      .all("SELECT * FROM sessions WHERE status <> 'ended' ORDER BY created_at")
      .map(row => toSession(row)!);
  }

  /** The live sessions of one device at one location. */
  liveOf(deviceKey: string, location: string): Session[] {
    const sql = "SELECT * FROM sessions WHERE status <> 'ended' AND device_key = ? AND location_id = ?";
    return this.#db.all(sql, deviceKey, location).map(row => toSession(row)!);
  }

  recent(limit: number): Session[] {
    return this.#db
      .all('SELECT * FROM sessions ORDER BY created_at DESC LIMIT ?', limit)
      .map(row => toSession(row)!);
  }

  activate(id: string): boolean {
    return (
      this.#db.run("UPDATE sessions SET status = 'active' WHERE id = ? AND status = 'pending'", id) === 1
    );
  }

  confirm(id: string, now: number): void {
    this.#db.run('UPDATE sessions SET confirmed_at = ? WHERE id = ? AND confirmed_at IS NULL', now, id);
  }

  setLease(id: string, until: number): void {
    this.#db.run('UPDATE sessions SET lease_until = ? WHERE id = ?', until, id);
  }

  addCounters(id: string, rx: number, tx: number, handshakes: number): void {
    this.#db.run(
      'UPDATE sessions SET rx = rx + ?, tx = tx + ?, handshakes = handshakes + ? WHERE id = ?',
      rx,
      tx,
      handshakes,
      id,
    );
  }

  /** False when it had ended before. Its sealed keys are of no further use and go. */
  end(id: string, reason: EndReason, now: number): boolean {
    return this.#db.transaction(() => {
      const sql =
        "UPDATE sessions SET status = 'ended', ended_at = ?, reason = ? WHERE id = ? AND status <> 'ended'";
      if (this.#db.run(sql, now, reason, id) !== 1) return false;
      this.#db.run("UPDATE grants SET text = '', state = 'ended' WHERE session_id = ?", id);
      return true;
    });
  }

  setGrant(session: string, agent: string, state: GrantState, code: string | null = null): void {
    this.#db.run(
      "UPDATE grants SET state = ?, code = ? WHERE session_id = ? AND agent_id = ? AND state <> 'ended'",
      state,
      code,
      session,
      agent,
    );
  }

  grants(session: string): StoredGrant[] {
    return this.#db.all('SELECT * FROM grants WHERE session_id = ?', session).map(toGrant);
  }

  /** What an agent should hold now: for its snapshot. */
  grantsFor(agent: string, now: number): { grant: StoredGrant; session: Session }[] {
    const sql =
      'SELECT s.*, g.text AS g_text, g.state AS g_state, g.code AS g_code FROM grants g JOIN sessions s ON s.id = g.session_id ' +
      "WHERE g.agent_id = ? AND g.state IN ('sent', 'acked', 'live') AND s.status <> 'ended' AND s.expires_at > ? ORDER BY s.epoch";
    return this.#db.all(sql, agent, now).map(row => ({
      session: toSession(row)!,
      grant: toGrant({
        session_id: row['id']!,
        agent_id: agent,
        text: row['g_text']!,
        state: row['g_state']!,
        code: row['g_code']!,
      }),
    }));
  }

  /** Ended sessions are kept for the list and the audit of a month. */
  sweep(now: number): void {
    this.#db.run("DELETE FROM sessions WHERE status = 'ended' AND ended_at < ?", now - 31 * 86_400_000);
  }
}

function toSession(row: Row | undefined): Session | undefined {
  if (row === undefined) return undefined;
  return {
    id: String(row['id']),
    location: String(row['location_id']),
    device: String(row['device_id']),
    deviceKey: String(row['device_key']),
    user: String(row['user_id']),
    epoch: Number(row['epoch']),
    status: String(row['status']) as SessionStatus,
    methods: JSON.parse(String(row['methods'])) as string[],
    tokenHash: String(row['token_hash']),
    policy: JSON.parse(String(row['policy'])) as Policy,
    createdAt: Number(row['created_at']),
    confirmedAt: row['confirmed_at'] === null ? null : Number(row['confirmed_at']),
    expiresAt: Number(row['expires_at']),
    leaseUntil: Number(row['lease_until']),
    endedAt: row['ended_at'] === null ? null : Number(row['ended_at']),
    reason: row['reason'] === null ? null : (String(row['reason']) as EndReason),
    rx: Number(row['rx']),
    tx: Number(row['tx']),
    handshakes: Number(row['handshakes']),
  };
}

function toGrant(row: Row): StoredGrant {
  return {
    session: String(row['session_id']),
    agent: String(row['agent_id']),
    text: String(row['text']),
    state: String(row['state']) as GrantState,
    code: row['code'] === null ? null : String(row['code']),
  };
}
