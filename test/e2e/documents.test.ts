// The commands of docs/ as they stand, each on the machine it is for, and what one sees against what the page says. The pages
// tell one story in this order, so what one has made is there for the next. Only names, codes and tokens are put in.

import { chmodSync, readFileSync } from 'node:fs';
import t from 'tap';
import { address, Stage } from '../../scripts/lib/stage.ts';
import { stepNow, totp } from '../../scripts/lib/totp.ts';
import { now, until } from '../../scripts/lib/world.ts';
import { blocksOf, missing, story } from '../fixtures/system/consoleblocks.ts';
import type { Block, Machine, Step } from '../fixtures/system/consoleblocks.ts';
import { cannotStage, program } from '../fixtures/system/house.ts';

// The test runs real programs in a real network, on whatever machine this is.
t.setTimeout(240_000);

const skip = await cannotStage();
/** Commands that change nothing: what they tell of may be a moment behind. */
const isQuestion = /^(sallyport (status|core (agent|session) list)|curl )/;
const spaces: Readonly<Record<Machine, string>> = { server: 'server', gateway: 'gateway', laptop: 'client' };

class Reader {
  readonly #stage: Stage;
  readonly #env: Record<Machine, Record<string, string>>;
  /** The last id that was seen, for commands with ID, and the last answers of each kind. */
  #id = '';
  #seed = '';
  #recovery: string[] = [];
  #lastStep = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
    const launcher = `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`;
    chmodSync(stage.write('sallyport', launcher), 0o755);
    const shared = {
      PATH: `${stage.path('')}:${process.env['PATH']}`,
      SALLYPORT_DATA: stage.path('core-data'),
      SALLYPORT_STATE_DIR: stage.path('gateway-state'),
      SALLYPORT_RUN_DIR: stage.path('gateway-run'),
      SALLYPORT_UAPI_DIR: stage.path('gateway-uapi'),
      SALLYPORT_TUN_DEVICE: stage.tunDevice,
    };
    const as = (machine: Machine): Record<string, string> => ({
      ...shared,
      SALLYPORT_STATE: stage.path(`client-${machine}`),
    });
    this.#env = { server: as('server'), gateway: as('gateway'), laptop: as('laptop') };
  }

  write({ name, text }: Extract<Block, { kind: 'file' }>): void {
    this.#stage.write(name, this.#here(text));
  }

  /** Null when the command went well and printed what the page says; a question is asked again for a while. */
  async run(machine: Machine, step: Step): Promise<string | null> {
    const deadline = now() + (isQuestion.test(step.command) ? 10_000 : 0);
    for (;;) {
      const problem = await this.#once(machine, step);
      if (problem === null || now() > deadline) return problem;
    }
  }

  async #once(machine: Machine, step: Step): Promise<string | null> {
    const { code, stdout, stderr } = await this.#stage.world.exec(
      spaces[machine],
      this.#shell(this.#given(step.command)),
      { env: this.#env[machine], timeoutMs: 60_000 },
    );
    if (code !== 0) return `status ${code}: ${stdout}${stderr}`;
    this.#learn(step.command, stdout);
    // The terminal asks for the code; here a file answers.
    const expected = step.expected
      .filter(line => !line.startsWith('code of your authenticator'))
      .map(line => this.#here(line));
    const line = missing(stdout + stderr, expected);
    return line === null ? null : `not printed: ${line}\n--- but:\n${stdout}${stderr}`;
  }

  async start(machine: Machine, step: Step): Promise<string | null> {
    const name = step.command.split(' ')[1]!;
    const actor = this.#stage.world.actor(
      name,
      spaces[machine],
      this.#shell(`exec ${this.#given(step.command)}`),
      this.#env[machine],
    );
    let lacks: string | null = '';
    const isReady = (): boolean => (lacks = missing(actor.log, step.expected)) === null;
    return await until(`${name} to say what the page says`, 30_000, isReady).then(
      () => null,
      () => `not printed: ${lacks}\n--- but:\n${actor.log}`,
    );
  }

  #shell(command: string): string[] {
    return ['sh', '-c', `cd '${this.#stage.path('')}' && ${command}`];
  }

  #given(command: string): string {
    let text = this.#here(command).replace(/\bID\b/, this.#id);
    if (/^sallyport (login|up)/.test(text)) text += ` --tun-device '${this.#stage.tunDevice}'`;
    if (!text.startsWith('sallyport login')) return text;
    const isBob = text.includes('--state bob');
    this.#stage.write('code', isBob ? this.#recovery.shift()! : this.#code());
    return `${text} --code-file code`;
  }

  /** One that was not used: Core takes each step once. */
  #code(): string {
    this.#lastStep = Math.max(this.#lastStep + 1, stepNow());
    return totp(this.#seed, this.#lastStep);
  }

  /** Names of the pages, and what they are here. */
  #here(text: string): string {
    return text
      .replaceAll(/DNS:(proxy|core)\.example/g, (_, which: 'proxy' | 'core') => `IP:${address[which]}`)
      .replaceAll('proxy.example', address.proxy)
      .replaceAll('core.example', address.core)
      .replaceAll('lab-gw.example', '192.0.2.9')
      .replaceAll('gw.example', address.gateway)
      .replaceAll('/etc/sallyport', this.#stage.path('').replace(/\/$/, ''));
  }

  /** What a person would carry from one machine to the next. */
  #learn(command: string, output: string): void {
    const token = /^(sp[je])_[\w-]{32}$/m.exec(output);
    if (token !== null) this.#stage.write(tokenFile(command), token[0]);
    this.#id = /^[ads]_[\w-]+/m.exec(output)?.[0] ?? this.#id;
    this.#seed = /secret=([A-Z2-7]+)/.exec(output)?.[1] ?? this.#seed;
    if (command.includes('user recovery'))
      this.#recovery = output.split('\n').filter(line => /^[\w-]{8,}$/.test(line));
  }
}

function tokenFile(command: string): string {
  if (command.includes('agent token')) return 'join-token';
  return command.includes('bob') ? 'bob-token' : 'device-token';
}

t.test('docs/ tells a story that can be followed', { skip }, async t => {
  const stage = await Stage.build({ staleAfter: 180, program, prefix: 'sd' });
  t.teardown(() => stage.close());
  const reader = new Reader(stage);
  for (const page of story) {
    const text = readFileSync(new URL(`../../docs/${page}.md`, import.meta.url), 'utf8');
    for (const block of blocksOf(text)) {
      if (block.kind === 'file') reader.write(block);
      if (block.kind !== 'console') continue;
      for (const step of block.steps) {
        const problem = block.background
          ? await reader.start(block.machine, step)
          : await reader.run(block.machine, step);
        t.equal(problem, null, `${page}: ${block.machine}: ${step.command}`);
        if (problem !== null) return; // what follows builds on it
      }
    }
  }
});
