// Test bed: two namespaces, a veth cable with offloads on, and a tunnel at each end; or the bare cable, the ceiling of this
// machine. Beds of all candidates stand side by side, so that their runs can alternate minute by minute.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Lab, cpuSeconds, has } from '../../test/fixtures/lab/netns.ts';
import type { Namespace, Running } from '../../test/fixtures/lab/netns.ts';
import { agentBundle, connect, plan, sallyport, wireguardGo } from '../../test/fixtures/lab/tunnels.ts';
import type { Implementation, Tunnel } from '../../test/fixtures/lab/tunnels.ts';

export interface Candidate {
  readonly name: string;
  /** Both ends; null is the bare cable. In the gateway role `left` is the candidate and `right` the fixed peer. */
  readonly left: Implementation | null;
  readonly right: Implementation | null;
}

const first = (paths: string[]): string | undefined => paths.find(path => existsSync(path));

/** Every implementation this machine has, ours first. */
export function found(): Map<string, Implementation> {
  const all = new Map<string, Implementation>();
  if (existsSync(agentBundle)) all.set('sallyport', sallyport());
  const go = first([join(homedir(), 'go/bin/wireguard'), '/usr/local/bin/wireguard-go']);
  if (go !== undefined) all.set('wireguard-go', wireguardGo(go, 'wireguard-go'));
  if (has('wireguard-go'))
    all.set('wireguard-go-debian', wireguardGo('/usr/bin/wireguard-go', 'wireguard-go-debian'));
  const boringtun = first([join(homedir(), '.cargo/bin/boringtun-cli'), '/usr/local/bin/boringtun-cli']);
  if (boringtun !== undefined)
    all.set('boringtun', {
      name: 'boringtun',
      command: [boringtun, '--foreground', '--disable-drop-privileges', '--verbosity', 'error'],
    });
  return all;
}

/** Another commit's dist/agent.mjs, run as ours is. */
export function earlier(bundle: string): Implementation {
  const { command, ...rest } = sallyport();
  return {
    ...rest,
    name: 'earlier',
    command: command.map(word => (word === agentBundle ? resolve(bundle) : word)),
  };
}

export interface Cpu {
  a: number;
  b: number;
}

export class Bed {
  readonly candidate: Candidate;
  readonly a: Namespace;
  readonly b: Namespace;
  readonly left: Tunnel | null;
  readonly right: Tunnel | null;
  /** Addresses to talk to: of the tunnel, or of the cable for the ceiling. */
  readonly addressA: string;
  readonly addressB: string;
  /** Name of the interface outside, the same in both namespaces. */
  readonly cable: string;
  readonly #lab: Lab;

  constructor(
    lab: Lab,
    candidate: Candidate,
    cable: string,
    [a, b]: readonly [Namespace, Namespace],
    [left, right]: readonly [Tunnel, Tunnel] | readonly [null, null],
  ) {
    this.#lab = lab;
    this.candidate = candidate;
    this.cable = cable;
    this.a = a;
    this.b = b;
    this.left = left;
    this.right = right;
    this.addressA = left === null ? plan.a.outer4 : plan.a.inner4;
    this.addressB = right === null ? plan.b.outer4 : plan.b.inner4;
  }

  static async build(candidate: Candidate): Promise<Bed> {
    const lab = new Lab('bch-');
    try {
      if (candidate.left === null || candidate.right === null) {
        const [a, b] = [lab.namespace('a'), lab.namespace('b')];
        const cable = lab.cable(a, b, [`${plan.a.outer4}/24`], [`${plan.b.outer4}/24`]);
        return new Bed(lab, candidate, cable, [a, b], [null, null]);
      }
      const { a, b, cable } = await connect(lab, candidate.left, candidate.right);
      const bed = new Bed(lab, candidate, cable, [a.namespace, b.namespace], [a, b]);
      if (a.namespace.ping(plan.b.inner4, 3) !== 3)
        throw new Error(`${candidate.name}: no ping through the tunnel`);
      return bed;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  cpu(): Cpu {
    return {
      a: this.left === null ? 0 : cpuSeconds(this.left.process.pid),
      b: this.right === null ? 0 : cpuSeconds(this.right.process.pid),
    };
  }

  close(): Promise<void> {
    return this.#lab.close();
  }
}

/** kB of resident memory now and at its highest. */
export function memory(process: Running): { rss: number; peak: number } {
  const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
  const kb = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? NaN);
  return { rss: kb('VmRSS'), peak: kb('VmHWM') };
}

/** Voluntary context switches of all threads: how often something woke the process up. */
export function wakeups(process: Running): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${process.pid}/task`)) {
    const status = readFileSync(`/proc/${process.pid}/task/${thread}/status`, 'utf8');
    total += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1] ?? 0);
  }
  return total;
}
