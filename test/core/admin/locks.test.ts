import t from 'tap';
import { administer } from '../../../src/core/admin/admin.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

t.test('what is locked is seen and lifted', async t => {
  const desk = new Desk();
  const { id } = desk.admin('user', 'add', 'ada');
  const gate = { failures: 9, lastAt: desk.now, lockedUntil: desk.now + 1e6, locks: 1 };
  for (const key of [`account/${id}`, 'source/192.0.2.7', 'source/2001:db8::/64'])
    desk.store.logins.saveGate(key, gate);
  desk.store.logins.saveGate('source/192.0.2.8', { ...gate, failures: 1, lockedUntil: 0 });
  t.same(
    desk.admin<{ name: string; until: number }[]>('lock', 'list').map(({ name, until }) => [name, until]),
    [
      ['ada', gate.lockedUntil],
      ['192.0.2.7', gate.lockedUntil],
      ['2001:db8::/64', gate.lockedUntil],
    ],
  );
  t.match(administer(desk, ['lock', 'list']).text, /source\/192\.0\.2\.7 +192\.0\.2\.7 +9 +20/);
  t.same(desk.admin('lock', 'lift', '192.0.2.7'), { lifted: ['source/192.0.2.7'] });
  t.same(desk.admin('lock', 'lift', 'ada'), { lifted: [`account/${id}`] });
  t.throws(() => desk.admin('lock', 'lift', 'ada'), { code: 'no-lock' });
  t.equal(desk.admin<unknown[]>('lock', 'list').length, 1);
});
