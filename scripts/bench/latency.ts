// Round trips through the tunnel, in peace and while TCP fills it.

import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bed } from './bed.ts';
import { iperf } from './iperf.ts';
import { quantile } from './results.ts';
import type { Results } from './results.ts';

/**
 * The output of ping goes to a file: read line by line, it would wake this process after each answer, on the same two cores, and
 * evict the caches of what is measured.
 */
async function roundTrips(bed: Bed, count: number, intervalS: number): Promise<number[]> {
  const file = join(tmpdir(), `sallyport-ping-${process.pid}`);
  const words = ['-n', '-c', `${count}`, '-i', `${intervalS}`, '-W', '1', bed.addressB];
  try {
    await bed.a.start('sh', ['-c', 'exec ping "$@" > "$0"', file, ...words]).ended;
    return [...readFileSync(file, 'utf8').matchAll(/time=([\d.]+) ms/g)].map(match => Number(match[1]));
  } finally {
    rmSync(file, { force: true });
  }
}

export async function latency(bed: Bed, results: Results): Promise<void> {
  const add = (metric: string, value: number): void =>
    results.add({ section: 'latency', metric, unit: 'ms', better: 'less' }, bed.candidate.name, value);
  const idle = await roundTrips(bed, 300, 0.005);
  add('idle p50', quantile(idle, 0.5));
  add('idle p99', quantile(idle, 0.99));
  const load = iperf(bed, ['-P', '4'], 4);
  await sleep(1200);
  const busy = await roundTrips(bed, 300, 0.01);
  await load;
  add('under TCP load p50', quantile(busy, 0.5));
  add('under TCP load p99', quantile(busy, 0.99));
}
