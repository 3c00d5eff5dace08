// Benchmark of the whole tunnel against the userspace WireGuards found on this machine (scripts/peers installs them), with
// the bare cable as ceiling. Everything runs in network namespaces of its own; candidates alternate run by run, because a
// small virtual machine varies by a factor of two within minutes; medians and paired ratios are reported, never a best run.
// `--against` adds the agent.mjs of an earlier commit as the peer `earlier`: what a change costs or gains.
//   npm run bench -- [--peers wireguard-go,boringtun] [--against FILE] [--only tcp,udp,...] [--pairs 5] [--seconds 4] [--json FILE] [--quick]
// Roles: `X` is X at both ends; `X ⇄ P` is X as the gateway (end A) against the fixed peer P.

import { cpus, release } from 'node:os';
import { mkdirSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { run, whyNoLab } from '../test/fixtures/lab/netns.ts';
import type { Implementation } from '../test/fixtures/lab/tunnels.ts';
import { Bed, earlier, found } from './bench/bed.ts';
import type { Candidate } from './bench/bed.ts';
import { flood } from './bench/flood.ts';
import { handshakes } from './bench/handshake.ts';
import { latency } from './bench/latency.ts';
import { footprint, idle, loaded, startup } from './bench/process.ts';
import { udp } from './bench/ramp.ts';
import { html } from './bench/page.ts';
import { json, table } from './bench/report.ts';
import type { Setting } from './bench/report.ts';
import { Results } from './bench/results.ts';
import { revoke } from './bench/revoke.ts';
import { scale } from './bench/scale.ts';
import { tcp } from './bench/throughput.ts';

const sections = [
  'tcp',
  'udp',
  'latency',
  'handshake',
  'flood',
  'idle',
  'memory',
  'scale',
  'revoke',
  'startup',
];

function usage(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}

const known = {
  peers: { type: 'string' },
  against: { type: 'string' },
  only: { type: 'string' },
  pairs: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '4' },
  streams: { type: 'string', default: '1,4,16' },
  json: { type: 'string' },
  quick: { type: 'boolean', default: false },
} as const;

function readOptions(): ReturnType<typeof parseArgs<{ options: typeof known }>>['values'] {
  try {
    return parseArgs({ options: known }).values;
  } catch (error) {
    usage(
      `${String((error as Error).message)}; expected ${Object.keys(known)
        .map(name => `--${name}`)
        .join(', ')}`,
    );
  }
}

const options = readOptions();
const only = options.only?.split(',') ?? sections;
for (const name of only)
  if (!sections.includes(name)) usage(`--only ${name}: expected some of ${sections.join(', ')}`);
const pairs = options.quick ? 2 : Number(options.pairs);
const seconds = options.quick ? 2 : Number(options.seconds);
const streams = options.streams.split(',').map(Number);
if (![pairs, seconds, ...streams].every(n => Number.isInteger(n) && n > 0))
  usage('--pairs, --seconds and --streams: expected positive whole numbers');
const obstacle = whyNoLab('iperf3');
if (obstacle !== null) usage(`cannot run: ${obstacle}`);

const machine = found();
if (options.against !== undefined) machine.set('earlier', earlier(options.against));
const chosen =
  options.peers?.split(',') ??
  [...machine.keys()].filter(name => name !== 'sallyport' && name !== 'wireguard-go-debian');
const implementations: Implementation[] = [];
for (const name of machine.has('sallyport') ? ['sallyport', ...chosen] : chosen) {
  const implementation = machine.get(name);
  if (implementation === undefined)
    usage(`--peers ${name}: not found on this machine; found ${[...machine.keys()].join(', ')}`);
  if (!implementations.includes(implementation)) implementations.push(implementation);
}
const reference = implementations.find(one => one.name !== 'sallyport');
if (!machine.has('sallyport'))
  process.stderr.write('bench: dist/agent.mjs is missing (npm run build): others only\n');

const symmetric: Candidate[] = implementations.map(one => ({ name: one.name, left: one, right: one }));
const gateway: Candidate[] =
  reference === undefined
    ? []
    : implementations
        .filter(one => one !== reference)
        .map(one => ({ name: `${one.name} ⇄ ${reference.name}`, left: one, right: reference }));
const ceiling: Candidate = { name: 'veth', left: null, right: null };

