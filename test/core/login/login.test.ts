// The login machine alone, and a seeded simulation of many people and a guesser over days of virtual time.

import t from 'tap';
import { openGate } from '../../../src/core/login/attempts.ts';
import type { Gate } from '../../../src/core/login/attempts.ts';
import {
  admit,
  challenged,
  challengeLifeMs,
  challengeWaitMs,
  isOpen,
  loginLifeMs,
  settleRight,
  settleWrong,
  start,
} from '../../../src/core/login/login.ts';
import type { Effect, HeldGate, LoginState, StartFacts } from '../../../src/core/login/login.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

const now = 1e12;
const source: HeldGate = { kind: 'source', key: 'source/x', gate: openGate };
const subject = {
  device: 'd',
  deviceKey: 'K',
  user: 'u',
  location: 'loc',
  steps: [['totp']],
  kemAllowed: true,
};
const facts: StartFacts = {
  now,
  newId: 'l_1',
  source,
  subject,
  decoySteps: [['totp', 'recovery']],
  clockRight: true,
  nonceFresh: true,
  kemPublicKey: 'kem',
  nonce: 'n',
};

t.test('start: everything right', async t => {
  const { effects, answer } = start(facts);
  t.same(answer, { say: 'started', login: 'l_1', steps: [['totp']], index: 1 });
  t.same(
    effects.map(effect => effect.do),
    ['nonce', 'save', 'audit'],
    'no gate is touched: starting is not an attempt, and resets none',
  );
});

t.test('start: a wrong proof stores nothing and says the same', async t => {
  const wrong = start({ ...facts, subject: null });
  t.same(wrong.answer, { say: 'started', login: 'l_1', steps: [['totp', 'recovery']], index: 1 });
  t.same(
    wrong.effects.map(effect => effect.do),
    ['gate'],
    'but the source pays',
  );
  t.same(start({ ...facts, nonceFresh: false }).answer, wrong.answer, 'as does a replay');
});

t.test('start: what only the owner of the device is told', async t => {
  t.equal(start({ ...facts, clockRight: false }).answer.say, 'clock-skew');
  t.same(start({ ...facts, clockRight: false }).effects, [], 'the nonce stays fresh for the next try');
  t.equal(start({ ...facts, subject: { ...subject, kemAllowed: false } }).answer.say, 'kem-refused');
  t.equal(start({ ...facts, subject: { ...subject, steps: [['totp'], []] } }).answer.say, 'no-method');
  t.equal(start({ ...facts, subject: { ...subject, steps: [] } }).answer.say, 'no-method');
  const locked = { ...source, gate: { ...openGate, lockedUntil: now + 1500 } };
  t.equal(
    start({ ...facts, source: locked }).answer.say,
    'started',
    'strangers at its address do not lock it out',
  );
  t.same(start({ ...facts, source: locked, subject: null }), {
    effects: [],
    answer: { say: 'wait', seconds: 2 },
  });
});

const login: LoginState = {
  id: 'l_1',
  device: 'd',
  deviceKey: 'K',
  user: 'u',
  location: 'loc',
  steps: [['totp', 'recovery'], ['recovery']],
  done: [],
  kemPublicKey: 'kem',
  nonce: 'n',
  expiresAt: now + loginLifeMs,
};
const account: HeldGate = { kind: 'account', key: 'account/u', gate: openGate };

t.test('step: counted before it is looked at', async t => {
  const admission = admit(now, login, 'totp', [source, account]);
  t.ok(admission.admitted);
  t.same(
    admission.effects.map(effect => (effect.do === 'gate' ? [effect.key, effect.gate.failures] : effect.do)),
    [
      ['source/x', 1],
      ['account/u', 1],
    ],
  );
});

t.test('step: a decoy, and a method that is not asked for', async t => {
  const decoy = admit(now, null, 'totp', [source]);
  t.same(decoy, { admitted: false, effects: decoy.effects, answer: { say: 'denied' } });
  t.equal(decoy.effects.length, 1);
  const other = admit(now, login, 'webauthn', [source, account]);
  t.notOk(other.admitted);
  t.equal(other.effects.length, 3, 'counted and written down');
});

t.test('step: a closed gate', async t => {
  const closed = { ...account, gate: { failures: 5, lastAt: now, lockedUntil: 0, locks: 0 } };
  const admission = admit(now, login, 'totp', [source, closed]);
  t.match(admission, { admitted: false, answer: { say: 'wait', seconds: 4 } });
  t.notOk(
    admission.effects.some(effect => effect.do === 'gate'),
    'waiting does not make it longer',
  );
});

t.test('step: a source that strangers locked holds back only those without a login', async t => {
  const locked = { ...source, gate: { ...openGate, lockedUntil: now + 1500 } };
  t.ok(admit(now, login, 'totp', [locked, account]).admitted);
  t.match(admit(now, null, 'totp', [locked]), { admitted: false, answer: { say: 'wait', seconds: 2 } });
});

t.test('settle: steps in order, gates cleared only by the last', async t => {
  const before: Gate = { failures: 2, lastAt: now, lockedUntil: 0, locks: 0 };
  const first = settleRight(login, 'totp', [{ ...account, gate: before }]);
  t.same(first.login.steps, [['recovery']]);
  t.same(first.login.done, ['totp']);
  t.same(
    first.effects[0],
    { do: 'gate', key: 'account/u', gate: before },
    'the first factor buys no guesses at the second',
  );
  const second = settleRight(first.login, 'recovery', [{ ...account, gate: before }]);
  t.same(second.login.steps, []);
  t.same(second.effects[0], { do: 'gate', key: 'account/u', gate: openGate });
  t.same(settleWrong(login, 'totp'), {
    effects: [{ do: 'audit', what: 'login.denied', method: 'totp' }],
    answer: { say: 'denied' },
  });
});

