import t from 'tap';
import { defaultPolicy } from '../../../src/core/policy/policy.ts';
import type { Session } from '../../../src/core/store/sessions.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const session: Session = {
  id: 's_1',
  location: 'loc_1',
  device: 'd_1',
  deviceKey: 'K',
  user: 'u_1',
  epoch: 1,
  status: 'pending',
  methods: ['totp'],
  tokenHash: 'h',
  policy: defaultPolicy,
  createdAt: 10,
  confirmedAt: null,
  expiresAt: 1000,
  leaseUntil: 500,
  endedAt: null,
  reason: null,
  rx: 0,
  tx: 0,
  handshakes: 0,
};

t.test('from pending to ended', async t => {
  const { sessions } = new Desk().store;
  sessions.add(session, [
    { agent: 'a_1', text: 'sp1.one' },
    { agent: 'a_2', text: 'sp1.two' },
  ]);
  t.same(sessions.session('s_1'), session);
  t.equal(sessions.sessionWithToken('h')!.id, 's_1');
  t.equal(sessions.liveOf('K', 'loc_1').length, 1);
  t.same(sessions.liveOf('K', 'loc_2'), []);
  t.equal(sessions.activate('s_1'), true);
  t.equal(sessions.activate('s_1'), false);
  sessions.confirm('s_1', 20);
  sessions.confirm('s_1', 30);
  sessions.setLease('s_1', 700);
  sessions.addCounters('s_1', 5, 6, 1);
  sessions.addCounters('s_1', 5, 6, 1);
  t.match(sessions.session('s_1'), { confirmedAt: 20, leaseUntil: 700, rx: 10, tx: 12, handshakes: 2 });
  sessions.setGrant('s_1', 'a_2', 'refused', 'epoch');
  t.match(sessions.grants('s_1'), [{ state: 'sent' }, { state: 'refused', code: 'epoch' }]);
  t.match(sessions.grantsFor('a_1', 20), [{ grant: { text: 'sp1.one' }, session: { id: 's_1' } }]);
  t.same(sessions.grantsFor('a_2', 20), [], 'what was refused is not offered again');
  t.same(sessions.grantsFor('a_1', 1000), [], 'nor what is over');
  t.equal(sessions.end('s_1', 'idle', 40), true);
  t.equal(sessions.end('s_1', 'stale', 50), false, 'the first reason stays');
  t.match(sessions.session('s_1'), { status: 'ended', reason: 'idle', endedAt: 40 });
  t.ok(
    sessions.grants('s_1').every(grant => grant.text === '' && grant.state === 'ended'),
    'sealed keys are not kept',
  );
  sessions.setGrant('s_1', 'a_1', 'acked');
  t.equal(sessions.grants('s_1')[0]!.state, 'ended');
  t.same(sessions.live(), []);
  t.equal(sessions.recent(5).length, 1);
  sessions.sweep(40 + 32 * 86_400_000);
  t.same(sessions.recent(5), []);
});

t.test('epochs only grow, per device and location', async t => {
  const { sessions } = new Desk().store;
  t.same(
    [sessions.nextEpoch('l', 'K'), sessions.nextEpoch('l', 'K'), sessions.nextEpoch('m', 'K')],
    [1, 2, 1],
  );
});