const results = new Results();
const progress = (text: string): void =>
  void process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);

const firstLine = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';

/** One failed run of one candidate must not cost the hours of the others. */
async function attempt(label: string, work: () => Promise<void>): Promise<void> {
  progress(label);
  try {
    await work();
  } catch (error) {
    results.note(`${label}: ${firstLine(error)}`);
  }
}

/** A tunnel that failed to come up once is told of, and gets a second try: a section without it compares nothing. */
async function build(candidate: Candidate): Promise<Bed> {
  try {
    return await Bed.build(candidate);
  } catch (error) {
    results.note(`${candidate.name} came up only at the second try: ${firstLine(error)}`);
    return Bed.build(candidate);
  }
}

async function onBeds(
  section: string,
  candidates: readonly Candidate[],
  rounds: number,
  measure: (bed: Bed) => Promise<void>,
): Promise<void> {
  if (!only.includes(section)) return;
  const beds: Bed[] = [];
  try {
    for (const candidate of candidates)
      await attempt(
        `${section}: building ${candidate.name}`,
        async () => void beds.push(await build(candidate)),
      );
    for (let round = 1; round <= rounds; round++)
      for (const bed of beds)
        await attempt(`${section} ${round}/${rounds}: ${bed.candidate.name}`, () => measure(bed));
  } finally {
    for (const bed of beds) await bed.close();
  }
}

async function onEach<T extends { readonly name: string }>(
  section: string,
  candidates: readonly T[],
  rounds: number,
  measure: (candidate: T) => Promise<void>,
): Promise<void> {
  if (!only.includes(section)) return;
  for (let round = 1; round <= rounds; round++)
    for (const candidate of candidates)
      await attempt(`${section} ${round}/${rounds}: ${candidate.name}`, () => measure(candidate));
}

const few = Math.min(pairs, 3);
await onEach('startup', implementations, pairs, one => startup(one, results));
await onBeds('idle', symmetric, few, bed => idle(bed, results, options.quick ? 5 : 10));
await onBeds('latency', [ceiling, ...symmetric], few, bed => latency(bed, results));
await onBeds('tcp', [ceiling, ...symmetric, ...gateway], pairs, bed => tcp(bed, results, seconds, streams));
await onBeds('udp', [ceiling, ...symmetric], options.quick ? 1 : few, bed =>
  udp(bed, results, [64, 512, 1340]),
);
await onEach('handshake', implementations, few, one => handshakes(one, results, 3));
await onBeds('flood', symmetric, few, bed => flood(bed, results, Math.max(2, seconds)));
await onEach('memory', implementations, 1, one =>
  footprint(one, results, options.quick ? [1000] : [1000, 10_000]),
);
await onBeds('memory', symmetric, 1, bed => loaded(bed, results));
await onEach('scale', symmetric, options.quick ? 1 : few, one =>
  scale(one, results, seconds, options.quick ? [1, 1000] : [1, 1000, 10_000]),
);
await onEach('revoke', gateway.length > 0 ? [...symmetric, ...gateway] : symmetric, few, one =>
  revoke(one, results),
);

function version({ command, name }: Implementation): string {
  const said = run(command[0]!, ['--version']).stdout.split('\n')[0] ?? '';
  if (name !== 'sallyport') return said;
  const commit = run('git', ['-C', new URL('..', import.meta.url).pathname, 'rev-parse', '--short', 'HEAD']);
  return `${commit.status === 0 ? `commit ${commit.stdout.trim()}` : 'not from a repository'}, on Node ${said}`;
}

const setting: Setting = {
  date: new Date().toISOString(),
  kernel: release(),
  cpu: cpus()[0]?.model ?? 'unknown CPU',
  cpus: cpus().length,
  pairs,
  seconds,
  reference: reference?.name ?? '',
  candidates: Object.fromEntries(implementations.map(one => [one.name, version(one)])),
};
process.stdout.write(table(results, setting));
for (const note of results.notes) process.stdout.write(`note: ${note}\n`);
const page = new URL('../bench/report.html', import.meta.url);
mkdirSync(new URL('.', page), { recursive: true });
writeFileSync(page, html(results, setting));
if (options.json !== undefined) writeFileSync(options.json, json(results, setting));
progress(`wrote ${page.pathname}`);
