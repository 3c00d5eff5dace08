// TCP: how much a tunnel carries and what a gigabyte costs in processor seconds at each end.

import type { Bed } from './bed.ts';
import { iperf } from './iperf.ts';
import type { Results } from './results.ts';

/** One round of TCP for one bed: stream counts in both directions. */
export async function tcp(
  bed: Bed,
  results: Results,
  seconds: number,
  streams: readonly number[],
): Promise<void> {
  for (const count of streams) {
    for (const reverse of [false, true]) {
      const direction = reverse ? 'b→a' : 'a→b';
      const flow = await iperf(bed, ['-P', `${count}`], seconds, reverse);
      const label = `${count} stream${count > 1 ? 's' : ''} ${direction}`;
      results.add(
        { section: 'tcp', metric: label, unit: 'Gbit/s', better: 'more' },
        bed.candidate.name,
        flow.gbits,
      );
      if (bed.left === null) continue;
      const gigabytes = flow.bytes / 1e9;
      const cost = (metric: string, value: number): void =>
        results.add({ section: 'tcp', metric, unit: 'CPU s/GB', better: 'less' }, bed.candidate.name, value);
      cost(`${label}, sender's CPU`, (reverse ? flow.cpu.b : flow.cpu.a) / gigabytes);
      cost(`${label}, receiver's CPU`, (reverse ? flow.cpu.a : flow.cpu.b) / gigabytes);
    }
  }
}
