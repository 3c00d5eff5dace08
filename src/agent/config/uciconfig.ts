// From a UCI package to the agent's options: the same names and the same schema as everywhere (schema.ts), so UCI adds nothing
// but where a value stands. `config globals` holds defaults for each `config gateway NAME`; options that belong to the
// init script alone are known by name and passed over; anything else is told with the option it was probably meant to be.

import { readFileSync } from 'node:fs';
import { errorText, usageError } from '../../util/errors.ts';
import { agentOptions, closestOption } from './schema.ts';
import { parseUci, type UciFile, type UciSection } from './uci.ts';

export const uciFile = '/etc/config/sallyport';

/** What /etc/init.d/sallyport and the firewall need and the agent does not. */
const scriptOptions: ReadonlySet<string> = new Set([
  'enabled',
  'zone',
  'masquerade',
  'memory',
  'node',
  'jail',
  'open_port',
  'join_token_file',
]);

export interface UciValues {
  readonly origin: string;
  readonly values: Readonly<Record<string, string>>;
}

/** The values of one gateway: section `name`, or the only one that is enabled. Throws one line per problem. */
export function readUci(
  path: string,
  name: string | null,
  warn: (message: string) => void = () => {},
  readFile: (path: string) => string = file => readFileSync(file, 'utf8'),
): UciValues {
  let text: string;
  try {
    text = readFile(path);
  } catch (error) {
    throw usageError('uci', `${path}: cannot be read: ${errorText(error)}`);
  }
  const file = parseUci(text);
  for (const problem of file.problems) warn(`${path}: ${problem}`);
  return uciValues(file, path, name);
}

export function uciValues(file: UciFile, path: string, name: string | null): UciValues {
  const section = chosen(file, path, name);
  const globals = file.sections.filter(({ type }) => type === 'globals');
  const values: Record<string, string> = {};
  const problems: string[] = [];
  for (const source of [...globals, section]) {
    const at = `${path}: ${source.type}${source.name === null ? '' : ` '${source.name}'`}`;
    for (const [option, value] of source.options) {
      if (scriptOptions.has(option)) continue;
      if (!Object.hasOwn(agentOptions, option)) {
        const meant = closestOption(option);
        problems.push(`${at}: ${option}: unknown option${meant === null ? '' : `; did you mean ${meant}?`}`);
      } else values[option] = typeof value === 'string' ? value : value.join(' ');
    }
  }
  if (problems.length > 0) throw usageError('config', problems.join('\n'));
  return { origin: `${path}: gateway '${section.name ?? ''}'`, values };
}

function chosen(file: UciFile, path: string, name: string | null): UciSection {
  const gateways = file.sections.filter(({ type }) => type === 'gateway');
  if (name !== null) {
    const named = gateways.find(section => section.name === name);
    if (named !== undefined) return named;
    throw usageError('uci', `${path}: no section: config gateway '${name}'`);
  }
  const enabled = gateways.filter(({ options }) => isOn(options.get('enabled') ?? '1'));
  if (enabled.length === 1) return enabled[0]!;
  const what = enabled.length === 0 ? 'no enabled' : `${enabled.length} enabled`;
  throw usageError('uci', `${path}: ${what} sections of type gateway; name one with --section NAME`);
}

export function isOn(value: string | string[]): boolean {
  return typeof value === 'string' && ['1', 'on', 'true', 'yes', 'enabled'].includes(value);
}
