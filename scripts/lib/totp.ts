// The codes an authenticator shows (RFC 6238: SHA-1, six digits, 30 seconds), for the demo's person.

import { createHmac } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** `secret` in base32, as it stands in an otpauth: address; `step` is unix time over 30 s. */
export function totp(secret: string, step: number): string {
  let bits = '';
  for (const letter of secret.toUpperCase().replace(/=+$/, '')) {
    const value = alphabet.indexOf(letter);
    if (value < 0) throw new Error('a seed is base32');
    bits += value.toString(2).padStart(5, '0');
  }
  const key = Buffer.from(bits.match(/.{8}/g)!.map(byte => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const digest = createHmac('sha1', key).update(counter).digest();
  const at = digest[19]! & 15;
  return String((digest.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

export function stepNow(): number {
  return Math.floor(Date.now() / 30_000);
}
