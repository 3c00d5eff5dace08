// An append-only file of changes since a state file was last written whole. One line is all that one flush takes: checksum and JSON.
// A line is written after the one before it is on the disk, so only the last one can be torn: a bad line before a good one is damage.

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { read, type Shape } from '../../control/validate.ts';
import { errorText, PlainError } from '../../util/errors.ts';
import { readPrivate, syncDirectory } from './statefile.ts';

const checksumLength = 16;

export interface JournalEntries<T> {
  readonly entries: readonly T[];
  /** How many entries stood before the last damaged line that a good one follows; 0 without damage. */
  readonly trusted: number;
  readonly damaged: boolean;
}

export function journalLine(content: unknown): string {
  const text = JSON.stringify(content);
  return `${checksum(text)} ${text}\n`;
}

/** Leaves out what is torn at the end, and says where lines before it are damaged. */
export function parseJournal<T>(text: string, shape: Shape<T>): JournalEntries<T> {
  const entries: T[] = [];
  let isBad = false;
  let damaged = false;
  let trusted = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const entry = parseLine(line, shape);
    if (entry === null) {
      isBad = true;
      continue;
    }
    if (isBad) {
      damaged = true;
      trusted = entries.length;
      isBad = false;
    }
    entries.push(entry);
  }
  return { entries, trusted, damaged };
}

export function readJournal<T>(
  path: string,
  shape: Shape<T>,
  warn: (message: string) => void,
): JournalEntries<T> {
  return parseJournal(readPrivate(path, warn) ?? '', shape);
}

/** Resolves when the line is on the disk. `isFirst` begins the file anew. */
export async function appendJournal(path: string, line: string, isFirst: boolean): Promise<void> {
  try {
    {
      await using file = await open(path, isFirst ? 'w' : 'a', 0o600);
      await file.writeFile(line);
      await file.datasync();
    }
    if (isFirst) syncDirectory(dirname(path));
  } catch (error) {
    throw new PlainError('state', `${path}: cannot be written: ${errorText(error)}`, 1, error);
  }
}

function parseLine<T>(line: string, shape: Shape<T>): T | null {
  const text = line.slice(checksumLength + 1);
  if (line !== `${checksum(text)} ${text}`) return null;
  const entry = read(shape, text);
  return entry.ok ? entry.value : null;
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, checksumLength);
}
