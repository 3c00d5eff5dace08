import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import t from 'tap';
import { interactive, methodFor, scripted, secretLines } from '../../src/client/prompt.ts';

const step = { methods: ['totp', 'recovery'], index: 1, of: 1 };

t.test('secrets come from files, one a line', t => {
  const dir = t.testdir({ codes: ' 123456 \r\n\nabcd-efgh\n' });
  t.strictSame(secretLines(join(dir, 'codes'), '--code-file'), ['123456', 'abcd-efgh']);
  t.throws(() => secretLines(join(dir, 'none'), '--code-file'), {
    code: 'unreadable',
    exit: 2,
    message: /--code-file/,
  });
  t.end();
});

t.test('digits are a code, anything longer a recovery code, unless told', t => {
  t.equal(methodFor(step, '123 456', undefined), 'totp');
  t.equal(methodFor(step, 'abcd-efgh-ijkl', undefined), 'recovery');
  t.equal(methodFor(step, '123456', 'email'), 'email');
  t.equal(methodFor({ ...step, methods: ['recovery'] }, '123456', undefined), 'recovery');
  t.end();
});

t.test('a script answers step by step and then says what is missing', async t => {
  const answer = scripted(['123456', 'abcd-efgh'], undefined);
  t.strictSame(await answer(step), { method: 'totp', response: '123456' });
  t.strictSame(await answer(step), { method: 'recovery', response: 'abcd-efgh' });
  await t.rejects(answer(step), { code: 'no-code', exit: 2, message: /step 1 of 1 wants totp or recovery/ });
});

t.test('a terminal is asked with what went wrong before, and may be left', async t => {
  let text = '';
  const output = new Writable({ write: (part, _, done) => ((text += String(part)), done()) });
  const terminal = { input: new PassThrough(), output };
  const ask = interactive(undefined, terminal);
  const first = ask(step, null);
  t.match(text, /code of your authenticator or recovery code: /);
  terminal.input.write('123456\n');
  t.strictSame(await first, { method: 'totp', response: '123456' });
  const second = ask({ ...step, index: 2, of: 2 }, 'the answer was not accepted');
  t.match(text, /not accepted\n.*step 2 of 2, /s);
  terminal.input.write('\n');
  t.equal(await second, null, 'an empty answer');
  const third = interactive('recovery', terminal)(step, null);
  terminal.input.end();
  t.equal(await third, null, 'the end of the input');
});

const challenge = { method: 'email', show: 'a code was sent to a***@example.org', expiresIn: 600 };

t.test('a code by e-mail is asked for by name, or by itself where there is no choice', async t => {
  const both = { ...step, methods: ['totp', 'recovery', 'email'] };
  const only = { ...step, methods: ['email'] };
  const request = { method: 'email', response: '' };
  t.equal(methodFor(both, '1234 5678', undefined), 'email');
  t.equal(methodFor(both, '123456', undefined), 'totp');
  t.equal(methodFor(both, 'abcd-efgh-ijkl', undefined), 'recovery');
  const script = scripted(['12345678'], undefined);
  t.strictSame(await script(only, null, null), request);
  t.strictSame(await script(only, null, challenge), { method: 'email', response: '12345678' });
  t.strictSame(await scripted([], 'email')(both, null, null), request);
  let text = '';
  const output = new Writable({ write: (part, _, done) => ((text += String(part)), done()) });
  const terminal = { input: new PassThrough(), output };
  t.strictSame(await interactive(undefined, terminal)(only, null, null), request);
  t.equal(text, '', 'nothing to ask');
  const asking = interactive(undefined, terminal)(both, null, null);
  t.match(text, /type "email" to have a code sent/);
  terminal.input.write('email\n');
  t.strictSame(await asking, request);
  const second = interactive(undefined, terminal)(both, null, challenge);
  t.match(text, /a code was sent to a\*\*\*@example\.org\n/);
  terminal.input.write('12345678\n');
  t.strictSame(await second, { method: 'email', response: '12345678' });
});
