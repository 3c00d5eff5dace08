// Small files that must survive a power cut: written aside, flushed, renamed, readable by their owner only. What is read
// back is checked against a shape like anything else from outside; a file we cannot understand is an error that names it,
// never silently replaced.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { read, type Shape } from '../../control/validate.ts';
import { errorText, PlainError } from '../../util/errors.ts';
import { atEnd } from '../../util/scope.ts';

/** Null when there is no such file. `warn` hears of a file others may read. */
export function readState<T>(path: string, shape: Shape<T>, warn: (message: string) => void): T | null {
  const text = readPrivate(path, warn);
  if (text === null) return null;
  const result = read(shape, text);
  if (result.ok) return result.value;
  throw new PlainError(
    'state',
    `${path}: not a state file of this version (${result.error}): restore it, or move it away to start anew`,
  );
}

/** The text of a file that its owner alone should read; null when there is none. */
export function readPrivate(path: string, warn: (message: string) => void): string | null {
  try {
    const text = readFileSync(path, 'utf8');
    const mode = statSync(path).mode & 0o777;
    if ((mode & 0o077) !== 0)
      warn(
        `${path} is open to other users (mode ${mode.toString(8)}): chmod 600 it and think about who read it`,
      );
    return text;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new PlainError('state', `${path}: cannot be read: ${errorText(error)}`, 1, error);
  }
}

/** Resolves when the content is on the disk under its name. */
export async function writeState(path: string, content: unknown): Promise<void> {
  const aside = `${path}.new`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    {
      await using file = await open(aside, 'w', 0o600);
      await file.writeFile(`${JSON.stringify(content)}\n`);
      await file.sync();
    }
    await rename(aside, path);
    syncDirectory(dirname(path));
  } catch (error) {
    throw new PlainError('state', `${path}: cannot be written: ${errorText(error)}`, 1, error);
  }
}

/** The rename itself must reach the disk too. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  using _end = atEnd(() => closeSync(fd));
  fsyncSync(fd);
}
