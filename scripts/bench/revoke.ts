// How long a peer's traffic goes on after it was removed (the gateway's side of a logout): a datagram per millisecond runs
// through the tunnel while the gateway forgets the peer; the answer is the time from the command to the last arrival.

import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../test/fixtures/lab/netns.ts';
import { node26, wg } from '../../test/fixtures/lab/tunnels.ts';
import { Bed } from './bed.ts';
import type { Candidate } from './bed.ts';
import type { Results } from './results.ts';

const program = new URL('ticker.ts', import.meta.url).pathname;

export async function revoke(candidate: Candidate, results: Results): Promise<void> {
  const bed = await Bed.build(candidate);
  try {
    if (bed.left === null || bed.right === null) return;
    // The gateway is A; the client at B sends to a socket behind the gateway.
    const receiver = bed.a.start(node26, [program, 'receive', bed.addressA, '5100', '3']);
    await until(() => receiver.stdout.includes('ready'), 5000);
    bed.b.start(node26, [program, 'send', bed.addressA, '5100', '3']);
    await sleep(1200);
    const asked = performance.timeOrigin + performance.now();
    wg('set', bed.left.ifname, 'peer', bed.right.keys.publicKey, 'remove');
    const returned = performance.timeOrigin + performance.now();
    await receiver.ended;
    const arrivals = JSON.parse(receiver.stdout.slice(receiver.stdout.indexOf('['))) as number[];
    if (arrivals.length < 100)
      throw new Error(`${candidate.name}: only ${arrivals.length} datagrams arrived`);
    const last = arrivals.at(-1)!;
    const add = (metric: string, value: number): void =>
      results.add({ section: 'revoke', metric, unit: 'ms', better: 'less' }, candidate.name, value);
    add('command to last packet (includes starting wg)', Math.max(0, last - asked));
    add('after the command returned', Math.max(0, last - returned));
  } finally {
    await bed.close();
  }
}
