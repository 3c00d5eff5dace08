import t from 'tap';
import { Watchers } from '../../../src/core/sessions/watchers.ts';

const warn = { event: 'warn', secondsLeft: 60 } as const;

t.test('whoever watches hears, until they stop or it is over', async t => {
  const watchers = new Watchers();
  const heard: string[] = [];
  const stop = watchers.add('s1', () => heard.push('a'))!;
  watchers.add('s1', () => heard.push('b'));
  watchers.add('s2', () => heard.push('of another session'));
  watchers.tell('s1', warn);
  t.strictSame(heard, ['a', 'b']);
  stop();
  stop();
  watchers.tell('s1', warn);
  t.strictSame(heard, ['a', 'b', 'b']);
  watchers.forget('s1');
  watchers.tell('s1', warn);
  t.equal(heard.length, 3);
});

t.test('one that stops while it is told does not disturb the others', async t => {
  const watchers = new Watchers();
  const heard: string[] = [];
  const stop = watchers.add('s1', () => {
    heard.push('a');
    stop();
  })!;
  watchers.add('s1', () => heard.push('b'));
  watchers.tell('s1', warn);
  watchers.tell('s1', warn);
  t.strictSame(heard, ['a', 'b', 'b']);
});

t.test('a few for each session; and one who stops late leaves a newer one alone', async t => {
  const watchers = new Watchers();
  const stops = Array.from({ length: 8 }, () => watchers.add('s1', () => undefined));
  t.notOk(stops.includes(null));
  t.equal(
    watchers.add('s1', () => undefined),
    null,
  );
  t.type(
    watchers.add('s2', () => undefined),
    'function',
  );
  stops[0]!();
  t.not(
    watchers.add('s1', () => undefined),
    null,
  );

  const old = watchers.add('s3', () => undefined)!;
  watchers.forget('s3');
  let heard = 0;
  watchers.add('s3', () => heard++);
  old();
  watchers.tell('s3', warn);
  t.equal(heard, 1);
});
