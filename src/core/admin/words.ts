// The words of an administrator's command: positional arguments and `--options`, checked against what the verb knows.

import { usageError } from '../../util/errors.ts';

export interface Words {
  readonly positions: readonly string[];
  readonly options: ReadonlyMap<string, string>;
}

/** `known` maps an option to whether it takes a value. */
export function readWords(
  verb: string,
  args: readonly string[],
  positions: readonly string[],
  known: Readonly<Record<string, boolean>>,
): Words {
  const found: string[] = [];
  const options = new Map<string, string>();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (!arg.startsWith('--')) {
      found.push(arg);
      continue;
    }
    const equals = arg.indexOf('=');
    const name = equals < 0 ? arg.slice(2) : arg.slice(2, equals);
    if (!Object.hasOwn(known, name))
      throw usageError('unknown-option', `core ${verb}: unknown option --${name}${list(known)}`);
    if (known[name] !== true) {
      const state = equals < 0 ? 'true' : arg.slice(equals + 1);
      if (state !== 'true' && state !== 'false')
        throw usageError(
          'option-value',
          `core ${verb}: --${name} is a switch: true or false, not "${state}"`,
        );
      options.set(name, state);
      continue;
    }
    const value = equals < 0 ? args[++i] : arg.slice(equals + 1);
    if (value === undefined) throw usageError('option-value', `core ${verb}: --${name} wants a value`);
    options.set(name, value);
  }
  const needed = positions.filter(name => !name.startsWith('['));
  if (found.length < needed.length || found.length > positions.length)
    throw usageError(
      'arguments',
      `usage: sallyport core ${verb} ${positions.join(' ')}${Object.keys(known)
        .map(name => ` [--${name}${known[name] === true ? ' …' : ''}]`)
        .join('')}`,
    );
  return { positions: found, options };
}

export function switchOption(words: Words, name: string): boolean | undefined {
  const text = words.options.get(name);
  return text === undefined ? undefined : text === 'true';
}

/** How long a token lives, in milliseconds: a day unless told otherwise, at most a year. */
export function hoursOption(words: Words): number {
  const hours = numberOption(words, 'hours', 'hours') ?? 24;
  if (hours < 1 || hours > 8760)
    throw usageError('bad-number', `--hours must be from 1 to 8760, not ${hours}`);
  return hours * 3600_000;
}

export function numberOption(words: Words, name: string, unit: string): number | undefined {
  const text = words.options.get(name);
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text))
    throw usageError('bad-number', `--${name} must be a whole number of ${unit}, not "${text}"`);
  return Number(text);
}

export function listOption(words: Words, name: string): string[] | undefined {
  return words.options
    .get(name)
    ?.split(',')
    .map(item => item.trim())
    .filter(item => item !== '');
}

function list(known: Readonly<Record<string, boolean>>): string {
  const names = Object.keys(known);
  return names.length === 0
    ? ', this verb has none'
    : `; known are ${names.map(name => `--${name}`).join(' ')}`;
}
