// Sessions while the database takes nothing: gateways are told at once, the store later, and nothing that ended comes back.

import t from 'tap';
import type { SessionEvent } from '../../../src/control/clientapi/bodies.ts';
import { Owed } from '../../../src/core/sessions/owed.ts';
import type { End } from '../../../src/core/sessions/owed.ts';
import { StoreTrouble } from '../../../src/core/store/trouble.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';

function readOnly(desk: Desk, on: boolean): void {
  desk.store.db.get(`PRAGMA query_only = ${on ? 1 : 0}`);
}

t.test('ended with a database that takes nothing', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const place = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24', '--lease', '60')['id']!;
  const agent = await desk.agent(place);
  const line = desk.connect(agent);
  const device = desk.device(user);
  const logIn = async (): ReturnType<Desk['sessions']['authorise']> =>
    desk.sessions.authorise(await desk.login(device, user, place), '192.0.2.1', () => true);
  const first = await logIn();
  if (!first.ok) throw new Error(first.code);
  const { session } = first;
  const seen: SessionEvent[] = [];
  desk.sessions.watch(session, event => seen.push(event));

  readOnly(desk, true);
  await t.rejects(logIn(), { code: 'store-read-only' });
  t.equal(desk.sessions.end(session.id, 'revoked-admin', 'admin'), true);
  t.match(line.of('revoke').at(-1), { id: session.id, reason: 'revoked-admin' }, 'the gateway is told');
  t.match(seen.at(-1), { event: 'ended', reason: 'revoked-admin' }, 'watchers are told');
  t.equal(desk.sessions.end(session.id, 'revoked-admin', 'admin'), false, 'once');
  t.equal(
    desk.sessions.endWhere(() => true, 'policy', 'admin'),
    0,
  );
  t.same(desk.sessions.snapshot(agent.id), [], 'a gateway that comes again is not given it');
  desk.sessions.watch(session, event => seen.push(event));
  t.match(seen.at(-1), { event: 'ended' });
  t.throws(() => desk.pass(1000), { code: 'store-read-only' }, 'the tick tells its caller');
  t.equal(desk.store.sessions.session(session.id)!.status, 'active', 'not written down yet');

  readOnly(desk, false);
  const endedAt = desk.now - 1000;
  desk.pass(1000);
  t.match(desk.store.sessions.session(session.id), { status: 'ended', reason: 'revoked-admin', endedAt });
  t.match(desk.store.audit.entries(1), [{ record: { what: 'session.ended', session: session.id } }]);
  t.ok((await logIn()).ok, 'logins work again');
});

t.test('an activation that cannot be written leaves nothing', async t => {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada')['id']!;
  const place = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24')['id']!;
  const line = desk.connect(await desk.agent(place));
  const { activate } = desk.store.sessions;
  desk.store.sessions.activate = (): boolean => {
    throw new StoreTrouble('store-full', null);
  };
  const login = await desk.login(desk.device(user), user, place);
  await t.rejects(
    desk.sessions.authorise(login, '192.0.2.1', () => true),
    { code: 'store-full' },
  );
  desk.store.sessions.activate = activate;
  t.match(line.of('revoke').at(-1), { reason: 'policy' });
  t.same(desk.store.sessions.live(), []);
});

t.test('kept in order, asked once, and errors of ours are not kept', async t => {
  const written: string[] = [];
  let fault: Error | null = new StoreTrouble('store-locked', null);
  let asked = 0;
  const owed = new Owed(ends => {
    asked++;
    if (fault !== null) throw fault;
    written.push(...ends.map(({ session }) => session.id));
  });
  const end = (id: string): End => ({
    session: { id } as End['session'],
    reason: 'policy',
    who: 'core',
    at: 1,
  });
  owed.record(end('a'));
  owed.record(end('b'));
  t.equal(asked, 1);
  t.ok(owed.has('a') && owed.has('b'));
  t.throws(() => owed.settle(), StoreTrouble);
  fault = null;
  owed.settle();
  owed.settle();
  t.same(written, ['a', 'b']);
  t.notOk(owed.has('a'));
  fault = new Error('bug');
  t.throws(() => owed.record(end('c')), /bug/);
  t.notOk(owed.has('c'));
});
