import t from 'tap';
import { methods } from '../../../src/core/methods/method.ts';
import { totpCode, totpStep } from '../../../src/core/methods/totp.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';
import { fromBase32 } from '../../fixtures/lab/world.ts';

t.test('a right answer is a claim, and a claim is good once', async t => {
  const desk = new Desk();
  const { id } = desk.admin('user', 'add', 'ada');
  const user = (): NonNullable<ReturnType<typeof desk.store.people.user>> => desk.store.people.user(id!)!;
  const totp = methods.get('totp')!;
  const recovery = methods.get('recovery')!;
  t.notOk(totp.available(desk.store, user()));
  t.notOk(recovery.available(desk.store, user()));
  t.equal(totp.check(desk.store, user(), '000000', desk.now), null, 'no seed, no answer');

  const { secret } = desk.admin('user', 'totp', 'ada');
  const code = totpCode(fromBase32(secret!), totpStep(desk.now));
  const first = totp.check(desk.store, user(), code, desk.now)!;
  const second = totp.check(desk.store, user(), code, desk.now)!;
  t.equal(first(), true);
  t.equal(second(), false, 'both were right, one was faster');
  t.equal(totp.check(desk.store, user(), code, desk.now), null);

  const { codes } = desk.admin<{ codes: string[] }>('user', 'recovery', 'ada');
  const one = recovery.check(desk.store, user(), codes[3]!, desk.now)!;
  const other = recovery.check(desk.store, user(), codes[3]!, desk.now)!;
  t.equal(one(), true);
  t.equal(other(), false);
  t.equal(desk.store.people.unusedRecoveryCodes(id!).length, 9);
  t.equal(recovery.check(desk.store, user(), codes[3]!, desk.now), null);
  t.equal(recovery.check(desk.store, user(), 'rubbish', desk.now), null);
});
