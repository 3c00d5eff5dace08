import t from 'tap';
import { administer, nouns } from '../../src/core/admin.ts';
import { Desk } from '../fixtures/memorystore.ts';

const text = (desk: Desk, ...args: string[]): string => administer(desk, args).text;

t.test('users', async t => {
  const desk = new Desk();
  t.match(text(desk, 'user', 'add', 'ada', '--groups', 'dev'), /^user ada \(u_/);
  t.throws(() => desk.admin('user', 'add', 'ada'), { code: 'exists', exit: 1 });
  t.throws(() => desk.admin('user', 'add', 'a\nb'), { code: 'bad-name', exit: 2 });
  t.throws(() => desk.admin('user', 'add', 'x', '--groups', 'a b'), { code: 'bad-name' });
  t.match(text(desk, 'user', 'list'), /NAME +GROUPS +TOTP +STATE\nada +dev +no +enabled/);
  t.match(text(desk, 'user', 'totp', 'ada'), /^otpauth:\/\/totp\/Sallyport:ada\?secret=[A-Z2-7]{32}&/);
  t.equal(desk.admin<{ codes: string[] }>('user', 'recovery', 'ada').codes.length, 10);
  t.match(text(desk, 'user', 'groups', 'ada', 'ops,dev'), /ops, dev/);
  t.match(text(desk, 'user', 'groups', 'ada', ''), /none/);
  t.match(text(desk, 'user', 'disable', 'ada'), /disabled$/);
  t.match(text(desk, 'user', 'list'), /ada +- +yes +disabled/);
  t.match(text(desk, 'user', 'enable', 'ada'), /enabled$/);
  const { id } = desk.store.people.userNamed('ada')!;
  const device = desk.device(id);
  for (const key of [`account/${id}`, `device/${device.id}`])
    desk.store.logins.saveGate(key, { failures: 9, lastAt: desk.now, lockedUntil: desk.now + 1e6, locks: 1 });
  desk.admin('user', 'unlock', 'ada');
  t.equal(
    desk.store.logins.gate(`account/${id}`).failures + desk.store.logins.gate(`device/${device.id}`).failures,
    0,
  );
  t.match(text(desk, 'user', 'remove', 'ada'), /removed with its devices/);
  t.throws(() => desk.admin('user', 'totp', 'ada'), { code: 'no-user', message: /core user list/ });
});

t.test('devices', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  t.match(desk.admin('device', 'token', 'ada', '--hours', '2'), {
    user: 'ada',
    expiresAt: desk.now + 7_200_000,
  });
  const device = desk.device(user);
  t.match(text(desk, 'device', 'list'), /laptop +ada/);
  t.match(text(desk, 'device', 'list', 'ada'), /laptop/);
  t.match(text(desk, 'device', 'disable', device.publicKey), /laptop disabled/);
  t.match(text(desk, 'device', 'list'), /disabled/);
  t.match(text(desk, 'device', 'enable', device.id), /enabled/);
  t.match(text(desk, 'device', 'remove', device.id), /removed/);
  t.throws(() => desk.admin('device', 'remove', device.id), { code: 'no-device' });
});

t.test('locations and agents', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  t.throws(() => desk.admin('location', 'add', 'office', '--network', '10.78.0.0/24'), { code: 'exists' });
  t.throws(() => desk.admin('location', 'add', 'lab', '--network', '10.78.0.1/24'), {
    code: 'bad-location',
    message: /did you mean/,
  });
  t.throws(() => desk.admin('location', 'add', 'lab', '--network', 'x'), {
    code: 'bad-location',
    message: /network must be an IP prefix/,
  });
  t.throws(() => desk.admin('location', 'set', 'office', '--stale-after', '60'), {
    message: /policy\.staleAfter must be a whole number from 180/,
  });
  t.match(
    text(desk, 'location', 'set', 'office', '--demo-stale-after', '10'),
    /WARNING: sessions go stale after 10 s/,
  );
  const agent = await desk.agent(id!);
  const line = desk.connect(agent);
  t.match(text(desk, 'location', 'set', 'office', '--mtu', '1380'), /changed/);
  t.equal(line.of('config').at(-1)!.config.mtu, 1380);
  t.match(text(desk, 'location', 'list'), /office +10\.77\.0\.0\/24 +- +1\/1/);
  t.match(text(desk, 'agent', 'list'), /gate +office +connected/);
  const location = desk.store.places.location(id!)!;
  desk.store.places.allocate(location, desk.device(user).id);
  t.throws(() => desk.admin('location', 'set', 'office', '--network', '10.79.0.0/24'), {
    code: 'network-in-use',
  });
  t.throws(() => desk.admin('agent', 'token', 'office', '--endpoint', 'nowhere'), { code: 'bad-endpoint' });
  t.match(desk.admin('agent', 'token', 'office', '--endpoint', 'g:1')['token'], /^spj_/);
  t.match(text(desk, 'agent', 'remove', agent.id), /removed/);
  t.equal(line.closed, 4001);
  t.throws(() => desk.admin('agent', 'remove', agent.id), { code: 'no-agent' });
  t.match(text(desk, 'location', 'remove', 'office'), /removed with its agents/);
  t.throws(() => desk.admin('location', 'remove', 'office'), { code: 'no-location' });
});

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

t.test('unknown verbs name the known ones', async t => {
  const desk = new Desk();
  for (const noun of nouns)
    t.throws(() => desk.admin(noun, 'dance'), { code: 'unknown-verb', exit: 2, message: /known are [a-z]+/ });
  t.throws(() => desk.admin('user'), { code: 'unknown-verb' });
});
