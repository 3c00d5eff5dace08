import t from 'tap';
import { EventParser, SessionTruth, sessionLine } from '../../../src/client/daemon/session.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const info = { id: 's1', location: 'l1', expiresAt: 1_000_000, now: 400_000, stale: 180, idle: 0, claim: 60 };
const ended = 'event: ended\ndata: {"event":"ended","reason":"stale"}\n\n';

t.test('events are found whole, byte by byte, and with any line end', t => {
  const wanted = [{ event: 'ended', reason: 'stale' }];
  t.strictSame(new EventParser().feed(bytes(ended)), wanted);
  for (const text of [ended, ended.replaceAll('\n', '\r\n')]) {
    const parser = new EventParser();
    const found = [...bytes(text)].flatMap(byte => parser.feed(Uint8Array.of(byte)) ?? []);
    t.strictSame(found, wanted);
  }
  t.end();
});

t.test('comments, unknown events and malformed data are passed over', t => {
  const text = ': ping\n\nevent: news\ndata: {"event":"news"}\n\ndata: nonsense\n\n' + ended;
  t.strictSame(new EventParser().feed(bytes(text)), [{ event: 'ended', reason: 'stale' }]);
  t.end();
});

t.test('data over several lines is one text; an endless line ends the stream', t => {
  t.strictSame(new EventParser().feed(bytes('data: {"event":"warn",\ndata: "secondsLeft":120}\n\n')), [
    { event: 'warn', secondsLeft: 120 },
  ]);
  t.equal(new EventParser(100).feed(bytes('x'.repeat(101))), null);
  t.equal(new EventParser(100).feed(bytes(`${'x'.repeat(101)}\n`)), null);
  t.end();
});

t.test('the truth about a session: granted, warned, extended, ended', t => {
  const truth = new SessionTruth();
  t.match(truth.view, { phase: 'none' });
  t.equal(sessionLine(truth.view, 0), 'not logged in');
  truth.granted(info, 50_000);
  t.match(truth.view, { phase: 'live', id: 's1', expiresWallMs: 650_000, following: false });
  t.match(sessionLine(truth.view, 60_000), /no news from the server/);
  truth.following(true);
  t.match(sessionLine(truth.view, 60_000), /^logged in since 10 s, 10 min left$/);
  t.equal(truth.receive({ event: 'warn', secondsLeft: 120 }, 0), false);
  t.match(truth.view, { warnedSeconds: 120 });
  t.equal(truth.receive({ event: 'extended', session: { ...info, expiresAt: 2_000_000 } }, 50_000), false);
  t.match(truth.view, { expiresWallMs: 1_650_000 });
  t.equal(truth.receive({ event: 'ended', reason: 'revoked-admin' }, 70_000), true);
  t.match(sessionLine(truth.view, 70_000), /an administrator ended the session \(revoked-admin\)/);
  t.equal(truth.receive({ event: 'ended', reason: 'stale' }, 70_000), false, 'the first reason stays');
  t.end();
});

t.test('Core clock does not matter, only how long it says is left; the agreed end needs no messenger', t => {
  const truth = new SessionTruth();
  truth.granted({ ...info, now: 9_000_000_000, expiresAt: 9_000_060_000 }, 1000);
  t.equal(truth.tick(60_999), false);
  t.equal(truth.tick(61_000), true);
  t.match(truth.view, { phase: 'ended', reason: 'expired' });
  t.equal(truth.tick(99_000), false);
  t.end();
});

t.test('an end without a reason is told as such', t => {
  const truth = new SessionTruth();
  t.equal(truth.ended(null, 0), false);
  truth.granted(info, 1);
  t.equal(truth.ended(null, 2), true);
  t.equal(sessionLine(truth.view, 3), 'logged out: reason unknown');
  t.end();
});
