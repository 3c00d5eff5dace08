// What an attacker can take from connected devices: TCP runs through the tunnel while 20,000 forged initiations a second
// arrive at its receiving end, on the very socket the data comes in by. One flow runs through everything; the flood is
// switched every second (off, control, wrong mac1, right mac1, in a rotating order), so that all four see the same minute.
// The control is the same packets to a closed port of the same host: on a machine of two cores, making and carrying
// them costs something wherever they go.

import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { cpuSeconds, until } from '../../test/fixtures/lab/netns.ts';
import { plan } from '../../test/fixtures/lab/tunnels.ts';
import type { Tunnel } from '../../test/fixtures/lab/tunnels.ts';
import type { Bed } from './bed.ts';
import { Instrument } from './instrument.ts';
import { iperf } from './iperf.ts';
import type { Results } from './results.ts';

const rate = 20_000;
const sources = Array.from({ length: 16 }, (_, i) => `10.91.0.${220 + i}`);
const phases = ['off', 'control', 'wrong', 'right'] as const;
type Phase = (typeof phases)[number];
/** After a switch TCP finds its new pace; what comes then counts. */
const settleMs = 300;
const countMs = 1000;

/** Bytes the tunnel delivered to its kernel so far: the process's own view of its namespace, no program started for it. */
function delivered(tunnel: Tunnel): number {
  const text = readFileSync(`/proc/${tunnel.process.pid}/net/dev`, 'utf8');
  const line = text.split('\n').find(one => one.trim().startsWith(`${tunnel.ifname}:`));
  return Number(line?.split(':')[1]?.trim().split(/\s+/)[0] ?? NaN);
}

interface Sent {
  sent: number;
  seconds: number;
}

export async function flood(bed: Bed, results: Results, cycles: number): Promise<void> {
  const { right } = bed;
  if (right === null) return;
  for (const source of sources) bed.a.ip(`addr replace ${source}/24 dev ${bed.cable}`);
  const forger = new Instrument(bed.a, 'forger', [
    ...[plan.b.outer4, `${right.port}`, right.keys.publicKey, `${rate}`, sources.join(',')],
  ]);
  try {
    await forger.ask();
    await cost(bed, right, forger, results);
    const { bits, weakest } = await share(bed, right, forger, cycles);
    const name = bed.candidate.name;
    const add = (metric: string, unit: string, value: number): void =>
      results.add({ section: 'flood', metric, unit, better: 'more' }, name, value);
    add('TCP, no flood', 'Gbit/s', bits.off);
    add('TCP, control: flood to a closed port', 'Gbit/s', bits.control);
    add('TCP, flood with wrong mac1', 'Gbit/s', bits.wrong);
    add('TCP, flood with right mac1', 'Gbit/s', bits.right);
    for (const phase of ['wrong', 'right'] as const) {
      add(`${phase} mac1: kept of no flood`, '%', (bits[phase] / bits.off) * 100);
      add(`${phase} mac1: kept of control`, '%', (bits[phase] / bits.control) * 100);
    }
    if (weakest < 0.95 * rate)
      results.note(
        `flood: ${name}: only ${Math.round(weakest)} of ${rate} initiations per second could be sent`,
      );
  } finally {
    await forger.stop();
  }
}

/** What one forged initiation costs a responder with nothing else to do. */
async function cost(bed: Bed, right: Tunnel, forger: Instrument, results: Results): Promise<void> {
  for (const phase of ['wrong', 'right'] as const) {
    await forger.ask(phase);
    const before = cpuSeconds(right.process.pid);
    await sleep(2 * countMs);
    const { sent } = await forger.ask<Sent>('off');
    const used = cpuSeconds(right.process.pid) - before;
    results.add(
      {
        section: 'flood',
        metric: `responder's CPU without traffic, ${phase} mac1`,
        unit: 'µs each',
        better: 'less',
      },
      bed.candidate.name,
      (used * 1e6) / sent,
    );
  }
}

/** Gbit/s of the one flow in each phase, and the lowest rate the forger reached. */
async function share(
  bed: Bed,
  right: Tunnel,
  forger: Instrument,
  cycles: number,
): Promise<{ bits: Record<Phase, number>; weakest: number }> {
  const seconds = Math.ceil((cycles * phases.length * (settleMs + countMs)) / 1000) + 2;
  const flow = iperf(bed, ['-P', '4'], seconds);
  // Its numbers are not needed, its failure is seen as silence below.
  flow.catch(() => {});
  const start = delivered(right);
  if (!(await until(() => delivered(right) > start + 10_000_000, 10_000)))
    throw new Error('no TCP through the tunnel');
  const total = {
    off: { bits: 0, ms: 0 },
    control: { bits: 0, ms: 0 },
    wrong: { bits: 0, ms: 0 },
    right: { bits: 0, ms: 0 },
  };
  let weakest = Infinity;
  let previous: Phase = 'off';
  const change = async (phase: Phase): Promise<void> => {
    const ended = await forger.ask<Sent>(phase);
    if (previous !== 'off') weakest = Math.min(weakest, ended.sent / ended.seconds);
    previous = phase;
  };
  for (let cycle = 0; cycle < cycles; cycle++) {
    for (let i = 0; i < phases.length; i++) {
      const phase = phases[(i + cycle) % phases.length]!;
      await change(phase);
      await sleep(settleMs);
      const [bytes, at] = [delivered(right), performance.now()];
      await sleep(countMs);
      total[phase].bits += (delivered(right) - bytes) * 8;
      total[phase].ms += performance.now() - at;
    }
  }
  await change('off');
  await flow;
  const gbits = (phase: Phase): number => total[phase].bits / total[phase].ms / 1e6;
  return {
    bits: { off: gbits('off'), control: gbits('control'), wrong: gbits('wrong'), right: gbits('right') },
    weakest,
  };
}
