import t from 'tap';
import { challenged, challengeLifeMs, settleRight } from '../../../src/core/login/login.ts';
import type { LoginState } from '../../../src/core/login/login.ts';
import { methods } from '../../../src/core/methods/method.ts';
import type { Claim } from '../../../src/core/methods/method.ts';
import { totpCode, totpStep } from '../../../src/core/methods/totp.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';
import { fromBase32 } from '../../fixtures/lab/world.ts';

t.test('a right answer is a claim, and a claim is good once', async t => {
  const desk = new Desk();
  const { id } = desk.admin('user', 'add', 'ada');
  const user = (): NonNullable<ReturnType<typeof desk.store.people.user>> => desk.store.people.user(id!)!;
  const login = await desk.login({ id: 'd_1', publicKey: 'K' }, id!, 'loc');
  const totp = methods.get('totp')!;
  const recovery = methods.get('recovery')!;
  t.notOk(totp.available(desk.store, user()));
  t.notOk(recovery.available(desk.store, user()));
  t.equal(totp.check(desk.store, user(), '000000', desk.now, login), null, 'no seed, no answer');

  const { secret } = desk.admin('user', 'totp', 'ada');
  const code = totpCode(fromBase32(secret!), totpStep(desk.now));
  const first = totp.check(desk.store, user(), code, desk.now, login)!;
  const second = totp.check(desk.store, user(), code, desk.now, login)!;
  t.equal(first(), true);
  t.equal(second(), false, 'both were right, one was faster');
  t.equal(totp.check(desk.store, user(), code, desk.now, login), null);

  const { codes } = desk.admin<{ codes: string[] }>('user', 'recovery', 'ada');
  const one = recovery.check(desk.store, user(), codes[3]!, desk.now, login)!;
  const other = recovery.check(desk.store, user(), codes[3]!, desk.now, login)!;
  t.equal(one(), true);
  t.equal(other(), false);
  t.equal(desk.store.people.unusedRecoveryCodes(id!).length, 9);
  t.equal(recovery.check(desk.store, user(), codes[3]!, desk.now, login), null);
  t.equal(recovery.check(desk.store, user(), 'rubbish', desk.now, login), null);
});

t.test('an e-mail code belongs to one challenge of one login', async t => {
  const desk = new Desk();
  const { id } = desk.admin('user', 'add', 'ada', '--email', 'ada@example.org');
  const user = desk.store.people.user(id!)!;
  const email = methods.get('email')!;
  t.ok(email.available(desk.store, user));
  const plain = await desk.login({ id: 'd_1', publicKey: 'K' }, id!, 'loc');
  const check = (login: LoginState, now = desk.now): Claim | null =>
    email.check(desk.store, user, '1234 5678', now, login);
  t.equal(check(plain), null, 'nothing was begun');
  const sealed = desk.store.logins.sealAnswer(plain.id, '12345678');
  const login = challenged(plain, 'email', sealed, desk.now);
  desk.store.logins.save(login);
  t.equal(email.check(desk.store, user, '12345679', desk.now, login), null);
  t.equal(check(login, desk.now + challengeLifeMs), null, 'too late');
  t.equal(check({ ...login, challenge: { ...login.challenge!, triesLeft: 0 } }), null, 'no tries left');
  t.throws(() => check({ ...login, id: 'l_other' }), { code: 'wrong-store-key' }, 'sealed for its login');
  const claim = check(login)!;
  t.equal(claim(), true);
  desk.store.logins.save(settleRight(login, 'email', []).login);
  t.equal(claim(), false, 'the step is over');
  desk.store.logins.save(challenged(login, 'email', desk.store.logins.sealAnswer(login.id, '1'), desk.now));
  t.equal(claim(), false, 'another challenge took its place');
});
