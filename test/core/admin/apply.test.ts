import t from 'tap';
import { apply } from '../../../src/core/admin/apply.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const file = `
[[location]]
name = "office"
network = "10.77.0.0/24"
groups = ["dev"]
[location.policy]
idleAfter = 600

[[user]]
name = "ada"
groups = ["dev"]

[[user]]
name = "bob"
disabled = true
`;

const lines = (desk: Desk, text: string, ...flags: string[]): string[] =>
  (apply(desk, ['core.toml', text, ...flags]).data as { changes: string[] }).changes;

t.test('prints the difference, makes it, and then there is none', async t => {
  const desk = new Desk();
  const wanted = ['+ location office (10.77.0.0/24)', '+ user ada', '+ user bob', '~ user bob: disabled'];
  t.same(lines(desk, file, '--dry-run'), wanted);
  t.same(desk.store.people.users(), [], 'a dry run makes nothing');
  t.same(lines(desk, file), wanted);
  t.same(lines(desk, file), []);
  t.match(apply(desk, ['core.toml', file]).text, /nothing to change/);
  t.same(desk.store.places.locationNamed('office')!.settings.policy, { idleAfter: 600 });
  t.equal(desk.store.people.userNamed('bob')!.disabled, true);
});

t.test('changes and prunes', async t => {
  const desk = new Desk();
  lines(desk, file);
  desk.admin('user', 'add', 'carol');
  const next = file
    .replace('600', '900')
    .replace('groups = ["dev"]\n\n[[user]]', 'groups = ["ops"]\n\n[[user]]')
    .replace('disabled = true', '');
  t.same(lines(desk, next, '--prune'), [
    '~ location office: policy {"idleAfter":600} -> {"idleAfter":900}',
    '~ user ada: groups dev -> ops',
    '~ user bob: enabled',
    '- user carol',
  ]);
  t.same(lines(desk, '', '--prune'), ['- location office', '- user ada', '- user bob']);
});

t.test('mistakes are named, and then nothing is changed', async t => {
  const desk = new Desk();
  const bad: readonly (readonly [string, RegExp])[] = [
    ['x = [', /^core\.toml: /],
    ['[locations]', /unknown table "locations"/],
    ['[location]\nname="a"', /two brackets/],
    ['[[location]]\nname="a"\nnetwork="10.0.0.0/24"\nnetwrok=1', /unknown key "netwrok"/],
    ['[[location]]\nname="a"\nnetwork="10.0.0.1/24"', /location\[0\]: .*did you mean/],
    ['[[location]]\nname="a"\nnetwork="10.0.0.0/24"\n[location.policy]\nstaleAfter=5', /policy\.staleAfter/],
    ['[[location]]\nnetwork="10.0.0.0/24"', /name must be/],
    ['[[user]]\nname="a"\n[[user]]\nname="a"', /declared twice/],
    ['[[user]]\nname="a"\ngroup="x"', /unknown key "group"/],
    ['[[user]]\nname=7', /user\[1\]: name must be/],
  ];
  for (const [text, message] of bad)
    t.throws(() => lines(desk, `[[user]]\nname="first"\n${text}`), { exit: 2, message });
  t.same(desk.store.people.users(), []);
  lines(desk, file);
  const location = desk.store.places.locationNamed('office')!;
  desk.store.places.allocate(location, desk.device(desk.store.people.userNamed('ada')!.id).id);
  t.throws(() => lines(desk, file.replace('10.77', '10.78').replace('"bob"', '"dave"')), {
    code: 'network-in-use',
  });
  t.equal(desk.store.people.userNamed('dave'), undefined);
});

t.test('the e-mail address of a user', async t => {
  const desk = new Desk();
  const file = (email: string): string => `[[user]]\nname = "ada"\nemail = "${email}"\n`;
  const lines = (email: string): string[] =>
    (apply(desk, ['core.toml', file(email)]).data as { changes: string[] }).changes;
  t.same(lines('ada@a.example'), ['+ user ada', '~ user ada: e-mail none -> ada@a.example']);
  t.same(lines('ada@a.example'), []);
  t.same(lines('ada@b.example'), ['~ user ada: e-mail ada@a.example -> ada@b.example']);
  t.throws(() => lines('ada'), { code: 'bad-user', message: /user\[0\]: email/ });
  t.equal(desk.store.people.userNamed('ada')!.email, 'ada@b.example');
});
