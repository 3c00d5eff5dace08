// TCP and UDP: how much a tunnel carries and what a gigabyte costs in processor seconds at each end.

import type { Bed } from './bed.ts';
import { iperf } from './iperf.ts';
import type { Results } from './results.ts';

/** One round of TCP for one bed: stream counts in both directions. */
export async function tcp(bed: Bed, results: Results, seconds: number, streams: readonly number[]): Promise<void> {
  for (const count of streams) {
    for (const reverse of [false, true]) {
      const direction = reverse ? 'b→a' : 'a→b';
      const flow = await iperf(bed, ['-P', `${count}`], seconds, reverse);
      const label = `${count} stream${count > 1 ? 's' : ''} ${direction}`;
      results.add({ section: 'tcp', metric: label, unit: 'Gbit/s', better: 'more' }, bed.candidate.name, flow.gbits);
      if (bed.left === null) continue;
      const gigabytes = flow.bytes / 1e9;
      const cost = (metric: string, value: number): void =>
        results.add({ section: 'tcp', metric, unit: 'CPU s/GB', better: 'less' }, bed.candidate.name, value);
      cost(`${label}, sender's CPU`, (reverse ? flow.cpu.b : flow.cpu.a) / gigabytes);
      cost(`${label}, receiver's CPU`, (reverse ? flow.cpu.a : flow.cpu.b) / gigabytes);
    }
  }
}

/** Highest rate with less than 0.1 % loss, by doubling and then halving the interval. */
export async function udp(bed: Bed, results: Results, seconds: number, sizes: readonly number[]): Promise<void> {
  interface Run {
    ok: boolean;
    mbits: number;
    pps: number;
  }
  const once = async (size: number, mbits: number): Promise<Run> => {
    const flow = await iperf(bed, ['-u', '-l', `${size}`, '-b', `${mbits}M`, '-w', '4M'], seconds);
    const got = (flow.packetsPerSecond * size * 8) / 1e6;
    // A sender that cannot keep up with the asked rate is the end of the ramp too.
    return { ok: flow.lostRatio < 0.001 && got > mbits * 0.9, mbits: got, pps: flow.packetsPerSecond };
  };
  // A second chance for everybody: on a small machine something else may have wanted the processor just then.
  const carries = async (size: number, mbits: number): Promise<Run> => {
    const run = await once(size, mbits);
    return run.ok ? run : once(size, mbits);
  };
  for (const size of sizes) {
    let best: Pick<Run, 'mbits' | 'pps'> = { mbits: 0, pps: 0 };
    let low = 0;
    let high = Math.max(4, size / 16);
    for (;;) {
      const run = await carries(size, high);
      if (!run.ok) break;
      best = run;
      low = high;
      high *= 2;
    }
    for (let step = 0; step < 4; step++) {
      const middle = (low + high) / 2;
      const run = await carries(size, middle);
      if (run.ok) {
        low = middle;
        if (run.mbits > best.mbits) best = run;
      } else high = middle;
    }
    const add = (metric: string, unit: string, value: number): void =>
      results.add({ section: 'udp', metric, unit, better: 'more' }, bed.candidate.name, value);
    add(`${size} B under 0.1 % loss`, 'Mbit/s', best.mbits);
    add(`${size} B under 0.1 % loss, packets`, 'kpps', best.pps / 1000);
  }
}
