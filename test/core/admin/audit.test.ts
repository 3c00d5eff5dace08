import t from 'tap';
import { administer } from '../../../src/core/admin/admin.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const text = (desk: Desk, ...args: string[]): string => administer(desk, args).text;

t.test('audit', async t => {
  const desk = new Desk();
  desk.admin('user', 'add', 'ada');
  const { secret } = desk.admin('user', 'totp', 'ada');
  t.match(
    text(desk, 'audit', 'show', '--limit', '1'),
    /^2 2023-11-14T22:13:20Z user\.totp by admin reason=ada$/,
  );
  t.notMatch(text(desk, 'audit', 'show'), secret!);
  t.match(text(desk, 'audit', 'verify'), /^2 records, chain intact/);
  const checkpoint = text(desk, 'audit', 'checkpoint');
  t.match(text(desk, 'audit', 'verify', '--checkpoint', checkpoint), /intact/);
  t.throws(() => desk.admin('audit', 'verify', '--checkpoint', checkpoint.replace('"seq":2', '"seq":1')), {
    code: 'bad-checkpoint',
  });
  t.throws(() => desk.admin('audit', 'verify', '--checkpoint', 'x'), { code: 'bad-checkpoint', exit: 2 });
  desk.store.db.run('DELETE FROM audit WHERE seq = 1');
  t.throws(() => desk.admin('audit', 'verify'), {
    code: 'audit-broken',
    message: /record 1: the record is missing/,
  });
});
