import t from 'tap';
import { LoginFlow } from '../../src/client/login.ts';
import type { Event } from '../../src/client/login.ts';
import type { Granted } from '../../src/control/clientapi/bodies.ts';

const step = { methods: ['totp', 'recovery'], index: 1, of: 1 };
const granted = { session: { id: 's1' } } as Granted;
const play = (tries: number, events: Event[]) => {
  const flow = new LoginFlow(tries);
  return events.map(event => flow.next(event));
};
const answered: Event = { on: 'answered', method: 'totp', response: '000000' };
const wrong: Event = { on: 'refused', code: 'denied', message: 'wrong code' };

t.test('one step, from proof to handshake', t => {
  const actions = play(1, [
    { on: 'begin' },
    { on: 'step', login: 'l1', step, challenge: null },
    answered,
    { on: 'granted', granted },
    { on: 'unsealed' },
    { on: 'installed' },
  ]);
  t.strictSame(
    actions.map(action => action.act),
    ['start', 'ask', 'answer', 'unseal', 'install', 'done'],
  );
  t.match(actions[2], { login: 'l1', method: 'totp', response: '000000' });
  t.match(actions[3], { login: 'l1', granted });
  t.end();
});

t.test('two steps ask twice', t => {
  const second = { methods: ['email'], index: 2, of: 2 };
  const actions = play(1, [
    { on: 'begin' },
    { on: 'step', login: 'l1', step, challenge: null },
    answered,
    { on: 'step', login: 'l1', step: second, challenge: null },
  ]);
  t.match(actions[3], { act: 'ask', step: second, again: null });
  t.end();
});

t.test('a wrong code may be given again as often as there are tries', t => {
  const actions = play(2, [
    { on: 'begin' },
    { on: 'step', login: 'l', step, challenge: null },
    answered,
    wrong,
    answered,
    wrong,
  ]);
  t.match(actions[3], { act: 'ask', again: 'wrong code' });
  t.match(actions[5], { act: 'fail', code: 'denied' });
  t.end();
});

t.test('a lock or any other refusal ends the login at once', t => {
  const actions = play(3, [
    { on: 'begin' },
    { on: 'step', login: 'l', step, challenge: null },
    answered,
    { on: 'refused', code: 'locked', message: 'locked for 5 minutes' },
  ]);
  t.match(actions[3], { act: 'fail', code: 'locked' });
  t.match(play(3, [{ on: 'begin' }, { on: 'refused', code: 'bad-proof', message: 'no' }])[1], {
    act: 'fail',
  });
  t.end();
});

t.test('an undelivered grant is asked for again without a new code, a bounded number of times', t => {
  const lost: Event = { on: 'refused', code: 'agent-timeout', message: 'no gateway is connected' };
  const start: Event[] = [{ on: 'begin' }, { on: 'step', login: 'l', step, challenge: null }, answered];
  const actions = play(1, [...start, lost, lost, lost, lost]).slice(3);
  t.strictSame(
    actions.map(action => action.act),
    ['resume', 'resume', 'resume', 'fail'],
  );
  t.match(play(1, [...start, lost, { on: 'granted', granted }])[4], { act: 'unseal' });
  t.end();
});

t.test('an answer with a method nobody asked for does not leave this machine', t => {
  const actions = play(1, [
    { on: 'begin' },
    { on: 'step', login: 'l', step, challenge: null },
    { ...answered, method: 'email' },
  ]);
  t.match(actions[2], { act: 'fail', code: 'wrong-method' });
  t.end();
});

t.test('a seal that does not open, a silent gateway, and whatever comes out of order', t => {
  const upTo: Event[] = [
    { on: 'begin' },
    { on: 'step', login: 'l', step, challenge: null },
    answered,
    { on: 'granted', granted },
  ];
  t.match(play(1, [...upTo, { on: 'unseal-failed' }])[4], { act: 'fail', code: 'bad-seal' });
  t.match(play(1, [...upTo, { on: 'unsealed' }, { on: 'silent' }])[5], {
    act: 'fail',
    code: 'gateway-silent',
  });
  t.match(play(1, [{ on: 'begin' }, { on: 'granted', granted }])[1], { act: 'fail', code: 'out-of-order' });
  t.match(play(1, [answered])[0], { act: 'fail', code: 'out-of-order' });
  const over = play(1, [{ on: 'begin' }, wrong, { on: 'begin' }]);
  t.match(over[2], { act: 'fail', code: 'out-of-order' });
  t.end();
});

t.test('asking for a message is no try, and a wrong code leaves the message as it is', t => {
  const mailed = { methods: ['email'], index: 1, of: 1 };
  const challenge = { method: 'email', show: 'sent', expiresIn: 600 };
  const asking: Event = { on: 'answered', method: 'email', response: '' };
  const actions = play(2, [
    { on: 'begin' },
    { on: 'step', login: 'l', step: mailed, challenge: null },
    asking,
    { on: 'step', login: 'l', step: mailed, challenge },
    { on: 'answered', method: 'email', response: '00000000' },
    wrong,
    { on: 'answered', method: 'email', response: '00000001' },
    wrong,
  ]);
  t.match(actions[2], { act: 'answer', response: '' });
  t.match(actions[3], { act: 'ask', challenge, again: null });
  t.match(actions[5], { act: 'ask', challenge, again: 'wrong code' });
  t.match(actions[7], { act: 'fail', code: 'denied' });
  t.end();
});
