// What a database that cannot work right now becomes: an error with a name, so that Core refuses by it, stays up and tries again.

import { PlainError } from '../../util/errors.ts';

export type TroubleCode = 'store-locked' | 'store-full' | 'store-read-only' | 'store-unreadable';

export class StoreTrouble extends PlainError {
  declare readonly code: TroubleCode;

  constructor(code: TroubleCode, cause: unknown) {
    super(code, texts[code], 1, cause);
    this.name = 'StoreTrouble';
  }
}

const texts: { readonly [code in TroubleCode]: string } = {
  'store-locked': 'the database is locked by another process: end it, or try again when it is done',
  'store-full': 'the disk of the database is full: make space on it',
  'store-read-only': 'the database cannot be written: check the rights and the mount of the data directory',
  'store-unreadable': 'the database cannot be read or written: check the disk of the data directory',
};

/** By SQLite's primary result codes: BUSY, LOCKED, READONLY, IOERR, FULL, CANTOPEN. */
const codes: ReadonlyMap<number, TroubleCode> = new Map([
  [5, 'store-locked'],
  [6, 'store-locked'],
  [8, 'store-read-only'],
  [10, 'store-unreadable'],
  [13, 'store-full'],
  [14, 'store-unreadable'],
]);

/** The trouble behind an error of node:sqlite; null for any other error. */
export function troubleOf(error: unknown): StoreTrouble | null {
  if (error instanceof StoreTrouble) return error;
  if (!(error instanceof Error) || !('errcode' in error)) return null;
  const code = codes.get(Number(error.errcode) & 0xff);
  return code === undefined ? null : new StoreTrouble(code, error);
}

/** False when the database could not do it. */
export function withoutTrouble(work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof StoreTrouble) return false;
    throw error;
  }
}