const seed = seedOf(11);
t.test(`a month of logins and guesses (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const gates = new Map<string, Gate>();
  const logins = new Map<string, LoginState>();
  const nonces = new Set<string>();
  const tally = { granted: 0, guessed: 0, honestWaits: 0, honest: 0, attempts: 0 };
  let clock = now;

  const held = (kind: HeldGate['kind'], name: string): HeldGate => {
    const key = `${kind}/${name}`;
    return { kind, key, gate: gates.get(key) ?? openGate };
  };
  const execute = (effects: readonly Effect[]): void => {
    for (const effect of effects) {
      if (effect.do === 'gate') gates.set(effect.key, effect.gate);
      if (effect.do === 'nonce') nonces.add(effect.nonce);
      if (effect.do === 'save') logins.set(effect.login.id, effect.login);
    }
  };
  const begin = (user: string, from: string, proof: boolean): string => {
    const nonce = String(rng.u32());
    const outcome = start({
      ...facts,
      now: clock,
      newId: `l_${rng.u32()}`,
      source: held('source', from),
      subject: proof ? { ...subject, user, device: `d-${user}`, steps: [['totp']] } : null,
      nonceFresh: !nonces.has(nonce),
      nonce,
    });
    execute(outcome.effects);
    return outcome.answer.say === 'started' ? outcome.answer.login : '';
  };
  const answer = (id: string, from: string, right: boolean): 'granted' | 'denied' | 'wait' => {
    const found = logins.get(id);
    const state = found !== undefined && found.expiresAt > clock ? found : null;
    const all = (): HeldGate[] => [
      held('source', from),
      ...(state === null ? [] : [held('account', state.user), held('device', state.device)]),
    ];
    const admission = admit(clock, state, 'totp', all());
    execute(admission.effects);
    if (!admission.admitted) return admission.answer.say === 'wait' ? 'wait' : 'denied';
    tally.attempts++;
    if (!right) {
      execute(settleWrong(state!, 'totp').effects);
      return 'denied';
    }
    const settled = settleRight(state!, 'totp', all());
    execute(settled.effects);
    t.equal(settled.login.steps.length, 0);
    logins.delete(id);
    return 'granted';
  };

  for (let minute = 0; minute < 30 * 24 * 60; minute += 5) {
    clock = now + minute * 60_000;
    // Somebody with ada's stolen device guesses as fast as allowed; a stranger hammers without any proof.
    for (let i = 0; i < 5; i++) {
      clock += 500;
      if (answer(begin('ada', 'thief', true), 'thief', rng.chance(3e-6)) === 'granted') tally.guessed++;
      answer(begin('bob', 'stranger', false), 'stranger', true);
    }
    // Bob logs in now and then, with a slip of the finger in between.
    if (rng.chance(0.02)) {
      clock += 1000;
      tally.honest++;
      const id = begin('bob', 'home', true);
      if (rng.chance(0.3)) answer(id, 'home', false);
      const said = answer(id, 'home', true);
      if (said === 'granted') tally.granted++;
      if (said === 'wait') tally.honestWaits++;
    }
  }
  t.equal(tally.guessed, 0);
  t.equal(tally.granted, tally.honest, 'a stranger cannot lock anybody out');
  t.ok(tally.attempts < 10_000, `${tally.attempts} guesses in a month`);
  t.notOk([...logins.values()].some(state => state.user === 'bob' && state.done.length > 0));
});

t.test('a challenge: five tries, ten minutes, and the login lives as long', async t => {
  const plain: LoginState = {
    ...subject,
    id: 'l',
    done: [],
    kemPublicKey: 'kem',
    nonce: 'n',
    expiresAt: now + 1,
  };
  let login = challenged({ ...plain, steps: [['email', 'totp'], ['recovery']] }, 'email', 's', now);
  t.equal(login.expiresAt, now + challengeLifeMs);
  t.notOk(isOpen(login.challenge, 'totp', now));
  t.notOk(isOpen(login.challenge, 'email', now + challengeLifeMs));
  const saved = (method: string): LoginState[] => {
    const { effects } = admit(now, login, method, [source]);
    return effects.flatMap(effect => (effect.do === 'save' ? [effect.login] : []));
  };
  t.same(saved('totp'), [], 'another method costs no try of this one');
  for (let left = 5; left > 0; left--) {
    t.ok(isOpen(login.challenge, 'email', now));
    login = saved('email')[0]!;
    t.equal(login.challenge!.triesLeft, left - 1);
  }
  t.notOk(isOpen(login.challenge, 'email', now));
  t.equal(saved('email')[0]!.challenge!.triesLeft, 0);
  t.ok(isOpen(challenged(login, 'email', 's2', now).challenge, 'email', now), 'a new one has new tries');
  t.equal(settleRight(login, 'totp', []).login.challenge, null, 'it ends with its step');
});

t.test('messages: never more than ten in any hour, never two within 30 s', async t => {
  const random = seeded(seedOf(5));
  const sent: number[] = [];
  for (let at = now; at < now + 6 * 3600_000; at += 1000 * (1 + random.below(40)))
    if (challengeWaitMs(at, [], sent) === 0) sent.push(at);
  t.ok(sent.length >= 60);
  for (const [i, at] of sent.entries()) {
    t.ok(i === 0 || at - sent[i - 1]! >= 30_000);
    t.ok(sent.filter(other => other > at - 3600_000 && other <= at).length <= 10);
  }
  const locked = { ...source, gate: { ...openGate, lockedUntil: now + 5000 } };
  t.equal(challengeWaitMs(now, [locked], []), 5000, 'a locked account is sent nothing');
});
