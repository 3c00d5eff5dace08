// Names Core makes up: ids of things, and one-time or session tokens of which only a hash is stored. Randomness is an
// argument, so that simulations run from a seed.

import { createHash } from 'node:crypto';

export type Random = (bytes: number) => Uint8Array;

const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789'; // 32 letters, none that look alike

/** `PREFIX_` and 100 random bits. */
export function newId(prefix: string, random: Random): string {
  let text = '';
  for (const byte of random(20)) text += alphabet[byte & 31]!;
  return `${prefix}_${text}`;
}

/** `spj_`, `spe_` or `sps_` and 192 random bits. */
export function newToken(prefix: 'spj' | 'spe' | 'sps', random: Random): string {
  return `${prefix}_${Buffer.from(random(24)).toString('base64url')}`;
}

/** For tokens and what is derived from them: 192 random bits, so a plain hash is enough. */
export function hashToken(token: string): string {
  return createHash('sha256').update(`sallyport token v1\0${token}`).digest('base64url');
}
