// Long fuzzing: the property tests of this folder and of test/sim again and again, each time from a fresh seed, until the
// time is up or one fails. A failure prints the command that repeats it.
//   npm run fuzz -- [--seconds 60] [--only datapath,uapi] [--seed N]

import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';

const root = new URL('../..', import.meta.url).pathname;
const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    only: { type: 'string' },
    seed: { type: 'string' },
  },
});
const wanted = options.only?.split(',');
const files = ['test/fuzz', 'test/sim']
  .filter(folder => existsSync(`${root}${folder}`))
  .flatMap(folder => readdirSync(`${root}${folder}`).map(file => `${folder}/${file}`))
  .filter(file => file.endsWith('.test.ts') && (wanted?.some(word => file.includes(word)) ?? true));
const seconds = Number(options.seconds);
if (!(seconds > 0) || files.length === 0) {
  process.stderr.write(
    files.length === 0
      ? `fuzz: --only ${options.only}: expected part of a file name in test/fuzz or test/sim\n`
      : `fuzz: --seconds ${options.seconds}: expected a positive number\n`,
  );
  process.exit(2);
}

const end = Date.now() + seconds * 1000;
let seed = options.seed === undefined ? randomInt(1, 2 ** 31) : Number(options.seed);
let rounds = 0;
outer: while (Date.now() < end) {
  for (const file of files) {
    const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
      cwd: root,
      env: { ...process.env, SEED: `${seed}`, TAP_BAIL: '1' },
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
    rounds++;
    if (status !== 0) {
      process.stdout.write(`${stdout}${stderr}\nfuzz: failed, repeat with: SEED=${seed} node ${file}\n`);
      process.exitCode = 1;
      break outer;
    }
    if (Date.now() >= end) break;
  }
  seed = (seed + 1) % 2 ** 31;
}
process.stdout.write(`fuzz: ${rounds} runs of ${files.length} files, last seed ${seed}\n`);
