// Codes by e-mail: eight digits, bound to one login. Pure: the message is text, and mailer.ts carries it.

import { pattern } from '../../control/validate.ts';
import type { Shape } from '../../control/validate.ts';
import { equalBytes } from '../../util/bytes.ts';
import type { User } from '../store/people.ts';
import type { Random } from '../ids.ts';
import type { Mail } from './mailer.ts';
import type { Asked, Begun } from './challenge.ts';

const addressForm = /^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$/;

/** No quotes, spaces or angle brackets: nothing that a header could be made of. */
export const emailText: Shape<string> = pattern(addressForm, 'an e-mail address', 254);

export function beginEmail(user: User, asked: Asked): Begun {
  const to = user.email!;
  const code = newEmailCode(asked.random);
  return {
    answer: code,
    show: `a code was sent to ${masked(to)}`,
    send: async (mailer, forMs) => (await mailer.send(codeMail(to, code, asked), forMs)) !== 'refused',
  };
}

/** 64 random bits for 27 bits of code: no digit is more likely by more than one part in 10^11. */
export function newEmailCode(random: Random): string {
  const bits = Buffer.from(random(8)).readBigUInt64BE();
  return String(bits % 100_000_000n).padStart(8, '0');
}

export function isEmailCode(right: Uint8Array, response: string): boolean {
  const code = response.replaceAll(' ', '');
  return /^[0-9]{8}$/.test(code) && equalBytes(right, new TextEncoder().encode(code));
}

/** "a***@example.org": enough for the owner to know the mailbox. */
export function masked(address: string): string {
  const at = address.lastIndexOf('@');
  return `${address.slice(0, 1)}***${address.slice(at)}`.slice(0, 150);
}

/** The code is not in the subject, which locked phones show. */
export function codeMail(to: string, code: string, { device, location, source }: Asked): Mail {
  const spaced = `${code.slice(0, 4)} ${code.slice(4)}`;
  const facts = [
    ['Device', device],
    ['Location', location],
    ['Asked from', source],
  ] as const;
  const notYou = 'If you did not ask for it, tell your administrator: the device may be in other hands.';
  const life = 'It is good for one login, for ten minutes.';
  return {
    to,
    subject: 'Your Sallyport login code',
    text: [
      `Your code: ${spaced}`,
      '',
      ...facts.map(([name, value]) => `${name}: ${value}`),
      '',
      life,
      notYou,
      '',
    ].join('\n'),
    html: [
      `<p>Your code: <b>${spaced}</b></p><p>`,
      facts.map(([name, value]) => `${name}: ${escaped(value)}`).join('<br>'),
      `</p><p>${life}<br>${notYou}</p>`,
    ].join(''),
  };
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`);
}
