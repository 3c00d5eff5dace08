import t from 'tap';
import { administer } from '../../../src/core/admin/admin.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const text = (desk: Desk, ...args: string[]): string => administer(desk, args).text;

t.test('sessions', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const place = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24')['id']!;
  desk.connect(await desk.agent(place));
  const device = desk.device(user);
  const logIn = async (): Promise<string> => {
    const result = await desk.sessions.authorise(await desk.login(device, user, place), 'x', () => true);
    if (!result.ok) throw new Error(result.code);
    return result.session.id;
  };
  const first = await logIn();
  t.match(text(desk, 'session', 'list'), /ada +office .*active, unused/);
  t.notMatch(JSON.stringify(administer(desk, ['session', 'list']).data), /tokenHash/);
  t.match(text(desk, 'session', 'revoke', first), /1 session revoked/);
  for (const by of [
    ['--device', device.publicKey],
    ['--user', 'ada'],
  ]) {
    await logIn();
    t.match(text(desk, 'session', 'revoke', ...by), /1 session/);
  }
  t.throws(() => desk.admin('session', 'revoke', first), { code: 'no-session' });
  t.throws(() => desk.admin('session', 'revoke'), { code: 'arguments', exit: 2 });
  t.throws(() => desk.admin('session', 'revoke', first, '--user', 'ada'), { code: 'arguments' });
  t.match(text(desk, 'session', 'list', '--all'), /revoked-admin/);
});
