// Secrets from outside: `NAME` (or `NAME=file:/path`), `NAME_FILE=/path`, a configuration value in the same two forms, and
// systemd's $CREDENTIALS_DIRECTORY. Two sources at once is an error, not a guess. Never from the command line, where `ps`
// shows it. Files are read anew at each call, so a rotated one is seen.

import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { errorText, usageError } from '../util/errors.ts';

export type SecretSources = {
  /** The environment; the value is deleted from it once read, lest children or reports see it. */
  readonly environment: Record<string, string | undefined>;
  /** Value of the configuration file's option, if any; may begin with `file:`. */
  readonly option?: string | undefined;
  /** File name below $CREDENTIALS_DIRECTORY, for example `token`. */
  readonly credential?: string;
  /** Called with one line about a file others may read. */
  readonly warn?: (message: string) => void;
};

const longestBytes = 65536;

/** The secret called `name` (an environment variable name), or null when no source has it. */
export function readSecret(name: string, sources: SecretSources): string | null {
  const { environment, option, credential } = sources;
  const found: { from: string; read: () => string }[] = [];
  const value = environment[name];
  const file = environment[`${name}_FILE`];
  const warn = sources.warn ?? (() => {});
  if (value !== undefined && value !== '') found.push({ from: name, read: () => resolve(name, value, warn) });
  if (file !== undefined && file !== '')
    found.push({ from: `${name}_FILE`, read: () => readSecretFile(`${name}_FILE`, file, warn) });
  if (found.length === 0 && option !== undefined && option !== '')
    found.push({ from: 'the configuration', read: () => resolve(`option for ${name}`, option, warn) });
  const directory = environment['CREDENTIALS_DIRECTORY'];
  if (credential !== undefined && directory !== undefined && existsSync(join(directory, credential))) {
    const path = join(directory, credential);
    found.push({
      from: `$CREDENTIALS_DIRECTORY/${credential}`,
      read: () => readSecretFile(path, path, warn),
    });
  }
  if (found.length > 1)
    throw usageError(
      'secret-twice',
      `${name} is given twice, by ${found[0]!.from} and by ${found[1]!.from}; keep one`,
    );
  const secret = found[0]?.read() ?? null;
  if (value !== undefined) delete environment[name];
  return secret;
}

/** A value that may be `file:/path`. */
function resolve(what: string, value: string, warn: (message: string) => void): string {
  return value.startsWith('file:') ? readSecretFile(what, value.slice(5), warn) : value;
}

/** The content without one final newline. `what` names the setting in messages; the content never appears in any. */
export function readSecretFile(
  what: string,
  path: string,
  warn: (message: string) => void = () => {},
): string {
  let text: string;
  try {
    const { mode, size } = statSync(path);
    if (size > longestBytes) throw new Error(`larger than ${longestBytes} bytes`);
    if ((mode & 0o077) !== 0 && (mode & 0o170000) === 0o100000)
      warn(`${what}: ${path} is open to other users (mode ${(mode & 0o777).toString(8)}); chmod 600 it`);
    text = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw usageError('secret-file', `${what}: cannot read ${path}: ${errorText(error)}`, error);
  }
  if (text === '') throw usageError('secret-empty', `${what}: ${path} is empty; expected the secret in it`);
  return text;
}
