// iperf3 as a measuring instrument: one server per run, JSON out, CPU of the tunnel processes read around it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Bed, Cpu } from './bed.ts';

export interface Flow {
  readonly gbits: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cpu: Cpu;
}

interface Sum {
  bits_per_second: number;
  bytes: number;
  seconds: number;
}
interface Report {
  error?: string;
  end: { sum_received?: Sum };
}

let port = 5200;

/** TCP from A to B, `reverse` from B to A. Everything but the first second counts. */
export async function iperf(
  bed: Bed,
  args: readonly string[],
  seconds: number,
  reverse = false,
): Promise<Flow> {
  port = port >= 5900 ? 5201 : port + 1;
  const server = bed.b.start('iperf3', ['-s', '-1', '-B', bed.addressB, '-p', `${port}`]);
  await sleep(150);
  const before = bed.cpu();
  const client = bed.a.start('iperf3', [
    ...[
      '-c',
      bed.addressB,
      '-p',
      `${port}`,
      '-t',
      `${seconds}`,
      '-J',
      '--get-server-output',
      '--connect-timeout',
      '3000',
    ],
    ...['-O', '1'],
    ...(reverse ? ['-R'] : []),
    ...args,
  ]);
  const timer = setTimeout(() => client.child.kill('SIGKILL'), (seconds + 15) * 1000);
  await client.ended;
  clearTimeout(timer);
  const after = bed.cpu();
  await server.stop(500);
  let report: Report;
  try {
    report = JSON.parse(client.stdout) as Report;
  } catch {
    throw new Error(`${bed.candidate.name}: iperf3 said ${(client.stdout + client.stderr).slice(0, 200)}`);
  }
  if (report.error !== undefined) throw new Error(`${bed.candidate.name}: iperf3: ${report.error}`);
  const sum = report.end.sum_received;
  if (sum === undefined) throw new Error(`${bed.candidate.name}: iperf3 reported no sum`);
  // CPU covers the omitted first second too: scale it to the bytes that were counted.
  const share = seconds / (seconds + 1);
  return {
    gbits: sum.bits_per_second / 1e9,
    bytes: sum.bytes,
    seconds: sum.seconds,
    cpu: { a: (after.a - before.a) * share, b: (after.b - before.b) * share },
  };
}
