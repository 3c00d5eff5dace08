import t from 'tap';
import { encode } from 'uqr';
import { administer } from '../../../src/core/admin/admin.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const text = (desk: Desk, ...args: string[]): string => administer(desk, args).text;

t.test('users', async t => {
  const desk = new Desk();
  t.match(text(desk, 'user', 'add', 'ada', '--groups', 'dev'), /^user ada \(u_/);
  t.throws(() => desk.admin('user', 'add', 'ada'), { code: 'exists', exit: 1 });
  t.throws(() => desk.admin('user', 'add', 'a\nb'), { code: 'bad-name', exit: 2 });
  t.throws(() => desk.admin('user', 'add', 'x', '--groups', 'a b'), { code: 'bad-name' });
  t.match(text(desk, 'user', 'list'), /NAME +GROUPS +TOTP +EMAIL +STATE\nada +dev +no +- +enabled/);
  t.match(text(desk, 'user', 'totp', 'ada'), /^otpauth:\/\/totp\/Sallyport:ada\?secret=[A-Z2-7]{32}&/m);
  t.equal(desk.admin<{ codes: string[] }>('user', 'recovery', 'ada').codes.length, 10);
  t.match(text(desk, 'user', 'groups', 'ada', 'ops,dev'), /ops, dev/);
  t.match(text(desk, 'user', 'groups', 'ada', ''), /none/);
  t.equal(text(desk, 'user', 'email', 'ada', 'ada@a.example'), 'user ada: e-mail ada@a.example');
  t.throws(() => desk.admin('user', 'email', 'ada', 'a b@c'), { code: 'bad-email', exit: 2 });
  t.throws(() => desk.admin('user', 'add', 'bob', '--email', 'bob'), { code: 'bad-email', exit: 2 });
  t.equal(desk.store.people.userNamed('bob'), undefined);
  t.equal(text(desk, 'user', 'email', 'ada', 'none'), 'user ada: e-mail none');
  t.equal(desk.store.people.userNamed('ada')!.email, null);
  desk.admin('user', 'email', 'ada', 'ada@b.example');
  t.match(text(desk, 'user', 'disable', 'ada'), /disabled$/);
  t.match(text(desk, 'user', 'list'), /ada +- +yes +ada@b\.example +disabled/);
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

t.test('a new seed comes as a code to scan: each half of a letter is one module', t => {
  const desk = new Desk();
  desk.admin('user', 'add', 'ada');
  const lines = text(desk, 'user', 'totp', 'ada').split('\n');
  const uri = lines.find(line => line.startsWith('otpauth:'))!;
  const { data, size } = encode(uri, { ecc: 'L', border: 2 });
  const isLight = (x: number, y: number): boolean => data[y]?.[x] === false;
  for (let row = 0; row < Math.ceil(size / 2); row++) {
    const drawn = [...lines[row]!].map(letter => [/[█▀]/.test(letter), /[█▄]/.test(letter)]);
    const wanted = drawn.map((_, x) => [isLight(x, 2 * row), isLight(x, 2 * row + 1)]);
    t.strictSame(drawn, wanted, `row ${row}`);
    t.equal(drawn.length, size);
  }
  t.end();
});

t.test('names that look like nothing or like another are refused', async t => {
  const desk = new Desk();
  for (const name of [' ', 'ada ', ' ada', '', 'e\u0301va'])
    t.throws(() => desk.admin('user', 'add', name), { code: 'bad-name', exit: 2 }, JSON.stringify(name));
  desk.admin('user', 'add', 'ada');
  desk.admin('user', 'add', 'bob');
  t.throws(() => desk.admin('user', 'rename', 'ada', 'bob'), { code: 'exists' });
  t.match(text(desk, 'user', 'rename', 'ada', 'eva'), /ada is eva now/);
  t.ok(desk.store.people.userNamed('eva'));
});

t.test('new factors say that live sessions go on, and end them when asked', async t => {
  for (const verb of ['totp', 'recovery']) {
    const desk = new Desk();
    const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
    const user = desk.admin('user', 'add', 'ada')['id']!;
    desk.connect(await desk.agent(id!));
    await desk.sessions.authorise(await desk.login(desk.device(user), user, id!), 'x', () => true);
    t.match(
      text(desk, 'user', verb, 'ada'),
      /1 live session goes on: "core session revoke --user ada" ends it/,
    );
    t.match(desk.admin('user', verb, 'ada'), { live: 1, ended: 0 });
    t.match(desk.admin('user', verb, 'ada', '--end-sessions'), { live: 0, ended: 1 });
    t.notMatch(text(desk, 'user', verb, 'ada'), /live session/);
  }
});
