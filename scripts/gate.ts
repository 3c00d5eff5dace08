// The gate: every check of a commit in one command, with one summary line that a machine can read.
//   npm run ok            types, lint, format, bundle, unit tests, bundle smoke test
//   npm test              unit tests only            (npm test -- FILE... for some of them)
//   node scripts/gate.ts network   bundle and network tests only
//   npm run test:all      everything, network and end-to-end tests included; what scripts/test runs
// The last line is `N passed, N failed, N skipped`: subtests of every test file plus one for each other step. Exit 0 only
// if nothing failed.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const reports = join(root, '.tap', 'gate');

interface Count {
  passed: number;
  failed: number;
  skipped: number;
}
interface Step {
  name: string;
  seconds: number;
  count: Count;
  notes: string[];
}

function run(command: string, args: string[]): Promise<number> {
  // The runtime of the lock file first, whatever the host has.
  const env = { ...process.env, PATH: join(root, 'node_modules/.bin') + delimiter + process.env['PATH'] };
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env });
    child.on('error', error => {
      process.stdout.write(`${command}: ${error.message}\n`);
      resolve(127);
    });
    child.on('close', code => resolve(code ?? 1));
  });
}

const one = (ok: boolean): Count => ({ passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: 0 });

/** Counts the subtests directly below each file of a TAP stream; a file without any counts as one. */
function countTap(text: string): { count: Count; notes: string[] } {
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  const notes: string[] = [];
  let inFile: string[] = [];
  const add = (line: string): void => {
    const skip = /# (?:SKIP|TODO)\b ?(.*)$/i.exec(line);
    const name = line.replace(/^ *(?:not )?ok \d+ - /, '').replace(/ # time=.*$/, '');
    if (skip !== null) {
      count.skipped++;
      notes.push(`skipped: ${name.replace(/ # .*$/, '')}: ${skip[1] || 'no reason given'}`);
    } else if (/^ *not ok/.test(line)) {
      count.failed++;
      notes.push(`FAILED: ${name}`);
    } else count.passed++;
  };
  for (const line of text.split('\n')) {
    if (/^ {4}(?:not )?ok \d+/.test(line)) inFile.push(line);
    else if (/^(?:not )?ok \d+/.test(line)) {
      const failedInside = inFile.some(inner => /^ *not ok/.test(inner) && !/# (?:SKIP|TODO)/i.test(inner));
      inFile.forEach(add);
      // A file may fail without a failed subtest: a crash, a timeout, a plan not met.
      if (inFile.length === 0 || (line.startsWith('not ok') && !failedInside)) add(line);
      inFile = [];
    }
  }
  return { count, notes };
}

function testFiles(): string[] {
  return readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts') && !file.startsWith('fixtures/'))
    .map(file => `test/${file}`)
    .sort();
}

/** Every failed assertion with its place and difference. */
function failures(text: string): string {
  const lines = text.split('\n');
  let shown = '';
  for (const [i, line] of lines.entries()) {
    if (!/^ *not ok/.test(line) || /# (?:SKIP|TODO)/i.test(line)) continue;
    shown += `${line.trim()}\n`;
    if (!/^ *---/.test(lines[i + 1] ?? '')) continue;
    const end = lines.findIndex((other, at) => at > i && /^ *\.\.\.$/.test(other));
    shown += `${lines.slice(i + 2, Math.min(end, i + 40)).join('\n')}\n`;
  }
  return shown;
}

const needsNetwork = (file: string): boolean => /^test\/(interop|e2e|firmware)\//.test(file);

async function tap(label: string, files: string[], jobs: number, options: string[]): Promise<Step> {
  const started = Date.now();
  const report = join(reports, `${label.replace(/\W+/g, '-')}.tap`);
  rmSync(report, { force: true });
  if (files.length === 0) return { name: label, seconds: 0, count: one(true), notes: ['no files'] };
  // A terminal gets progress; a log gets what failed, below.
  const reporter = process.stdout.isTTY ? 'terse' : 'silent';
  const code = await run('tap', [
    'run',
    '-R',
    reporter,
    `--jobs=${jobs}`,
    `--output-file=${report}`,
    ...options,
    ...files,
  ]);
  let { count, notes } = { count: one(false), notes: ['FAILED: tap wrote no report'] };
  try {
    const text = readFileSync(report, 'utf8');
    ({ count, notes } = countTap(text));
    if (!process.stdout.isTTY) process.stdout.write(failures(text));
  } catch {
    // The note above says it.
  }
  if (code !== 0 && count.failed === 0) {
    count.failed++;
    notes.push(`FAILED: tap exited with ${code}`);
  }
  return { name: label, seconds: (Date.now() - started) / 1000, count, notes };
}

async function command(name: string, program: string, args: string[]): Promise<Step> {
  const started = Date.now();
  const code = await run(program, args);
  const notes = code === 0 ? [] : [`FAILED: ${name}: exit ${code}`];
  return { name, seconds: (Date.now() - started) / 1000, count: one(code === 0), notes };
}

const npm =
  (script: string): (() => Promise<Step>) =>
  () =>
    command(script, 'npm', ['run', '--silent', script]);
const unit = (files?: string[]) => (): Promise<Step> =>
  tap('unit tests', files ?? testFiles().filter(file => !needsNetwork(file)), availableParallelism(), [
    '--coverage-report=text-summary',
  ]);
const networkOptions = ['--disable-coverage', '--timeout=400'];
/** Minutes of waiting in real time and next to no work: side by side. */
const waits = (file: string): boolean => /^test\/interop\/(rekey|stale)\./.test(file);
const waiting = (): Promise<Step> =>
  tap('waiting network tests', testFiles().filter(waits), 2, networkOptions);
const network = (): Promise<Step> =>
  tap(
    'network tests',
    testFiles().filter(file => needsNetwork(file) && !waits(file)),
    1,
    networkOptions,
  );
const smokeUnder =
  (name: string, runtime: string | undefined, args: string[] = []) =>
  (): Promise<Step> =>
    runtime === undefined
      ? Promise.resolve({
          name: `bundle smoke, ${name}`,
          seconds: 0,
          count: { passed: 0, failed: 0, skipped: 1 },
          notes: [`skipped: ${name} is not installed`],
        })
      : command(`bundle smoke, ${name}`, runtime, [...args, 'test/runtime/smoke.mjs']);
const present = (...paths: string[]): string | undefined => paths.find(path => existsSync(path));
const smoke = smokeUnder('Node of the lock file', 'node');
const smokeEverywhere = [
  smoke,
  smokeUnder('Node of the host', present('/usr/bin/node', '/usr/local/bin/node')),
  smokeUnder('Deno', present(join(root, 'node_modules/.bin/deno')), ['run', '-A', '--no-config']),
];

const statics = [npm('types'), npm('lint'), npm('format')];
const [mode = 'ok', ...files] = process.argv.slice(2);
const plans: Record<string, (() => Promise<Step>)[]> = {
  ok: [...statics, npm('build'), unit(), smoke],
  unit: [unit(files.length > 0 ? files : undefined)],
  network: [npm('build'), waiting, network],
  all: [npm('build'), ...statics, ...smokeEverywhere, unit(), waiting, network],
};
const plan = plans[mode];
if (plan === undefined) {
  process.stderr.write(`gate: unknown mode '${mode}': expected ${Object.keys(plans).join(', ')}\n`);
  process.exit(2);
}

mkdirSync(reports, { recursive: true });
const steps: Step[] = [];
for (const step of plan) {
  const done = await step();
  steps.push(done);
  const { passed, failed, skipped } = done.count;
  const verdict = failed > 0 ? 'FAILED' : 'ok';
  process.stdout.write(
    `=== ${done.name}: ${verdict} (${passed} passed, ${failed} failed, ${skipped} skipped) in ${done.seconds.toFixed(1)} s\n`,
  );
}

const total: Count = { passed: 0, failed: 0, skipped: 0 };
process.stdout.write('\n');
for (const { name, count, notes } of steps) {
  total.passed += count.passed;
  total.failed += count.failed;
  total.skipped += count.skipped;
  for (const note of notes) process.stdout.write(`${name}: ${note}\n`);
}
process.stdout.write(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped\n`);
process.exitCode = total.failed === 0 ? 0 : 1;
