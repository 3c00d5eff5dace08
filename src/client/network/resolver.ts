// While a session lasts, names are looked up at the location's servers, set as wg-quick does it: by systemd-resolved (`resolvectl`) where
// it runs, else by `resolvconf` (openresolv), for the interface and before all other servers.

import { execFile } from 'node:child_process';
import { PlainError } from '../../util/errors.ts';

/** Runs a program, without a shell; rejects when it cannot be run or fails. */
export type Run = (program: string, args: readonly string[], input: string) => Promise<void>;

/** A login waits for it. */
const withinMs = 2000;

type Undo = readonly [program: string, args: readonly string[]];

export class Resolver {
  readonly #ifname: string;
  readonly #run: Run;
  #undo: Undo | null = null;
  #turn: Promise<void> = Promise.resolve();

  constructor(ifname: string, run: Run = runProgram) {
    this.#ifname = ifname;
    this.#run = run;
  }

  /** Takes these servers (IP addresses) into use; none gives up those in use. Throws when neither program can do it. */
  use(servers: readonly string[]): Promise<void> {
    return this.#inTurn(() => (servers.length === 0 ? this.#drop() : this.#use(servers)));
  }

  /** Back to the servers there were. */
  drop(): Promise<void> {
    return this.#inTurn(() => this.#drop());
  }

  /** A session may end while its servers are still being taken into use. */
  #inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #use(servers: readonly string[]): Promise<void> {
    const ifname = this.#ifname;
    try {
      await this.#run('resolvectl', ['dns', ifname, ...servers], '');
      this.#undo = ['resolvectl', ['revert', ifname]];
      await this.#run('resolvectl', ['domain', ifname, '~.'], '');
      return;
    } catch {
      await this.#drop(); // not there, or not running
    }
    try {
      const lines = servers.map(server => `nameserver ${server}\n`).join('');
      await this.#run('resolvconf', ['-a', ifname, '-m', '0', '-x'], lines);
      this.#undo = ['resolvconf', ['-f', '-d', ifname]];
    } catch (error) {
      throw new PlainError(
        'no-resolver',
        `names are not looked up at ${servers.join(', ')}, as the location wants: neither resolvectl nor resolvconf did it`,
        1,
        error,
      );
    }
  }

  async #drop(): Promise<void> {
    const undo = this.#undo;
    this.#undo = null;
    if (undo !== null) await this.#run(...undo, '').catch(() => undefined); // gone with the interface, then
  }
}

function runProgram(program: string, args: readonly string[], input: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null): void => (error === null ? resolve() : reject(error));
    const child = execFile(program, args, { timeout: withinMs }, done);
    child.stdin?.on('error', () => undefined); // it closed its input early
    child.stdin?.end(input);
  });
}
