// TOTP (RFC 6238) as every authenticator app does it: HMAC-SHA-1, six digits, 30 seconds, one step to either side. Pure: the
// clock is an argument, and which step was used last is the store's to remember.

import { createHmac } from 'node:crypto';
import { equalBytes } from '../../util/bytes.ts';

const stepMs = 30_000;
const window = 1;
export const totpSeedBytes = 20; // RFC 4226 section 4, R6

export function totpCode(seed: Uint8Array, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', seed).update(counter).digest();
  const at = mac[19]! & 15; // dynamic truncation, RFC 4226 section 5.3
  return String((mac.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

export function totpStep(now: number): number {
  return Math.floor(now / stepMs);
}

/** The step a code is right for and that is later than `lastStep`, or null. Looks at the whole window every time. */
export function matchTotp(seed: Uint8Array, response: string, now: number, lastStep: number): number | null {
  const code = response.replaceAll(' ', '');
  if (!/^[0-9]{6}$/.test(code)) return null;
  const given = Buffer.from(code);
  let found: number | null = null;
  for (let step = totpStep(now) - window; step <= totpStep(now) + window; step++) {
    const isRight = equalBytes(Buffer.from(totpCode(seed, step)), given);
    if (isRight && step > lastStep) found ??= step;
  }
  return found;
}

/** For a QR code or an app's text field. */
export function otpauthUri(user: string, issuer: string, seed: Uint8Array): string {
  const name = `${encodeURIComponent(issuer)}:${encodeURIComponent(user)}`;
  return `otpauth://totp/${name}?secret=${base32(seed)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=6&period=30`;
}

/** RFC 4648 base32 without padding, as apps expect it. */
export function base32(bytes: Uint8Array): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += alphabet[(held >> bits) & 31]!;
    }
  }
  if (bits > 0) text += alphabet[(held << (5 - bits)) & 31]!;
  return text;
}
