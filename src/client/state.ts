// What a client keeps on disk, in one private directory (0700, files 0600): its device key, its enrolment, and the locations it may log
// in to. Never a PSK: those live in the memory of the tunnel only.

import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { enrolAnswer } from '../control/clientapi/bodies.ts';
import type { EnrolledLocation } from '../control/clientapi/bodies.ts';
import { integer, key32, literal, object, optional, pattern, read, string } from '../control/validate.ts';
import type { Shape } from '../control/validate.ts';
import { PlainError, errorText, usageError } from '../util/errors.ts';
import { checkSocketPath } from '../util/socketpath.ts';

export type Location = EnrolledLocation;

export type ClientState = {
  readonly version: 1;
  /** Base URL of the Proxy. */
  readonly proxy: string;
  /** PEM file with the authority that signed the Proxy's certificate; the system's when absent. */
  readonly caFile?: string;
  /** X25519, base64. */
  readonly privateKey: string;
  readonly publicKey: string;
  readonly enrolled: {
    readonly device: string;
    readonly user: string;
    readonly locations: readonly Location[];
  };
};

const stateShape: Shape<ClientState> = object({
  version: literal(1),
  proxy: pattern(/^https?:\/\//, 'the address of the proxy', 300),
  caFile: optional(string(4096, 1)),
  privateKey: key32,
  publicKey: key32,
  enrolled: enrolAnswer,
});

const versionShape = object({ version: integer(0, 1_000_000) });

/** `--state DIR`, else SALLYPORT_STATE, else ~/.config/sallyport. */
export function stateDir(option: string | undefined, env: NodeJS.ProcessEnv): string {
  if (option !== undefined) return option;
  if (env.SALLYPORT_STATE) return env.SALLYPORT_STATE;
  return join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'sallyport');
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
    const text = this.#text();
    const version = read(versionShape, text);
    if (version.ok && version.value.version !== 1)
      throw usageError(
        'state-version',
        `${this.file} has version ${version.value.version}: this client reads version 1`,
      );
    const state = read(stateShape, text);
    if (!state.ok)
      throw usageError('state-broken', `${this.file}: ${state.error}; restore it or enrol again`);
    return state.value;
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

  /** Where the running tunnel of a location listens. */
  socketFile(location: Location): string {
    return checkSocketPath(join(this.dir, `${location.id}.sock`), '--state directory');
  }

  logFile(location: Location): string {
    return join(this.dir, `${location.id}.log`);
  }

  #text(): string {
    try {
      const mode = statSync(this.file).mode & 0o777;
      if (mode & 0o077)
        throw usageError(
          'state-open',
          `${this.file} is open to others (mode ${mode.toString(8)}) and holds the device key: chmod 600 it, and enrol again if others could read it`,
        );
      return readFileSync(this.file, 'utf8');
    } catch (error) {
      if (error instanceof PlainError) throw error;
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw usageError(
          'not-enrolled',
          `no enrolled device in ${this.dir}: run 'sallyport enrol' first, or name another directory with --state`,
        );
      throw new PlainError('state-unreadable', `cannot read ${this.file}: ${errorText(error)}`, 1, error);
    }
  }
}

/** A location by name or id; the only one when none is named. */
export function chooseLocation(state: ClientState, wanted: string | undefined): Location {
  const { locations } = state.enrolled;
  const names = locations.map(location => location.name).join(', ') || 'none';
  if (wanted === undefined) {
    const [only, second] = locations;
    if (only === undefined)
      throw new PlainError(
        'no-location',
        'this device may use no location yet: ask your administrator, then enrol again',
      );
    if (second !== undefined) throw usageError('which-location', `name a location: one of ${names}`);
    return only;
  }
  const found = locations.find(location => location.name === wanted || location.id === wanted);
  if (!found) throw usageError('unknown-location', `no location '${wanted}': expected one of ${names}`);
  return found;
}

/** The same state with the locations as a login told them. */
export function withLocations(state: ClientState, locations: readonly Location[]): ClientState {
  return { ...state, enrolled: { ...state.enrolled, locations } };
}
