// Against a real SMTP server on loopback: taking, refusing, putting off, silent, with TLS and authentication.

import t from 'tap';
import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';
import type { SMTPServerOptions } from 'smtp-server';
import { createLog } from '../../../src/control/log.ts';
import { Mailer, mailServer } from '../../../src/core/methods/mailer.ts';
import type { MailerOptions } from '../../../src/core/methods/mailer.ts';
import { soon } from '../../fixtures/soon.ts';

const mail = {
  to: 'ada@example.org',
  subject: 'Your code',
  text: 'code 0123 4567',
  html: '<b>0123 4567</b>',
};

interface Post {
  readonly mailer: Mailer;
  readonly received: string[];
  readonly lines: string[];
}

async function post(t: Tap, server: SMTPServerOptions, more: Partial<MailerOptions> = {}): Promise<Post> {
  const received: string[] = [];
  const lines: string[] = [];
  const smtp = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, _session, done) {
      const parts: Buffer[] = [];
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('end', () => (received.push(Buffer.concat(parts).toString()), done()));
    },
    ...server,
  });
  smtp.on('error', () => {}); // lines that are cut
  await new Promise<void>(resolve => smtp.listen(0, '127.0.0.1', resolve));
  const { port } = smtp.server.address() as AddressInfo;
  const mailer = new Mailer({
    ...mailServer(`smtp://127.0.0.1:${port}`, 'vpn@example.org', false),
    log: createLog({ area: 'core', level: 'trace', write: line => lines.push(line) }),
    retryAfterMs: [1, 1],
    ...more,
  });
  t.teardown(async () => {
    mailer.close();
    await new Promise<void>(resolve => smtp.close(resolve));
  });
  return { mailer, received, lines };
}
type Tap = { teardown(fn: () => Promise<void>): void };

const answer = (responseCode: number): Error => Object.assign(new Error('no'), { responseCode });

t.test('a message arrives with both parts', async t => {
  const { mailer, received } = await post(t, {});
  t.equal(await mailer.send(mail, 60_000), 'sent');
  t.match(received[0], /^From: vpn@example\.org\r$/m);
  t.match(received[0], /^To: ada@example\.org\r$/m);
  t.match(received[0], /code 0123 4567/);
  t.match(received[0], /<b>0123 4567<\/b>/);
});

t.test('refused for good: told, not repeated, and the log has no address', async t => {
  let tries = 0;
  const { mailer, lines } = await post(t, {
    onRcptTo: (_to, _session, done) => (tries++, done(answer(550))),
  });
  t.equal(await mailer.send(mail, 60_000), 'refused');
  t.equal(tries, 1);
  t.match(lines.join(), /550/);
  t.notMatch(lines.join(), /ada@|4567/);
});

t.test('put off, as greylisting does: sent again', async t => {
  let tries = 0;
  const { mailer, received } = await post(t, {
    onRcptTo: (_to, _session, done) => (++tries < 3 ? done(answer(451)) : done()),
  });
  t.equal(await mailer.send(mail, 60_000), 'later');
  await soon(() => received.length === 1);
  t.equal(tries, 3);
});

t.test('put off for longer than the code is good: no retry', async t => {
  const { mailer } = await post(
    t,
    { onRcptTo: (_to, _session, done) => done(answer(451)) },
    { retryAfterMs: [60_000] },
  );
  t.equal(await mailer.send(mail, 59_000), 'refused');
});

t.test('a slow server does not hold the answer', async t => {
  let release = (): void => {};
  const { mailer, received } = await post(
    t,
    { onMailFrom: (_from, _session, done) => void (release = () => done()) },
    { answerWithinMs: 200 },
  );
  t.equal(await mailer.send(mail, 60_000), 'later');
  await soon(() => (release(), received.length === 1));
});

t.test('a server that is away: later, and the number of waiting messages is bounded', async t => {
  const { mailer } = await post(t, {}, { port: 1, retryAfterMs: [60_000] });
  for (let i = 0; i < 100; i++) t.equal(await mailer.send(mail, 600_000), 'later');
  t.equal(await mailer.send(mail, 600_000), 'refused');
});

t.test('STARTTLS that is wanted and not there stops the message; authentication is used', async t => {
  const plain = await post(t, {}, { tls: 'starttls', retryAfterMs: [] });
  t.equal(await plain.mailer.send(mail, 60_000), 'refused');
  t.strictSame(plain.received, []);
  const onAuth: NonNullable<SMTPServerOptions['onAuth']> = (auth, _session, done) =>
    auth.username === 'core' && auth.password === 'secret' ? done(null, { user: 'core' }) : done(answer(535));
  const guarded = { authOptional: false, allowInsecureAuth: true, onAuth };
  const right = await post(t, guarded, { user: 'core', password: 'secret' });
  t.equal(await right.mailer.send(mail, 60_000), 'sent');
  const wrong = await post(t, guarded, { user: 'core', password: 'guess' });
  t.equal(await wrong.mailer.send(mail, 60_000), 'refused');
  t.notMatch(wrong.lines.join(), /guess/);
});

t.test('what names a mail server', async t => {
  const from = 'vpn@example.org';
  t.match(mailServer('smtp://mail.example', from, false), { port: 587, tls: 'starttls' });
  t.match(mailServer('smtps://mail.example', from, false), { port: 465, tls: 'implicit' });
  t.match(mailServer('smtp://[::1]:25', from, false), { host: '::1', port: 25, tls: 'none' });
  t.match(mailServer('smtp://mail.example', from, true), { tls: 'none' });
  for (const bad of ['mail.example', 'http://mail.example', 'smtp://user:pw@mail.example'])
    t.throws(() => mailServer(bad, from, false), { code: 'bad-smtp', exit: 2 });
  t.throws(() => mailServer('smtp://mail.example', undefined, false), { code: 'no-sender' });
});
