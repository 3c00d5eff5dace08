import t from 'tap';
import { Answers } from '../../../src/core/sessions/answers.ts';

t.test('one is enough, where one is enough', async t => {
  const answers = new Answers();
  const answer = answers.wait('s1', 'one', ['a', 'b'], 5000);
  answers.granted('s1', 'stranger'); // was not asked
  answers.granted('s2', 'a'); // of another session
  answers.refused('s1', 'b', 'expired');
  answers.granted('s1', 'a');
  t.equal(await answer, 'acked');
});

t.test('all have to answer, where all are wanted, and those who refuse are not waited for', async t => {
  const answers = new Answers();
  let said: string | null = null;
  const answer = answers.wait('s1', 'all', ['a', 'b', 'c'], 5000).then(what => (said = what));
  answers.granted('s1', 'a');
  answers.granted('s1', 'a'); // twice is once
  await Promise.resolve();
  t.equal(said, null);
  answers.refused('s1', 'b', 'expired');
  await Promise.resolve();
  t.equal(said, null);
  answers.granted('s1', 'c');
  t.equal(await answer, 'acked');

  const other = answers.wait('s2', 'all', ['a', 'b'], 5000);
  answers.granted('s2', 'a');
  answers.refused('s2', 'b', 'expired');
  t.equal(await other, 'acked', 'the refusal was the last to come');
});

t.test('when all refuse, the last refusal is the answer', async t => {
  const answers = new Answers();
  const answer = answers.wait('s1', 'one', ['a', 'b'], 5000);
  answers.refused('s1', 'stranger', 'expired');
  answers.refused('s1', 'a', 'expired');
  answers.refused('s1', 'b', 'busy');
  t.equal(await answer, 'busy');
});

t.test('time, and the end of the session', async t => {
  const answers = new Answers();
  const late = answers.wait('s1', 'one', ['a'], 5000);
  const ended = answers.wait('s2', 'one', ['a'], 6000);
  answers.tick(4999);
  answers.tick(5000);
  t.equal(await late, 'timeout');
  answers.ended('s2');
  t.equal(await ended, 'ended');
  answers.granted('s2', 'a'); // nobody waits any more
  answers.refused('s2', 'a', 'expired');
  answers.ended('s2');
});
