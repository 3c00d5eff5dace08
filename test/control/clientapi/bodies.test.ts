import t from 'tap';
import { sessionEvent, startRequest, stepAnswer } from '../../../src/control/clientapi/bodies.ts';
import { check } from '../../../src/control/validate.ts';

t.test('answers and events', async t => {
  t.notOk(check(startRequest, { location: 'l' }).ok);
  t.ok(check(stepAnswer, { step: { methods: ['totp'], index: 1, of: 2 } }).ok);
  t.notOk(check(stepAnswer, {}).ok);
  t.notOk(check(stepAnswer, null).ok);
  const session = { id: 's', location: 'l', expiresAt: 2, now: 1, stale: 180, idle: 0, claim: 60 };
  for (const event of [
    { event: 'state', session, confirmed: true },
    { event: 'warn', secondsLeft: 120 },
    { event: 'extended', session },
    { event: 'ended', reason: 'idle' },
  ])
    t.same(check(sessionEvent, event), { ok: true, value: event });
  t.notOk(check(sessionEvent, { event: 'ended', reason: 'bored' }).ok);
  t.notOk(check(sessionEvent, { event: 'nothing' }).ok);
});
