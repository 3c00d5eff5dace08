// The agent's configuration: flag > environment > file > UCI > default. Every bad value is one line with its place, the value, what was
// expected and an example; all of them are reported at once. Secrets take no flags. The options are in schema.ts; this file knows only
// sources.

import { hostname } from 'node:os';
import { readFileSync } from 'node:fs';
import { parse as parseToml, TomlError } from 'smol-toml';
import { readSecret } from '../../control/secrets.ts';
import { isLoopback } from '../../control/settings.ts';
import { errorText, usageError } from '../../util/errors.ts';
import { readUci } from './uciconfig.ts';
import type { Form } from './optiontypes.ts';
import {
  type AgentSettings,
  agentOptions,
  closestOption,
  type Option,
  type OptionName,
  optionNames,
} from './schema.ts';

export type AgentConfig = AgentSettings & { readonly file: string | null };

export interface ConfigSources {
  readonly args: readonly string[];
  /** Secrets are deleted from it once read. */
  readonly environment: Record<string, string | undefined>;
  readonly readFile?: (path: string) => string;
  /** Lower than the file: options of a UCI section, by our names, and where they stand. */
  readonly uci?: { readonly origin: string; readonly values: Readonly<Record<string, string>> };
  readonly warn?: (message: string) => void;
}

export const defaultFile = '/etc/sallyport/agent.toml';

type Settings = { -readonly [N in OptionName]: AgentSettings[N] };

/** One place values come from; `at` names where a value stands, for messages. */
interface Source {
  readonly has: (name: OptionName) => boolean;
  readonly parse: (name: OptionName, form: Form<unknown>) => ReturnType<Form<unknown>['text']>;
  readonly at: (name: OptionName) => string;
}

export function loadConfig(sources: ConfigSources): AgentConfig {
  const problems: string[] = [];
  const flags = parseFlags(sources.args, problems);
  const file = flags.file ?? sources.environment['SALLYPORT_CONFIG'] ?? null;
  const toml = file === null ? null : readToml(file, sources.readFile ?? readText, problems);
  checkEnvironment(sources.environment, problems);
  const order = [flags.source, environmentSource(sources.environment)];
  if (toml !== null) order.push(toml.source);
  const uciPath = flags.uci ?? sources.environment['SALLYPORT_UCI'];
  const section = flags.section ?? sources.environment['SALLYPORT_SECTION'] ?? null;
  const uci =
    sources.uci ??
    (uciPath === undefined || uciPath === ''
      ? undefined
      : readUci(uciPath, section, sources.warn, sources.readFile));
  if (uci !== undefined) order.push(textSource(uci.values, name => `${uci.origin}: ${name}`));

  const settings = {} as Settings; // filled completely by the loop
  for (const name of optionNames) {
    const option: Option<unknown> = agentOptions[name];
    settings[name] = option.fallback as never;
    if (option.secret === true) continue;
    const source = order.find(candidate => candidate.has(name));
    if (source === undefined) continue;
    const parsed = source.parse(name, option.form);
    if (parsed.ok) settings[name] = parsed.value as never;
    else problems.push(`${source.at(name)}: expected ${parsed.expected}; for example ${option.example}`);
  }
  if (problems.length === 0)
    readToken(settings, sources, toml?.values['join_token'] ?? uci?.values['join_token'], problems);
  if (problems.length === 0) checkTogether(settings, problems);
  if (settings.name === '') settings.name = hostname().slice(0, 100);
  if (problems.length > 0) throw usageError('config', problems.join('\n'));
  return { ...settings, file };
}

/** `listen_port` → `SALLYPORT_LISTEN_PORT`. */
export function variableOf(name: OptionName): string {
  return `SALLYPORT_${name.toUpperCase()}`;
}

/** What a HUP cannot change in a running agent. */
export function fixedChanges(before: AgentSettings, after: AgentSettings): OptionName[] {
  return optionNames.filter(name => {
    const option: Option<unknown> = agentOptions[name];
    return option.fixed === true && JSON.stringify(before[name]) !== JSON.stringify(after[name]);
  });
}

function checkTogether({ core_url, allow_plain }: AgentSettings, problems: string[]): void {
  if (core_url === '')
    problems.push(
      "core_url: missing; expected where Core listens for agents, such as 'https://core.example:8443'",
    );
  else if (core_url.startsWith('http:') && !allow_plain && !isLoopback(new URL(core_url).hostname))
    problems.push(
      `core_url: ${core_url}: expected https:// to another machine (allow_plain = true only for tests)`,
    );
}

function readToken(settings: Settings, sources: ConfigSources, option: unknown, problems: string[]): void {
  if (option !== undefined && typeof option !== 'string') {
    problems.push('join_token: expected text in quotes; for example "file:/run/secrets/join-token"');
    return;
  }
  const token = readSecret(variableOf('join_token'), {
    environment: sources.environment,
    option,
    credential: 'join_token',
    ...(sources.warn !== undefined && { warn: sources.warn }),
  });
  if (token === null) return;
  const parsed = agentOptions.join_token.form.text(token);
  // The value itself stays out of the message.
  if (!parsed.ok)
    problems.push(`join_token: expected ${parsed.expected}, as "core agent token LOCATION" prints it`);
  else settings.join_token = token;
}

