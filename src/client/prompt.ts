// Prompt: where codes and tokens come from: the terminal, a file, or standard input. Never from an argument: arguments are
// visible to every process of the machine and stay in the shell's history.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { LoginStep, StepChallenge } from '../control/clientapi/bodies.ts';
import { errorText, usageError } from '../util/errors.ts';
import { atEnd } from '../util/scope.ts';
import type { Answer } from './signin.ts';

/** First lines of a file (`-` is standard input), without their line ends. */
export function secretLines(file: string, option: string): string[] {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8')
      .split(/\r?\n/)
      .map(line => line.trim())
      .filter(line => line !== '');
  } catch (error) {
    throw usageError('unreadable', `${option} ${file}: ${errorText(error)}`, error);
  }
}

/** Methods whose code is sent when they are chosen. */
const sentMethods: readonly string[] = ['email'];

/** The request for a code, where the step leaves no choice and none was sent yet. */
function request(
  step: LoginStep,
  wanted: string | undefined,
  challenge: StepChallenge | null,
): Answer | null {
  const only = wanted ?? (step.methods.length === 1 ? step.methods[0] : undefined);
  return challenge === null && only !== undefined && sentMethods.includes(only) && step.methods.includes(only)
    ? { method: only, response: '' }
    : null;
}

/** A method's name asks for its code; eight digits are a code that was sent, six one of an authenticator. */
export function methodFor(step: LoginStep, response: string, wanted: string | undefined): string {
  if (wanted !== undefined) return wanted;
  if (/^\d{8}$/.test(response.replaceAll(' ', '')) && step.methods.includes('email')) return 'email';
  const isCode = /^\d{6,8}$/.test(response.replaceAll(' ', ''));
  const fitting = step.methods.find(method => method !== 'email' && (method === 'recovery') !== isCode);
  return fitting ?? step.methods[0]!;
}

/** Answers from a list, one per step. */
export function scripted(
  lines: readonly string[],
  method: string | undefined,
): (step: LoginStep, again?: string | null, challenge?: StepChallenge | null) => Promise<Answer | null> {
  const left = [...lines];
  return (step, _again, challenge = null) => {
    const asked = request(step, method, challenge);
    if (asked !== null) return Promise.resolve(asked);
    const response = left.shift();
    if (response === undefined)
      return Promise.reject(
        usageError(
          'no-code',
          `step ${step.index} of ${step.of} wants ${step.methods.join(' or ')}: give one code per line`,
        ),
      );
    return Promise.resolve({ method: methodFor(step, response, method), response });
  };
}

type Terminal = { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream };

const names: Readonly<Record<string, string>> = {
  totp: 'code of your authenticator',
  recovery: 'recovery code',
  email: 'code by e-mail',
};

/** Asks on the terminal; an empty answer gives up. Questions go to stderr, so that --json output stays clean. */
export function interactive(
  method: string | undefined,
  terminal: Terminal = { input: process.stdin, output: process.stderr },
): (step: LoginStep, again: string | null, challenge?: StepChallenge | null) => Promise<Answer | null> {
  return async (step, again, challenge = null) => {
    const asked = request(step, method, challenge);
    if (asked !== null) return asked;
    const wanted = method === undefined ? step.methods : [method];
    const what = wanted.map(name => names[name] ?? name).join(' or ');
    if (again !== null) terminal.output.write(`${again}\n`);
    if (challenge !== null) terminal.output.write(`${challenge.show}\n`);
    else if (wanted.includes('email')) terminal.output.write('type "email" to have a code sent\n');
    const prefix = step.of > 1 ? `step ${step.index} of ${step.of}, ` : '';
    const response = await line(`${prefix}${what}: `, terminal);
    if (response === '') return null;
    if (sentMethods.includes(response) && wanted.includes(response))
      return { method: response, response: '' };
    return { method: methodFor(step, response, method), response };
  };
}

/** One line; an empty one when the input ends (Ctrl-D) or the person breaks off (Ctrl-C). */
async function line(question: string, { input, output }: Terminal): Promise<string> {
  const asking = createInterface({ input, output });
  const broken = new Promise<string>(resolve => asking.once('close', () => resolve('')));
  using _end = atEnd(() => asking.close());
  return (await Promise.race([asking.question(question), broken])).trim();
}
