// Recovery codes: ten at a time, 60 bits each, single use, stored only as hashes. They are random enough that a slow hash
// would add nothing but load.

import { createHash } from 'node:crypto';
import type { Random } from '../ids.ts';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'; // Crockford's base32: 1 and l, 0 and o are the same to a person

export function newRecoveryCodes(random: Random, number = 10): string[] {
  return Array.from({ length: number }, () => {
    const letters = Array.from(random(12), byte => alphabet[byte & 31]!).join('');
    return `${letters.slice(0, 4)}-${letters.slice(4, 8)}-${letters.slice(8)}`;
  });
}

/** Null when the text cannot be a recovery code. Case, dashes and look-alikes do not matter. */
export function hashRecoveryCode(user: string, text: string): string | null {
  const letters = text.toLowerCase().replace(/[\s-]/g, '').replace(/[il]/g, '1').replace(/o/g, '0');
  if (!/^[0-9a-hjkmnp-tv-z]{12}$/.test(letters)) return null;
  return createHash('sha256').update(`sallyport recovery v1\0${user}\0${letters}`).digest('base64url');
}
