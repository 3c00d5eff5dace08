// Does a table of many peers slow the traffic of one? TCP with 1, 1,000 and 10,000 peers configured at the gateway.

import { scratch, wg } from '../../test/fixtures/lab/tunnels.ts';
import { Bed, memory } from './bed.ts';
import type { Candidate } from './bed.ts';
import { iperf } from './iperf.ts';
import { manyPeers } from './process.ts';
import type { Results } from './results.ts';

export async function scale(
  candidate: Candidate,
  results: Results,
  seconds: number,
  counts: readonly number[],
): Promise<void> {
  const bed = await Bed.build(candidate);
  const files = scratch();
  try {
    if (bed.left === null) return;
    let present = 1;
    for (const count of counts) {
      if (count > present)
        wg('addconf', bed.left.ifname, files.write(`${count}.conf`, manyPeers(count - present)));
      present = count;
      const flow = await iperf(bed, ['-P', '4'], seconds);
      results.add(
        {
          section: 'scale',
          metric: `4 streams, ${count} peer${count === 1 ? '' : 's'}`,
          unit: 'Gbit/s',
          better: 'more',
        },
        candidate.name,
        flow.gbits,
      );
    }
    results.add(
      { section: 'scale', metric: 'memory after it', unit: 'MB RSS', better: 'less' },
      candidate.name,
      memory(bed.left.process).rss / 1000,
    );
  } finally {
    files.done();
    await bed.close();
  }
}