/** Flags that name where options stand; they are no options themselves. */
const placeFlags: readonly string[] = ['config', 'uci', 'section'];

function parseFlags(
  args: readonly string[],
  problems: string[],
): { source: Source; file: string | null; uci: string | null; section: string | null } {
  const values: Partial<Record<OptionName, string>> = {};
  const places: Record<string, string> = {};
  for (let i = 0; i < args.length; i++) {
    const match = /^--([a-z0-9][a-z0-9-]*)(?:=(.*))?$/s.exec(args[i]!);
    if (match === null) {
      problems.push(`unexpected argument '${args[i]}': expected --config FILE or --OPTION VALUE`);
      continue;
    }
    const [, flag, inline] = match;
    const name = flag!.replaceAll('-', '_');
    const isPlace = placeFlags.includes(name);
    if (!isPlace && !isOption(name)) {
      problems.push(`--${flag}: unknown option${suggestion(name, word => `--${word.replaceAll('_', '-')}`)}`);
      if (inline === undefined && args[i + 1]?.startsWith('--') === false) i++;
      continue;
    }
    if (!isPlace && (agentOptions[name as OptionName] as Option<unknown>).secret === true) {
      problems.push(
        `--${flag}: a secret on the command line shows in ps; use ${variableOf(name as OptionName)}_FILE=/path`,
      );
      if (inline === undefined) i++;
      continue;
    }
    const value = inline ?? args[++i];
    if (value === undefined) problems.push(`--${flag}: a value is missing`);
    else if (isPlace) places[name] = value;
    else values[name as OptionName] = value;
  }
  const source = textSource(values, name => `--${name.replaceAll('_', '-')} ${values[name]}`);
  return {
    source,
    file: places['config'] ?? null,
    uci: places['uci'] ?? null,
    section: places['section'] ?? null,
  };
}

function environmentSource(environment: Readonly<Record<string, string | undefined>>): Source {
  const values: Partial<Record<OptionName, string>> = {};
  for (const name of optionNames) {
    const value = environment[variableOf(name)];
    if (value !== undefined && value !== '') values[name] = value;
  }
  return textSource(values, name => `${variableOf(name)}='${values[name]}'`);
}

/** A misspelt variable would be ignored in silence; other roles have theirs, so only close relatives are told. */
function checkEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  problems: string[],
): void {
  for (const variable of Object.keys(environment)) {
    if (!variable.startsWith('SALLYPORT_')) continue;
    const name = variable
      .slice(10)
      .toLowerCase()
      .replace(/_file$/, '');
    if (isOption(name) || isOption(variable.slice(10).toLowerCase())) continue;
    const meant = closestOption(name);
    if (meant !== null) problems.push(`${variable}: unknown variable; did you mean ${variableOf(meant)}?`);
  }
}

function textSource(
  values: Readonly<Partial<Record<string, string>>>,
  at: (name: OptionName) => string,
): Source {
  return {
    has: name => values[name] !== undefined,
    parse: (name, form) => form.text(values[name]!),
    at,
  };
}

function readToml(
  file: string,
  readFile: (path: string) => string,
  problems: string[],
): { source: Source; values: Readonly<Record<string, unknown>> } | null {
  let text: string;
  let written: Record<string, unknown>;
  try {
    text = readFile(file);
  } catch (error) {
    problems.push(`${file}: cannot be read: ${errorText(error)}`);
    return null;
  }
  try {
    written = parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const [what] = error.message.split('\n');
    problems.push(`${file}:${error.line}:${error.column}: ${what}`);
    return null;
  }
  const lines = text.split('\n');
  const place = (name: string): string => {
    const line = lines.findIndex(candidate =>
      new RegExp(`^\\s*\\[?\\s*["']?${escape(name)}["']?\\s*[=\\].]`).test(candidate),
    );
    return line < 0 ? file : `${file}:${line + 1}`;
  };
  // The servers' files write listen-port, UCI can only write listen_port: here both are right.
  const values: Record<string, unknown> = {};
  const spelling: Record<string, string> = {};
  for (const [word, given] of Object.entries(written)) {
    let name = word.replaceAll('-', '_');
    let value = given;
    if (name === 'join_token_file') {
      name = 'join_token';
      if (typeof given === 'string') value = `file:${given}`;
    }
    if (!isOption(name))
      problems.push(`${place(word)}: ${word}: unknown option${suggestion(name, option => option)}`);
    else if (spelling[name] !== undefined)
      problems.push(`${place(word)}: ${word}: given twice, as ${spelling[name]} too`);
    values[name] = value;
    spelling[name] = word;
  }
  return {
    values,
    source: {
      has: name => values[name] !== undefined,
      parse: (name, form) => form.value(values[name]),
      at: name => `${place(spelling[name]!)}: ${spelling[name]} = ${JSON.stringify(values[name])}`,
    },
  };
}

function isOption(name: string): name is OptionName {
  return Object.hasOwn(agentOptions, name);
}

function suggestion(name: string, spell: (option: string) => string): string {
  const meant = closestOption(name);
  return meant === null ? '' : `; did you mean ${spell(meant)}?`;
}

function escape(text: string): string {
  return text.replace(/[^A-Za-z0-9_]/g, '\\$&');
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
