// Enrolment of a device through a Proxy that need not be trusted. The one-time token never travels: from it both ends derive a
// ticket, by which Core finds the token, and a key for MACs over what is asked and what is answered. A Proxy that sees the
// ticket can neither register another device key with it nor hand out another proof key or gateway.

import { createHmac, hkdfSync } from 'node:crypto';
import { equalBytes, fromBase64, toBase64 } from '../../util/bytes.ts';
import type { EnrolAnswer, EnrolRequest } from '../clientapi/bodies.ts';
import { locationFields } from '../clientapi/bodies.ts';

export interface EnrolSecret {
  /** Base64 of 32 bytes. Says which token is meant, and nothing about the key. */
  readonly ticket: string;
  readonly key: Uint8Array;
}

/** What a token ("spe_…", 192 random bits) stands for. */
export function enrolSecret(token: string): EnrolSecret {
  const bytes = new Uint8Array(hkdfSync('sha256', token, new Uint8Array(0), 'sallyport enrolment v1', 64));
  return { ticket: toBase64(bytes.subarray(0, 32)), key: bytes.slice(32) };
}

/** The client's MAC: the holder of the token asks to register this key under this name. */
export function requestProof(key: Uint8Array, request: Omit<EnrolRequest, 'proof'>): string {
  return mac(key, ['request', request.ticket, request.devicePublicKey, request.name]);
}

/** Core's MAC over the whole answer, which is for this device key only. */
export function answerProof(key: Uint8Array, devicePublicKey: string, answer: EnrolAnswer): string {
  const { device, user, locations } = answer;
  return mac(key, ['answer', devicePublicKey, device, user, locations.map(locationFields)]);
}

/** Constant time in the proof. */
export function isProof(given: string, expected: string): boolean {
  const bytes = fromBase64(given);
  return bytes !== null && equalBytes(bytes, fromBase64(expected)!);
}

function mac(key: Uint8Array, fields: readonly unknown[]): string {
  return toBase64(new Uint8Array(createHmac('sha256', key).update(JSON.stringify(fields)).digest()));
}
