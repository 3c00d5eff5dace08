// Settings of the servers: flag > environment > file > default, named in every error. A setting `foo-bar` is `--foo-bar`,
// `SALLYPORT_FOO_BAR`, and `fooBar` in the file. Secrets are never arguments (secrets.ts). Knows no file format: the parsed file is an
// argument.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { errorText, usageError } from '../util/errors.ts';
import { readSecret, readSecretFile } from './secrets.ts';
import type { TlsFiles } from './wire/server.ts';

export interface Sources {
  readonly args: readonly string[];
  /** A secret is deleted from it once read. */
  readonly env: Record<string, string | undefined>;
  /** Parses the file named by `--config`. */
  readonly parseFile: (text: string) => Record<string, unknown>;
  /** Hears of files that others may read. */
  readonly warn?: (message: string) => void;
}

type Kind = 'text' | 'switch' | 'list' | 'number' | 'secret';
export type Specs = Readonly<Record<string, Kind>>;

type ValueOf<K extends Kind> = K extends 'switch'
  ? boolean
  : K extends 'list'
    ? readonly string[]
    : K extends 'number'
      ? number | undefined
      : string | undefined;
export type Settings<S extends Specs> = { readonly [N in keyof S]: ValueOf<S[N]> };

export function readSettings<S extends Specs>(role: string, specs: S, sources: Sources): Settings<S> {
  const flags = readFlags(role, specs, sources.args);
  const path = flags.get('config')?.[0] ?? sources.env['SALLYPORT_CONFIG'];
  const file = path === undefined ? {} : readFile(role, specs, path, sources);
  const result: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(specs))
    result[name] =
      kind === 'secret'
        ? secret(name, flags, file, path, sources)
        : plain(name, kind, flags, file, path, sources.env);
  return result as Settings<S>;
}

/** "ADDRESS:PORT" or "[V6]:PORT" to listen on; port 0 asks for any. */
export function listenAddress(name: string, text: string): { host: string; port: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):([0-9]{1,5})$/.exec(text);
  if (parts === null || Number(parts[3]) > 65_535)
    throw usageError('bad-address', `${name} must be ADDRESS:PORT such as 127.0.0.1:8443, not "${text}"`);
  return { host: parts[1] ?? parts[2]!, port: Number(parts[3]) };
}

/** Traffic that does not leave this machine. `host` may be a URL's, which has brackets around IPv6. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127\.[0-9.]+$/.test(host);
}

/** The files that `NAME-cert` and `NAME-key` point at; undefined when neither is set. */
export function tlsFiles(
  name: string,
  cert: string | undefined,
  key: string | undefined,
): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined)
    throw usageError('half-tls', `${name}-cert and ${name}-key belong together: give both`);
  const tls = { cert: textFile(`${name}-cert`, cert), key: textFile(`${name}-key`, key) };
  // OpenSSL would say "no start line" without naming the file.
  const certificate = attempt(
    `${name}-cert: ${cert}: expected a certificate in PEM`,
    () => new X509Certificate(tls.cert),
  );
  const privateKey = attempt(`${name}-key: ${key}: expected a private key in PEM, without passphrase`, () =>
    createPrivateKey(tls.key),
  );
  if (!certificate.checkPrivateKey(privateKey))
    throw usageError(
      'bad-tls',
      `${name}-key: ${key}: expected the key of the certificate in ${cert}, and this is another`,
    );
  return tls;
}

/** The text of the file that a setting names. */
export function textFile(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw usageError('no-file', `${name}: ${path} cannot be read: ${errorText(cause)}`, cause);
  }
}

function attempt<T>(problem: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw usageError('bad-tls', problem, cause);
  }
}

function readFlags(role: string, specs: Specs, args: readonly string[]): Map<string, string[]> {
  const flags = new Map<string, string[]>();
  for (let i = 0; i < args.length; i++) {
    const [flag, inline] = split(args[i]!);
    const name = flag.slice(2);
    const secretFile = name.endsWith('-file') && specs[name.slice(0, -5)] === 'secret';
    const kind = name === 'config' || secretFile ? 'text' : specs[name];
    if (!flag.startsWith('--') || kind === undefined || kind === 'secret')
      throw unknownFlag(role, specs, flag, kind);
    if (kind === 'switch' && inline === undefined) {
      flags.set(name, ['true']);
      continue;
    }
    const value = inline ?? args[++i];
    if (value === undefined) throw usageError('flag-value', `${role}: ${flag} wants a value`);
    flags.set(name, kind === 'list' ? [...(flags.get(name) ?? []), value] : [value]);
  }
  return flags;
}

