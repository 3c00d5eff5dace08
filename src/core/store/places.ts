// Locations, the inner addresses of devices there, and the agents that guard them. The proof key of a location is Core's own
// X25519 key for device proofs; the gateway's WireGuard key is the agent's and only its public half is here.

import type { LocationSettings } from '../policy/policy.ts';
import { hostRange } from '../policy/policy.ts';
import type { Database, Row } from './database.ts';
import type { Vault } from './vault.ts';

export interface Location {
  readonly id: string;
  readonly name: string;
  readonly settings: LocationSettings;
  /** X25519 public key for device proofs, base64. */
  readonly proofPublic: string;
}

export interface Agent {
  readonly id: string;
  readonly location: string;
  readonly name: string;
  readonly wgPublic: string;
  readonly signPublic: string;
  readonly kemPublic: string;
  readonly endpoint: string | null;
}

export class Places {
  readonly #db: Database;
  readonly #vault: Vault;

  constructor(db: Database, vault: Vault) {
    this.#db = db;
    this.#vault = vault;
  }

  addLocation(
    id: string,
    name: string,
    settings: LocationSettings,
    proof: { publicKey: string; privateKey: Uint8Array },
    now: number,
  ): void {
    this.#db.run(
      'INSERT INTO locations (id, name, settings, proof_public, proof_sealed, created_at) VALUES (?, ?, ?, ?, ?, ?)',
      id,
      name,
      JSON.stringify(settings),
      proof.publicKey,
      this.#vault.seal(`proof/${id}`, proof.privateKey),
      now,
    );
  }

  changeLocation(id: string, settings: LocationSettings): void {
    this.#db.run('UPDATE locations SET settings = ? WHERE id = ?', JSON.stringify(settings), id);
  }

  renameLocation(id: string, name: string): void {
    this.#db.run('UPDATE locations SET name = ? WHERE id = ?', name, id);
  }

  hasAddresses(location: string): boolean {
    return this.#db.get('SELECT 1 FROM addresses WHERE location_id = ?', location) !== undefined;
  }

  removeLocation(id: string): void {
    this.#db.run('DELETE FROM locations WHERE id = ?', id);
  }

  location(id: string): Location | undefined {
    return toLocation(this.#db.get('SELECT * FROM locations WHERE id = ?', id));
  }

  locationNamed(name: string): Location | undefined {
    return toLocation(this.#db.get('SELECT * FROM locations WHERE name = ?', name));
  }

  locations(): Location[] {
    return this.#db.all('SELECT * FROM locations ORDER BY name').map(row => toLocation(row)!);
  }

  proofPrivate(id: string): Uint8Array | null {
    const sealed = this.#db.get('SELECT proof_sealed FROM locations WHERE id = ?', id)?.['proof_sealed'];
    return typeof sealed === 'string' ? this.#vault.open(`proof/${id}`, sealed) : null;
  }

  /** The device's host number at the location: the one it has, or the lowest free one; null when the network is full. */
  allocate(location: Location, device: string): number | null {
    const mine = this.#db.get(
      'SELECT host FROM addresses WHERE location_id = ? AND device_id = ?',
      location.id,
      device,
    );
    if (mine !== undefined) return Number(mine['host']);
    const { first, last } = hostRange(location.settings);
    let host = first;
    const sql = 'SELECT host FROM addresses WHERE location_id = ? AND host >= ? ORDER BY host';
    for (const row of this.#db.all(sql, location.id, first)) {
      if (Number(row['host']) !== host) break;
      host++;
    }
    if (host > last) return null;
    this.#db.run(
      'INSERT INTO addresses (location_id, device_id, host) VALUES (?, ?, ?)',
      location.id,
      device,
      host,
    );
    return host;
  }

  addAgent(agent: Agent, now: number): void {
    this.#db.run(
      'INSERT INTO agents (id, location_id, name, wg_public, sign_public, kem_public, endpoint, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
      agent.id,
      agent.location,
      agent.name,
      agent.wgPublic,
      agent.signPublic,
      agent.kemPublic,
      agent.endpoint,
      now,
    );
  }

  removeAgent(id: string): void {
    this.#db.run('DELETE FROM agents WHERE id = ?', id);
  }

  agent(id: string): Agent | undefined {
    return toAgent(this.#db.get('SELECT * FROM agents WHERE id = ?', id));
  }

  agentWithKey(wgPublic: string): Agent | undefined {
    return toAgent(this.#db.get('SELECT * FROM agents WHERE wg_public = ?', wgPublic));
  }

  agents(location?: string): Agent[] {
    const rows =
      location === undefined
        ? this.#db.all('SELECT * FROM agents ORDER BY created_at, id')
        : this.#db.all('SELECT * FROM agents WHERE location_id = ? ORDER BY created_at, id', location);
    return rows.map(row => toAgent(row)!);
  }
}

function toLocation(row: Row | undefined): Location | undefined {
  if (row === undefined) return undefined;
  return {
    id: String(row['id']),
    name: String(row['name']),
    settings: JSON.parse(String(row['settings'])) as LocationSettings,
    proofPublic: String(row['proof_public']),
  };
}

function toAgent(row: Row | undefined): Agent | undefined {
  if (row === undefined) return undefined;
  return {
    id: String(row['id']),
    location: String(row['location_id']),
    name: String(row['name']),
    wgPublic: String(row['wg_public']),
    signPublic: String(row['sign_public']),
    kemPublic: String(row['kem_public']),
    endpoint: row['endpoint'] === null ? null : String(row['endpoint']),
  };
}
