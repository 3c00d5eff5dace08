// The story told step by step: each step has a name, a time budget and facts that were measured. For people a line per
// step; with --json one object per step, and nothing else, on standard output.

import { now } from './world.ts';

export type Facts = Record<string, string | number | boolean>;

export class Timeline {
  readonly #isJson: boolean;
  readonly #write: (line: string) => void;
  readonly #started = now();
  held = 0;

  constructor(options: { json: boolean; write?: (line: string) => void }) {
    this.#isJson = options.json;
    this.#write = options.write ?? (line => process.stdout.write(`${line}\n`));
  }

  /** Runs one step. A step that throws or outlasts its budget is shown as failed, and ends the story. */
  async step(name: string, budgetMs: number, act: () => Promise<Facts & { says: string }>): Promise<void> {
    const started = now();
    let timer: NodeJS.Timeout | undefined;
    try {
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`not done within ${budgetMs / 1000} s`)), budgetMs);
      });
      const { says, ...facts } = await Promise.race([act(), late]);
      this.#tell(name, true, now() - started, facts, says);
      this.held++;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#tell(name, false, now() - started, { error: message }, message);
      throw new StepFailed(name, error);
    } finally {
      clearTimeout(timer);
    }
  }

  note(text: string): void {
    if (!this.#isJson) this.#write(text);
  }

  #tell(step: string, ok: boolean, ms: number, facts: Facts, says: string): void {
    if (this.#isJson)
      return this.#write(JSON.stringify({ step, ok, ms: Math.round(ms * 10) / 10, ...facts }));
    const at = ((now() - this.#started) / 1000).toFixed(1).padStart(6);
    this.#write(`${at} s  ${ok ? 'ok    ' : 'FAILED'} ${step.padEnd(32)}${says}`);
  }
}

export class StepFailed extends Error {
  constructor(step: string, cause: unknown) {
    super(`step ${step} did not hold`, { cause });
    this.name = 'StepFailed';
  }
}

/** A claim of the story, with what was found instead when it does not hold. */
export function expect(claim: boolean, found: string): asserts claim {
  if (!claim) throw new Error(found);
}