function unknownFlag(role: string, specs: Specs, flag: string, kind: Kind | undefined): Error {
  if (kind === 'secret')
    return usageError(
      'secret-argument',
      `${role}: a secret must not be an argument, which other users can see: use ${flag}-file FILE`,
    );
  const known = Object.keys(specs).map(name => `--${name}${specs[name] === 'secret' ? '-file' : ''}`);
  return usageError(
    'unknown-flag',
    `${role}: unknown argument "${flag}"; known are --config ${known.join(' ')}`,
  );
}

function split(arg: string): [string, string | undefined] {
  const equals = arg.indexOf('=');
  return arg.startsWith('--') && equals > 0
    ? [arg.slice(0, equals), arg.slice(equals + 1)]
    : [arg, undefined];
}

function readFile(role: string, specs: Specs, path: string, sources: Sources): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw usageError('no-config', `${role}: cannot read the configuration file ${path}`, cause);
  }
  let file: Record<string, unknown>;
  try {
    file = sources.parseFile(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : '';
    throw usageError('bad-config', `${path}: ${why}`, cause);
  }
  const known = new Set(
    Object.entries(specs).flatMap(([name, kind]) =>
      kind === 'secret' ? [camel(name), `${camel(name)}File`] : [camel(name)],
    ),
  );
  for (const key of Object.keys(file))
    if (!known.has(key))
      throw usageError('unknown-key', `${path}: unknown key "${key}"; known are ${[...known].join(', ')}`);
  return file;
}

function plain(
  name: string,
  kind: Kind,
  flags: Map<string, string[]>,
  file: Record<string, unknown>,
  path: string | undefined,
  env: Sources['env'],
): unknown {
  const flag = flags.get(name);
  const variable = env[environmentName(name)];
  const where =
    flag !== undefined
      ? `--${name}`
      : variable !== undefined
        ? environmentName(name)
        : `${path}: ${camel(name)}`;
  const value =
    flag ??
    (variable === undefined
      ? file[camel(name)]
      : kind === 'list'
        ? variable.split(',').map(item => item.trim())
        : [variable]);
  if (value === undefined) return kind === 'list' ? [] : kind === 'switch' ? false : undefined;
  const words = (Array.isArray(value) ? value : [value]) as unknown[];
  switch (kind) {
    case 'list':
      if (words.every(word => typeof word === 'string')) return words;
      throw usageError('bad-value', `${where} must be a text or a list of texts`);
    case 'switch':
      if (words[0] === true || words[0] === 'true' || words[0] === '1') return true;
      if (words[0] === false || words[0] === 'false' || words[0] === '0') return false;
      throw usageError('bad-value', `${where} must be true or false`);
    case 'number':
      if (words.length === 1 && /^[0-9]{1,12}$/.test(String(words[0]))) return Number(words[0]);
      throw usageError('bad-value', `${where} must be a whole number`);
    default:
      if (words.length === 1 && typeof words[0] === 'string' && words[0] !== '') return words[0];
      throw usageError('bad-value', `${where} must be a text`);
  }
}

function secret(
  name: string,
  flags: Map<string, string[]>,
  file: Record<string, unknown>,
  path: string | undefined,
  { env, warn }: Sources,
): string | undefined {
  const flag = flags.get(`${name}-file`)?.[0];
  if (flag !== undefined) return readSecretFile(`--${name}-file`, flag, warn);
  const key = camel(name);
  const [value, from] = [file[key], file[`${key}File`]];
  if (value !== undefined && from !== undefined)
    throw usageError('secret-twice', `${path} gives ${key} and ${key}File: keep one`);
  for (const text of [value, from])
    if (text !== undefined && typeof text !== 'string')
      throw usageError('bad-value', `${path}: ${key} must be a text`);
  const option = typeof from === 'string' ? `file:${from}` : (value as string | undefined);
  const sources = { environment: env, option, credential: name, ...(warn !== undefined && { warn }) };
  return readSecret(environmentName(name), sources) ?? undefined;
}

function environmentName(name: string): string {
  return `SALLYPORT_${name.toUpperCase().replaceAll('-', '_')}`;
}

function camel(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}
