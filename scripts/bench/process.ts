// What a tunnel process costs by merely existing: start-up time, memory with many peers, wake-ups and CPU when idle.

import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import { Lab, cpuSeconds } from '../../test/fixtures/lab/netns.ts';
import { Tunnel, scratch, wg } from '../../test/fixtures/lab/tunnels.ts';
import type { Implementation } from '../../test/fixtures/lab/tunnels.ts';
import { memory, wakeups } from './bed.ts';
import type { Bed } from './bed.ts';
import { iperf } from './iperf.ts';
import type { Results } from './results.ts';

function answers(socket: string): Promise<boolean> {
  return new Promise(resolve => {
    if (!existsSync(socket)) {
      resolve(false);
      return;
    }
    const client = connect(socket, () => client.write('get=1\n\n'));
    client.once('data', () => {
      client.destroy();
      resolve(true);
    });
    client.once('error', () => resolve(false));
  });
}

/** Milliseconds from the start of the process to the first answer on its UAPI socket. */
export async function startup(implementation: Implementation, results: Results): Promise<void> {
  const lab = new Lab('bch-');
  try {
    const namespace = lab.namespace('s');
    const ifname = lab.interfaceName();
    const [program, ...args] = implementation.command;
    const started = performance.now();
    namespace.start(program!, [...args, ifname], implementation.env ? { env: implementation.env } : {});
    while (!(await answers(`/var/run/wireguard/${ifname}.sock`))) {
      if (performance.now() - started > 15_000) throw new Error(`${implementation.name} did not start`);
      await sleep(1);
    }
    const ms = performance.now() - started;
    results.add(
      { section: 'startup', metric: 'until UAPI answers', unit: 'ms', better: 'less' },
      implementation.name,
      ms,
    );
  } finally {
    await lab.close();
  }
}

/** A configuration with `count` more peers, each with one address of 10.128.0.0/9. */
export function manyPeers(count: number): string {
  let text = '';
  for (let i = 0; i < count; i++) {
    const address = `10.${128 + ((i >> 16) & 127)}.${(i >> 8) & 255}.${i & 255}`;
    text += `[Peer]\nPublicKey = ${randomBytes(32).toString('base64')}\nAllowedIPs = ${address}/32\n`;
  }
  return text;
}

export async function footprint(
  implementation: Implementation,
  results: Results,
  counts: readonly number[],
): Promise<void> {
  const lab = new Lab('bch-');
  const files = scratch();
  try {
    const tunnel = await Tunnel.start(lab, implementation, lab.namespace('m'), 51830);
    tunnel.up(['192.168.99.1/24']);
    const add = (metric: string, value: number): void =>
      results.add({ section: 'memory', metric, unit: 'MB RSS', better: 'less' }, implementation.name, value);
    await sleep(3000); // what the start took has been given back by then, if it ever is
    add('idle, 3 s after the start', memory(tunnel.process).rss / 1000);
    let present = 0;
    for (const count of counts) {
      const file = files.write(`${count}.conf`, manyPeers(count - present));
      const started = performance.now();
      try {
        wg('addconf', tunnel.ifname, file);
      } catch (error) {
        results.note(`memory: ${implementation.name} with ${count} peers: ${String(error)}`);
        return;
      }
      const ms = performance.now() - started;
      results.add(
        { section: 'memory', metric: `configuring up to ${count} peers`, unit: 'ms', better: 'less' },
        implementation.name,
        ms,
      );
      present = count;
      await sleep(1000);
      add(`${count} peers`, memory(tunnel.process).rss / 1000);
    }
  } finally {
    files.done();
    await lab.close();
  }
}

/** Resident memory in MB while TCP fills the tunnel: the highest of what was seen every tenth of a second. */
async function resident(bed: Bed, tunnel: Tunnel): Promise<number> {
  const flow = iperf(bed, ['-P', '4'], 3);
  let isOver = false;
  const over = flow.finally(() => (isOver = true)).catch(() => {});
  let highest = 0;
  while (!isOver) {
    highest = Math.max(highest, memory(tunnel.process).rss);
    await sleep(100);
  }
  await over;
  await flow;
  return highest / 1000;
}

/** Memory under TCP load, with the one peer of the bed and with a thousand. */
export async function loaded(bed: Bed, results: Results): Promise<void> {
  const { left } = bed;
  if (left === null) return;
  const files = scratch();
  const add = (metric: string, value: number): void =>
    results.add({ section: 'memory', metric, unit: 'MB RSS', better: 'less' }, bed.candidate.name, value);
  try {
    add('1 peer, under TCP load', await resident(bed, left));
    add('1 peer, after TCP load', memory(left.process).rss / 1000);
    wg('addconf', left.ifname, files.write('many.conf', manyPeers(999)));
    add('1000 peers, under TCP load', await resident(bed, left));
    add('highest ever, 1000 peers and TCP', memory(left.process).peak / 1000);
  } finally {
    files.done();
  }
}

/** Wake-ups and CPU of a connected tunnel without traffic. */
export async function idle(bed: Bed, results: Results, seconds: number): Promise<void> {
  if (bed.left === null) return;
  const pid = bed.left.process.pid;
  const [cpu, woken] = [cpuSeconds(pid), wakeups(bed.left.process)];
  await sleep(seconds * 1000);
  const add = (metric: string, unit: string, value: number): void =>
    results.add({ section: 'idle', metric, unit, better: 'less' }, bed.candidate.name, value);
  add('wake-ups', 'per s', (wakeups(bed.left.process) - woken) / seconds);
  add('CPU', 'ms per s', ((cpuSeconds(pid) - cpu) * 1000) / seconds);
}
