// A private network to act in: namespaces joined by veth pairs, made with iproute2 as root or as the root of a user
// namespace, with a probe (see probe.ts) living in each. Packets are counted by the kernel, on interfaces, and read here;
// nothing a program says about itself is evidence. Everything made here is undone by close(), by id and by name of our own.

import { execFile, spawn } from 'node:child_process';
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Probe } from './probe.ts';

export type Counters = { rxBytes: number; rxPackets: number; txBytes: number; txPackets: number };
export type Finished = { code: number; stdout: string; stderr: string };

/** Milliseconds on the clock every process of this machine shares (CLOCK_MONOTONIC). */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** Thrown inside of `until` when waiting on is no use. */
export class Hopeless extends Error {}

/** Polls until `holds` gives a value other than null, undefined or false; names what it waited for when it never does. */
export async function until<T>(
  what: string,
  timeoutMs: number,
  holds: () => T | Promise<T>,
  everyMs = 20,
): Promise<NonNullable<T>> {
  const deadline = now() + timeoutMs;
  let reason = '';
  for (;;) {
    try {
      const value = await holds();
      if (value !== null && value !== undefined && value !== false) return value;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      reason = `: ${error instanceof Error ? error.message : String(error)}`;
    }
    if (now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for ${what}${reason}`);
    await sleep(everyMs);
  }
}

/** Runs a program to its end; never through a shell. `stdin` is how secrets go in. */
export function run(
  argv: string[],
  options: { timeoutMs?: number; stdin?: string; env?: Record<string, string> } = {},
): Promise<Finished> {
  return new Promise(resolve => {
    const child = execFile(
      argv[0]!,
      argv.slice(1),
      {
        timeout: options.timeoutMs ?? 15_000,
        killSignal: 'SIGKILL',
        maxBuffer: 16 << 20,
        env: { ...process.env, ...options.env },
      },
      (error, stdout, stderr) => {
        let code = child.exitCode ?? 1;
        if (error && code === 0) code = 1;
        if (error && child.killed)
          stderr += `\n(ended after ${options.timeoutMs ?? 15_000} ms without an answer)`;
        else if (error && child.pid === undefined) stderr += String(error.message);
        resolve({ code, stdout, stderr });
      },
    );
    child.stdin?.on('error', () => {});
    child.stdin?.end(options.stdin ?? '');
  });
}

/** A long-running program with its log in a file. */
export class Actor {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  readonly ended: Promise<number | null>;
  isRunning = true;
  #child: ChildProcess;

  constructor(name: string, child: ChildProcess, logFile: string) {
    this.name = name;
    this.#child = child;
    this.pid = child.pid ?? -1;
    this.logFile = logFile;
    this.ended = new Promise(resolve => {
      child.once('error', () => resolve(null));
      child.once('exit', code => resolve(code));
    });
    void this.ended.then(() => (this.isRunning = false));
  }

  get log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  /** The last lines of the log, for error messages. */
  get lastWords(): string {
    return this.log.trim().split('\n').slice(-6).join('\n');
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child.kill(signal);
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.ended;
  }

  /** SIGTERM, and SIGKILL after `patienceMs`. */
  async stop(patienceMs = 3000): Promise<void> {
    if (!this.isRunning) return;
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), patienceMs);
    await this.ended;
    clearTimeout(timer);
  }
}

export class World {
  /** Starts every name we leave on the machine. */
  readonly prefix: string;
  /** Private directory (0700) for configurations, keys and logs. */
  readonly dir: string;
  #probes = new Map<string, Probe>();
  #actors: Actor[] = [];
  #setpriv = false;

  constructor(prefix = 'sp') {
    this.prefix = `${prefix}${randomBytes(2).toString('hex')}`;
    this.dir = mkdtempSync(join(tmpdir(), `${this.prefix}-`));
  }

  /** Makes a namespace with loopback up and a probe in it. */
  async space(name: string): Promise<Probe> {
    if (this.#probes.size === 0)
      this.#setpriv = (await run(['setpriv', '--help'])).stdout.includes('pdeathsig');
    await this.must(['ip', 'netns', 'add', this.#full(name)]);
    const probe = new Probe(
      this.spawn(name, [process.execPath, Probe.file], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
    this.#probes.set(name, probe);
    await this.ip(name, 'link', 'set', 'lo', 'up');
    await probe.ready;
    return probe;
  }

  probe(name: string): Probe {
    const probe = this.#probes.get(name);
    if (!probe) throw new Error(`no namespace ${name}`);
    return probe;
  }

  /**
   * A veth pair with an IPv4 address at each end. With `quiet`, neighbours are fixed and IPv6 is off, so that every
   * packet the interfaces count was sent by a program under test.
   */
  async join(
    a: string,
    addressA: string,
    b: string,
    addressB: string,
    options: { quiet?: boolean } = {},
  ): Promise<void> {
    const [ifA, ifB] = [`to-${b}`, `to-${a}`];
    await this.must([
      'ip',
      'link',
      'add',
      ifA,
      'netns',
      this.#full(a),
      'type',
      'veth',
      'peer',
      'name',
      ifB,
      'netns',
      this.#full(b),
    ]);
    for (const [space, device, address] of [[a, ifA, addressA] as const, [b, ifB, addressB] as const]) {
      if (options.quiet) await this.sysctl(space, `net/ipv6/conf/${device}/disable_ipv6`, '1');
      await this.ip(space, 'addr', 'add', `${address}/24`, 'dev', device);
      await this.ip(space, 'link', 'set', device, 'up');
    }
    if (!options.quiet) return;
    const macA = await this.#mac(a, ifA);
    const macB = await this.#mac(b, ifB);
    await this.ip(a, 'neigh', 'replace', addressB, 'lladdr', macB, 'nud', 'permanent', 'dev', ifA);
    await this.ip(b, 'neigh', 'replace', addressA, 'lladdr', macA, 'nud', 'permanent', 'dev', ifB);
  }

  /** `ip` inside a namespace; throws with what ip said. */
  async ip(space: string, ...args: string[]): Promise<string> {
    return await this.must(['ip', '-n', this.#full(space), ...args]);
  }

  /** Forwarding and the like. The file is opened by a process that lives in the namespace. */
  async sysctl(space: string, path: string, value: string): Promise<void> {
    await this.probe(space).sysctl(path, value);
  }

  /** What the kernel counted on an interface since it was made; zeros when it does not exist. */
  counters(space: string, device: string): Counters {
    let text = '';
    try {
      text = readFileSync(`/proc/${this.probe(space).pid}/net/dev`, 'utf8');
    } catch (error) {
      // The namespace is being taken down.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    for (const line of text.split('\n')) {
      const [name, numbers] = line.split(':');
      if (name?.trim() !== device || numbers === undefined) continue;
      const field = numbers.trim().split(/\s+/).map(Number);
      return { rxBytes: field[0]!, rxPackets: field[1]!, txBytes: field[8]!, txPackets: field[9]! };
    }
    return { rxBytes: 0, rxPackets: 0, txBytes: 0, txPackets: 0 };
  }

  /** Counts packets on an interface and remembers when each first showed, to about a millisecond. */
  watch(space: string, device: string, direction: 'rxPackets' | 'txPackets'): Watch {
    return new Watch(() => this.counters(space, device)[direction]);
  }

  async exec(
    space: string,
    argv: string[],
    options: { timeoutMs?: number; stdin?: string; env?: Record<string, string> } = {},
  ): Promise<Finished> {
    return await run(this.#enter(space, argv), options);
  }

  spawn(space: string, argv: string[], options: SpawnOptions = {}): ChildProcess {
    // A demo that is killed outright must not leave its actors behind.
    const leash = this.#setpriv ? ['setpriv', '--pdeathsig', 'KILL'] : [];
    const [program, ...args] = this.#enter(space, [...leash, ...argv]);
    return spawn(program!, args, options);
  }

  actor(name: string, space: string, argv: string[], env: Record<string, string> = {}): Actor {
    const logFile = join(this.dir, `${name}.log`);
    const log = openSync(logFile, 'a', 0o600);
    const child = this.spawn(space, argv, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
    closeSync(log);
    const actor = new Actor(name, child, logFile);
    this.#actors.push(actor);
    return actor;
  }

  async must(argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await run(argv);
    if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr.trim() || `exit ${code}`}`);
    return stdout;
  }

  /** Ends what lives in our namespaces, removes them and the directory. Never throws. */
  async close(options: { keepFiles?: boolean } = {}): Promise<void> {
    await Promise.all(this.#actors.reverse().map(actor => actor.stop()));
    for (const [name, probe] of this.#probes) {
      probe.close();
      // A daemon that outlived its starter is still inside the namespace, which only we use.
      for (const pid of (await run(['ip', 'netns', 'pids', this.#full(name)])).stdout.trim().split(/\s+/)) {
        const number = Number(pid);
        if (number <= 1 || number === process.pid) continue;
        try {
          process.kill(number, 'SIGKILL');
        } catch {
          // already gone
        }
      }
      await run(['ip', 'netns', 'del', this.#full(name)]);
    }
    if (!options.keepFiles) rmSync(this.dir, { recursive: true, force: true });
  }

  #full(name: string): string {
    return `${this.prefix}-${name}`;
  }

  // nsenter rather than `ip netns exec`: that one remounts /sys, which a user namespace may be refused.
  #enter(space: string, argv: string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.#full(space)}`, '--', ...argv];
  }

  async #mac(space: string, device: string): Promise<string> {
    const [link] = JSON.parse(await this.ip(space, '-j', 'link', 'show', 'dev', device)) as {
      address: string;
    }[];
    return link!.address;
  }
}

/** Samples one counter every millisecond. */
export class Watch {
  readonly from: number;
  /** When the counter last grew; 0 if it never did. */
  lastAt = 0;
  /** The first growths: count since the watch began, and when it was seen. */
  readonly seen: { packets: number; at: number }[] = [];
  #count: number;
  #read: () => number;
  #timer: NodeJS.Timeout;

  constructor(read: () => number) {
    this.#read = read;
    this.from = this.#count = read();
    this.#timer = setInterval(() => this.#sample(), 1);
  }

  /** Packets since the watch began. */
  get packets(): number {
    this.#sample();
    return this.#count - this.from;
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.packets;
  }

  #sample(): void {
    const count = this.#read();
    if (count === this.#count) return;
    this.#count = count;
    this.lastAt = now();
    if (this.seen.length < 64) this.seen.push({ packets: count - this.from, at: this.lastAt });
  }
}
