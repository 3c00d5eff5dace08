import t from 'tap';
import { openGate } from '../../../src/core/login/attempts.ts';
import type { LoginState } from '../../../src/core/login/login.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const login: LoginState = {
  id: 'l_0',
  device: 'd_1',
  deviceKey: 'K',
  user: 'u_1',
  location: 'loc_1',
  steps: [['totp']],
  done: [],
  kemPublicKey: 'x',
  nonce: 'n',
  expiresAt: 1000,
};

t.test('logins live in the store, a few per device', async t => {
  const { logins } = new Desk().store;
  for (let i = 0; i < 9; i++) logins.save({ ...login, id: `l_${i}`, expiresAt: 1000 + i });
  t.equal(logins.login('l_0', 1), null);
  t.same(logins.login('l_8', 1), { ...login, id: 'l_8', expiresAt: 1008 });
  t.equal(logins.login('l_8', 1008), null, 'over');
  logins.save({ ...login, id: 'l_8', expiresAt: 1008, done: ['totp'] });
  t.same(logins.login('l_8', 1)!.done, ['totp']);
  logins.save({ ...login, id: 'x', device: 'd_2' });
  t.ok(logins.login('x', 1));
  logins.remove('x');
  t.equal(logins.login('x', 1), null);
});

t.test('nonces, gates and tokens', async t => {
  const { logins } = new Desk().store;
  t.equal(logins.useNonce('a', 100), true);
  t.equal(logins.useNonce('a', 100), false);
  t.same(logins.gate('account/u'), openGate);
  const gate = { failures: 3, lastAt: 5, lockedUntil: 6, locks: 1 };
  logins.saveGate('account/u', gate);
  logins.saveGate('account/u', gate);
  t.same(logins.gate('account/u'), gate);
  logins.addToken('h', 'join', 'loc_1', { endpoint: 'g:1' }, 100);
  t.equal(logins.useToken('h', 'enrol', 1), null, 'another kind');
  t.equal(logins.useToken('h', 'join', 100), null, 'over');
  t.same(logins.useToken('h', 'join', 1), { subject: 'loc_1', details: { endpoint: 'g:1' }, key: null });
  t.equal(logins.useToken('h', 'join', 1), null, 'once');
  const key = new Uint8Array(32).fill(5);
  logins.addToken('e', 'enrol', 'u_1', {}, 100, key);
  t.same(
    logins.useToken('e', 'enrol', 1),
    { subject: 'u_1', details: {}, key },
    'sealed on the disk, whole here',
  );
  logins.sweep(200);
  t.equal(logins.useNonce('a', 300), true, 'forgotten when it could not be replayed any more');
  t.same(logins.gate('account/u'), gate, 'attempts are remembered longer');
  logins.sweep(3 * 86_400_000);
  t.same(logins.gate('account/u'), openGate);
});

t.test('messages of the last hour, and the answer of a challenge sealed for its login', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const { logins } = desk.store;
  for (const at of [0, 1000, 2000]) logins.addMessage(user, desk.now + at);
  t.same(logins.messages(user, desk.now + 2000).length, 3);
  t.same(logins.messages('u_other', desk.now), []);
  logins.sweep(desk.now + 3600_000);
  t.same(logins.messages(user, desk.now), [desk.now + 1000, desk.now + 2000]);
  const sealed = logins.sealAnswer('l_0', '12345678');
  t.notMatch(Buffer.from(sealed, 'base64').toString('latin1'), /12345678/);
  t.equal(Buffer.from(logins.openAnswer('l_0', sealed)).toString(), '12345678');
  t.throws(() => logins.openAnswer('l_1', sealed), { code: 'wrong-store-key' });
  logins.save({ ...login, challenge: { method: 'email', sealed, expiresAt: 1000, triesLeft: 5 } });
  t.ok(logins.hasChallenge('l_0', sealed));
  t.notOk(logins.hasChallenge('l_0', 'other'));
  t.notOk(logins.hasChallenge('l_1', sealed));
  desk.store.people.removeUser(user);
  t.same(logins.messages(user, desk.now), [], 'they go with their user');
});
