import t from 'tap';
import { check } from '../../../src/control/validate.ts';
import {
  beginEmail,
  codeMail,
  emailText,
  isEmailCode,
  masked,
  newEmailCode,
} from '../../../src/core/methods/email.ts';
import type { User } from '../../../src/core/store/people.ts';
import { bytesOf } from '../../../src/control/validate.ts';
import { seeded } from '../../fixtures/rng.ts';

const rng = seeded(7);
const random = (bytes: number): Uint8Array => rng.bytes(bytes);
const asked = { device: 'laptop <b>', location: 'office', source: '192.0.2.1', random };

t.test('addresses', async t => {
  for (const good of ['a@b', 'ada+vpn@mail.example.org', "o'neil@example.org"])
    t.ok(check(emailText, good).ok, good);
  for (const bad of [
    '',
    'ada',
    '@example.org',
    'ada@',
    'ada@-x',
    'ada@example.org, eve@example.org',
    'Ada <ada@example.org>',
    'ada@example.org\r\nBcc: eve@example.org',
    '"a b"@example.org',
    `${'a'.repeat(65)}@example.org`,
    `a@${'b'.repeat(260)}`,
  ])
    t.notOk(check(emailText, bad).ok, JSON.stringify(bad));
  t.equal(masked('ada@example.org'), 'a***@example.org');
});

t.test('codes: eight digits, spaces do not matter, nothing else passes', async t => {
  for (let i = 0; i < 1000; i++) t.match(newEmailCode(random), /^[0-9]{8}$/);
  t.equal(
    newEmailCode(() => bytesOf('AAAAAAAAAAE=')),
    '00000001',
    'zeros in front stay',
  );
  const right = new TextEncoder().encode('01234567');
  t.ok(isEmailCode(right, '01234567'));
  t.ok(isEmailCode(right, ' 0123 4567 '));
  for (const wrong of ['', '1234567', '01234568', '012345670', '0123456a', '٠١٢٣٤٥٦٧'])
    t.notOk(isEmailCode(right, wrong), wrong);
});

t.test('the message says where it was asked for; names cannot become markup', async t => {
  const { subject, text, html } = codeMail('ada@example.org', '01234567', asked);
  t.notMatch(subject, /\d/);
  for (const part of [text, html])
    for (const word of ['0123 4567', 'office', '192.0.2.1']) t.ok(part.includes(word));
  t.ok(text.includes('laptop <b>'));
  t.ok(html.includes('laptop &#60;b&#62;'));
});

t.test('what is begun', async t => {
  const user: User = {
    id: 'u',
    name: 'ada',
    groups: [],
    disabled: false,
    hasTotp: false,
    totpStep: 0,
    email: 'ada@example.org',
  };
  const begun = beginEmail(user, asked);
  t.match(begun.answer, /^[0-9]{8}$/);
  t.equal(begun.show, 'a code was sent to a***@example.org');
});
