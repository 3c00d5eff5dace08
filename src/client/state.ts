// State: what a client keeps on disk, in one private directory (0700, files 0600): its device key, who it is enrolled as,
// and the locations it may log in to. A pre-shared key is never part of it: PSKs live in the memory of the tunnel only.

import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fromBase64 } from '../util/bytes.ts';
import { PlainError, errorText, usageError } from '../util/errors.ts';

export type Location = {
  readonly id: string;
  readonly name: string;
  /** The gateway's WireGuard key, base64. */
  readonly publicKey: string;
  /** `host:port`; a name is resolved when the tunnel comes up. */
  readonly endpoint: string;
  /** Our addresses inside, with prefix. */
  readonly addresses: readonly string[];
  /** Prefixes reached through the tunnel. */
  readonly allowedIps: readonly string[];
  readonly dns: readonly string[];
  readonly mtu: number;
  /** Seconds. */
  readonly keepalive: number;
  readonly mfa: 'disabled' | 'internal' | 'external';
};

export type ClientState = {
  readonly version: 1;
  /** Base URL of the Proxy. */
  readonly proxy: string;
  /** PEM file with the authority that signed the Proxy's certificate; the system's when absent. */
  readonly caFile?: string;
  readonly device: { readonly id: string; readonly name: string; readonly publicKey: string };
  readonly user: string;
  /** X25519, base64. */
  readonly privateKey: string;
  readonly locations: readonly Location[];
};

/** `--state DIR`, else SALLYPORT_STATE, else ~/.config/sallyport. */
export function stateDir(option: string | undefined, env: NodeJS.ProcessEnv): string {
  if (option !== undefined) return option;
  if (env.SALLYPORT_STATE) return env.SALLYPORT_STATE;
  return join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'sallyport');
}

export class Store {
  readonly dir: string;

  constructor(dir: string) {
    this.dir = dir;
  }

  get file(): string {
    return join(this.dir, 'device.json');
  }

  get isEnrolled(): boolean {
    return statSync(this.file, { throwIfNoEntry: false }) !== undefined;
  }

  load(): ClientState {
    let text: string;
    try {
      const mode = statSync(this.file).mode & 0o777;
      if (mode & 0o077)
        throw usageError('state-open', `${this.file} is readable by others (mode ${mode.toString(8)}): it holds the device key; chmod 600 it, and enrol again if others had access`);
      text = readFileSync(this.file, 'utf8');
    } catch (error) {
      if (error instanceof PlainError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw usageError('not-enrolled', `no enrolled device in ${this.dir}: run 'sallyport enrol' first, or name another directory with --state`);
      throw new PlainError('state-unreadable', `cannot read ${this.file}: ${errorText(error)}`, 1, error);
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw usageError('state-broken', `${this.file} is not JSON: restore it or enrol again`, error);
    }
    const fault = stateFault(value);
    if (fault !== null) throw usageError('state-broken', `${this.file}: ${fault}; restore it or enrol again`);
    return value as ClientState;
  }

  /** Whole or not at all: a crash leaves the old file. */
  save(state: ClientState): void {
    this.make();
    const next = `${this.file}.new`;
    try {
      writeFileSync(next, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600, flush: true });
      renameSync(next, this.file);
    } catch (error) {
      rmSync(next, { force: true });
      throw new PlainError('state-unwritable', `cannot write ${this.file}: ${errorText(error)}`, 1, error);
    }
  }

  make(): void {
    try {
      mkdirSync(this.dir, { recursive: true, mode: 0o700 });
      chmodSync(this.dir, 0o700);
    } catch (error) {
      throw new PlainError('state-unwritable', `cannot use ${this.dir}: ${errorText(error)}`, 1, error);
    }
  }

  socketFile(location: Location): string {
    // sun_path holds 107 bytes and a terminator.
    const path = join(this.dir, `${location.id}.sock`);
    if (Buffer.byteLength(path) > 107)
      throw usageError('state-path', `${path} is too long for a socket (107 bytes at most): choose a shorter --state directory`);
    return path;
  }

  logFile(location: Location): string {
    return join(this.dir, `${location.id}.log`);
  }
}

/** A location by name or id; the only one when none is named. */
export function chooseLocation(state: ClientState, wanted: string | undefined): Location {
  const names = state.locations.map(location => location.name).join(', ') || 'none';
  if (wanted === undefined) {
    const [only, second] = state.locations;
    if (only === undefined) throw new PlainError('no-location', `this device may use no location yet: ask your administrator`);
    if (second !== undefined) throw usageError('which-location', `name a location: one of ${names}`);
    return only;
  }
  const found = state.locations.find(location => location.name === wanted || location.id === wanted);
  if (!found) throw usageError('unknown-location', `no location '${wanted}': expected one of ${names}`);
  return found;
}

const key = (value: unknown): boolean => typeof value === 'string' && fromBase64(value)?.length === 32;
const strings = (value: unknown): boolean => Array.isArray(value) && value.every(item => typeof item === 'string');

/** What is wrong with a location as Core or a file gives it, or null. */
export function locationFault(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'a location is not an object';
  const location = value as Record<string, unknown>;
  const name = typeof location.name === 'string' ? location.name : '?';
  for (const field of ['id', 'name', 'endpoint'] as const)
    if (typeof location[field] !== 'string' || location[field] === '') return `location ${name}: ${field} is missing`;
  // The id becomes a file name.
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(String(location.id))) return `location ${name}: id must be letters, digits, - or _`;
  if (!key(location.publicKey)) return `location ${name}: publicKey is not a WireGuard key`;
  for (const field of ['addresses', 'allowedIps', 'dns'] as const)
    if (!strings(location[field])) return `location ${name}: ${field} is not a list of texts`;
  for (const field of ['mtu', 'keepalive'] as const)
    if (!Number.isInteger(location[field])) return `location ${name}: ${field} is not a whole number`;
  if (location.mfa !== 'disabled' && location.mfa !== 'internal' && location.mfa !== 'external')
    return `location ${name}: mfa is neither disabled, internal nor external`;
  return null;
}

function stateFault(value: unknown): string | null {
  if (typeof value !== 'object' || value === null) return 'not an object';
  const state = value as Record<string, unknown>;
  if (state.version !== 1) return `version ${String(state.version)} is not known here, expected 1`;
  if (typeof state.proxy !== 'string' || !URL.canParse(state.proxy)) return 'proxy is not a URL';
  if (!key(state.privateKey)) return 'privateKey is not a key';
  const device = state.device as Record<string, unknown> | undefined;
  if (typeof device !== 'object' || device === null || !key(device.publicKey)) return 'device is missing';
  if (!Array.isArray(state.locations)) return 'locations is not a list';
  for (const location of state.locations) {
    const fault = locationFault(location);
    if (fault !== null) return fault;
  }
  return null;
}
