import t from 'tap';
import { administer } from '../../../src/core/admin/admin.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

const text = (desk: Desk, ...args: string[]): string => administer(desk, args).text;

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
  t.match(
    text(desk, 'location', 'set', 'office', '--network6', 'fd77::/64'),
    /changed/,
    'one may come later',
  );
  t.equal(line.of('config').at(-1)!.config.addresses.length, 2);
  t.match(text(desk, 'location', 'list'), /office +10\.77\.0\.0\/24, fd77::\/64 /);
  t.throws(() => desk.admin('location', 'set', 'office', '--network6', 'fd78::/64'), {
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
