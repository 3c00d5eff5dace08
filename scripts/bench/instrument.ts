// A measuring program that stays up between measurements, so that its start and its compiling happen before they count:
// one line on stdin asks, one line of JSON on stdout answers.

import type { Namespace, Running } from '../../test/fixtures/lab/netns.ts';
import { node26 } from '../../test/fixtures/lab/tunnels.ts';

const patienceMs = 30_000;

export class Instrument {
  readonly #program: string;
  readonly #running: Running;
  readonly #waiting: { resolve(line: string): void; reject(error: Error): void }[] = [];
  #partial = '';

  constructor(namespace: Namespace, program: string, args: readonly string[]) {
    this.#program = program;
    const file = new URL(`${program}.ts`, import.meta.url).pathname;
    const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
    this.#running = namespace.start(node26, [...flags, file, ...args], { input: true });
    this.#running.child.stdout!.on('data', (text: string) => this.#take(text));
    void this.#running.ended.then(() => this.#fail('ended'));
  }

  /** The answer to a line, or to nothing: the line a program prints once it is ready. */
  ask<T>(line?: string): Promise<T> {
    if (!this.#running.isAlive) throw this.#error('is not running');
    if (line !== undefined) this.#running.child.stdin!.write(`${line}\n`);
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => this.#fail('did not answer'), patienceMs);
      this.#waiting.push({
        resolve: text => {
          clearTimeout(timer);
          resolve(JSON.parse(text) as T);
        },
        reject: error => {
          clearTimeout(timer);
          reject(error);
        },
      });
    });
  }

  stop(): Promise<void> {
    return this.#running.stop(500);
  }

  #take(text: string): void {
    const lines = (this.#partial + text).split('\n');
    this.#partial = lines.pop()!;
    for (const line of lines) this.#waiting.shift()?.resolve(line);
  }

  #fail(what: string): void {
    for (const one of this.#waiting.splice(0)) one.reject(this.#error(what));
  }

  #error(what: string): Error {
    return new Error(`${this.#program} ${what}: ${this.#running.stderr.slice(-500).trim()}`);
  }
}
