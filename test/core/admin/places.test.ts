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

t.test('nonsense is refused in one line', async t => {
  const desk = new Desk();
  desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  const refused: readonly (readonly [string[], RegExp])[] = [
    [['--network', '10.78.0.0/24', '--endpoint', 'gw.example:70000'], /endpoint/],
    [['--network', '10.78.0.0/24', '--endpoint', 'gw.example:65536'], /endpoint/],
    [['--network', '10.78.0.0/24', '--dns', 'cafe'], /dns\[0\] must be an IP address/],
    [['--network', '224.0.0.0/24'], /not for hosts/],
    [['--network', '127.1.0.0/16'], /not for hosts/],
    [['--network', '10.78.0.0/24', '--network6', 'ff05::/64'], /not for hosts/],
    [['--network', '10.78.0.0/24', '--steps', 'totp/totp'], /one factor twice/],
    [['--network', '10.78.0.0/24', '--steps', 'totp,totp'], /one factor twice/],
  ];
  for (const [options, message] of refused)
    t.throws(() => desk.admin('location', 'add', 'lab', ...options), { exit: 2, message }, options.join(' '));
  for (const name of [' ', ' lab', 'lab ', '-lab'])
    t.throws(() => desk.admin('location', 'add', name, '--network', '10.78.0.0/24'), { code: 'bad-name' });
  t.match(
    text(desk, 'location', 'add', 'twin', '--network', '10.77.0.0/25', '--endpoint', 'g:65535'),
    /WARNING: the network overlaps that of office/,
  );
  for (const hours of ['0', '8761', '999999999', 'x'])
    t.throws(() => desk.admin('agent', 'token', 'office', '--hours', hours), { code: 'bad-number' }, hours);
});

t.test('a location is renamed', async t => {
  const desk = new Desk();
  const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
  desk.admin('location', 'add', 'lab', '--network', '10.78.0.0/24');
  const line = desk.connect(await desk.agent(id!));
  t.throws(() => desk.admin('location', 'rename', 'office', 'lab'), { code: 'exists' });
  t.match(text(desk, 'location', 'rename', 'office', 'head office'), /office is head office now/);
  t.equal(line.of('config').at(-1)!.config.name, 'head office');
  t.equal(desk.store.places.locationNamed('head office')?.id, id);
});

t.test('an agent is told to let its sessions go, and only then forgotten', async t => {
  for (const words of [
    ['location', 'remove', 'office'],
    ['agent', 'remove', 'a_gate'],
  ]) {
    const desk = new Desk();
    const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24');
    const user = desk.admin('user', 'add', 'ada')['id']!;
    const line = desk.connect(await desk.agent(id!));
    const granted = await desk.sessions.authorise(
      await desk.login(desk.device(user), user, id!),
      'x',
      () => true,
    );
    const session = granted.ok ? granted.session.id : '';
    t.match(text(desk, ...words), /1 session ended/);
    t.same(
      line.of('revoke').map(frame => frame.id),
      [session],
    );
    t.equal(line.closed, null, 'it has not answered yet');
    t.notOk(desk.sessions.hub.isConnected('a_gate'), 'and gets no new grant');
    const { device, epoch } = line.of('revoke')[0]!;
    line.hear({ type: 'revoked', id: session, device, epoch });
    t.equal(line.closed, 4001);
  }
});

t.test('a session that another agent carries outlives the removal of one', async t => {
  const desk = new Desk();
  const { id } = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24', '--ack', 'all');
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const lines = [desk.connect(await desk.agent(id!, 'one')), desk.connect(await desk.agent(id!, 'two'))];
  const granted = await desk.sessions.authorise(
    await desk.login(desk.device(user), user, id!),
    'x',
    () => true,
  );
  const session = granted.ok ? granted.session.id : '';
  t.equal(desk.admin<{ ended: number }>('agent', 'remove', 'a_one').ended, 0);
  t.same(
    lines[0]!.of('revoke').map(frame => frame.id),
    [session],
  );
  t.equal(desk.store.sessions.session(session)?.status, 'active');
});
