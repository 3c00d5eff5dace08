// Sessions in virtual time: acknowledgement, supersession, several agents, leases, snapshots, ends and who is told.

import t from 'tap';
import type { SessionEvent } from '../../../src/control/clientapi/bodies.ts';
import type { NotAuthorised, Authorised } from '../../../src/core/sessions/authorised.ts';
import type { Agent } from '../../../src/core/store/places.ts';
import { Desk } from '../../fixtures/fakes/memorystore.ts';
import type { Line } from '../../fixtures/fakes/memorystore.ts';

interface Scene {
  desk: Desk;
  user: string;
  place: string;
  device: ReturnType<Desk['device']>;
  agent: Agent;
  line: Line;
}

async function scene(...options: string[]): Promise<Scene> {
  const desk = new Desk();
  const user = desk.admin('user', 'add', 'ada', '--groups', 'dev')['id']!;
  const place = desk.admin('location', 'add', 'office', '--network', '10.77.0.0/24', ...options)['id']!;
  const device = desk.device(user);
  const agent = await desk.agent(place);
  return { desk, user, place, device, agent, line: desk.connect(agent) };
}

async function logIn(
  { desk, user, place, device }: Scene,
  commit = (): boolean => true,
): Promise<Authorised | NotAuthorised> {
  return desk.sessions.authorise(await desk.login(device, user, place), '192.0.2.1', commit);
}

async function granted(s: Scene): Promise<Authorised['session']> {
  const result = await logIn(s);
  if (!result.ok) throw new Error(result.code);
  return result.session;
}

const counters = { rx: 1, tx: 2, handshakes: 3 };

t.test('active only after the acknowledgement', async t => {
  const s = await scene();
  const session = await granted(s);
  t.equal(s.desk.store.sessions.session(session.id)!.status, 'active');
  t.equal(s.line.of('grant').length, 1);
  t.match(s.desk.store.audit.entries(1), [
    { record: { what: 'session.granted', who: 'ada', from: '192.0.2.1', method: 'totp' } },
  ]);
});

t.test('no agent, silent agent, refusing agent, somebody faster', async t => {
  const s = await scene();
  s.line.answer = 'nothing';
  const slow = logIn(s);
  const waiting = new Promise<void>(resolve => {
    const poll = setInterval(() => {
      if (s.line.of('grant').length === 0) return;
      clearInterval(poll);
      resolve();
    }, 1);
  });
  await waiting;
  s.desk.pass(4000);
  s.desk.pass(1000);
  t.match(await slow, { ok: false, code: 'agent-timeout' });
  t.equal(s.line.of('revoke').at(-1)!.reason, 'policy', 'in case it was installed after all');
  s.line.answer = 'refused';
  t.match(await logIn(s), { ok: false, code: 'agent-refused', detail: 'policy-ips' });
  t.match(await logIn(s, () => false), { ok: false, code: 'denied' });
  s.desk.sessions.hub.disconnect(s.agent.id, s.line);
  let asked = false;
  t.match(await logIn(s, () => (asked = true)), { ok: false, code: 'no-agent' });
  t.notOk(asked, 'no code was used up');
  t.same(s.desk.store.sessions.live(), []);
});

t.test('an administrator who is faster than the agent', async t => {
  const s = await scene();
  t.match(
    await logIn(s, () => {
      s.desk.store.people.changeUser(s.user, { disabled: true });
      return true;
    }),
    { ok: true },
    'decided before',
  );
  t.match(await logIn(s), { ok: false, code: 'denied' }, 'and not after');
});

t.test('a newer login supersedes; the agent’s own grant replaces, no revoke', async t => {
  const s = await scene();
  const first = await granted(s);
  const told: SessionEvent[] = [];
  s.desk.sessions.watch(first, event => told.push(event));
  const second = await granted(s);
  t.ok(second.epoch > first.epoch);
  t.match(s.desk.store.sessions.session(first.id), { status: 'ended', reason: 'superseded' });
  t.equal(s.line.of('revoke').length, 0);
  t.same(
    told.map(event => event.event),
    ['state', 'ended'],
  );
});

t.test('a failed second login takes the first one along only at agents that may have it', async t => {
  const s = await scene();
  const first = await granted(s);
  s.line.answer = 'refused';
  t.equal((await logIn(s)).ok, false);
  t.equal(s.desk.store.sessions.session(first.id)!.status, 'active', 'the running session stays');
  t.equal(s.line.of('revoke').length, 0, 'a refused grant needs no revoke');
});

t.test('two agents', async t => {
  const s = await scene();
  const other = await s.desk.agent(s.place, 'two');
  const line = s.desk.connect(other);
  const session = await granted(s);
  await new Promise(resolve => setImmediate(resolve));
  t.same(
    s.desk.store.sessions.grants(session.id).map(grant => grant.state),
    ['acked', 'acked'],
  );
  line.hear({ type: 'session', id: session.id, event: 'confirmed', counters, endpoint: '198.51.100.1:9' });
  s.line.hear({ type: 'session', id: session.id, event: 'ended', reason: 'unclaimed', counters });
  t.equal(s.desk.store.sessions.session(session.id)!.status, 'active', 'the client is at the other one');
  line.hear({ type: 'session', id: session.id, event: 'ended', reason: 'stale', counters });
  t.match(s.desk.store.sessions.session(session.id), { status: 'ended', reason: 'stale' });
});

t.test('ack: all', async t => {
  const s = await scene('--ack', 'all');
  const other = await s.desk.agent(s.place, 'two');
  s.desk.connect(other, 'refused');
  t.equal((await logIn(s)).ok, true, 'a refusal is an answer, too');
});

t.test('an admin’s end at one agent ends it at the other', async t => {
  const s = await scene();
  const other = await s.desk.agent(s.place, 'two');
  const line = s.desk.connect(other);
  const session = await granted(s);
  s.line.hear({ type: 'session', id: session.id, event: 'ended', reason: 'expired', counters });
  t.equal(line.of('revoke').at(-1)!.id, session.id);
});

t.test('leases are renewed in time, and only while permitted', async t => {
  const s = await scene('--lease', '90');
  const session = await granted(s);
  s.desk.pass(300_000);
  const renewals = s.line.of('renew');
  t.ok(renewals.length >= 8, `${renewals.length} renewals`);
  t.ok(s.desk.store.sessions.session(session.id)!.leaseUntil > s.desk.now + 30_000);
  s.desk.sessions.hub.disconnect(s.agent.id, s.line);
  const before = s.desk.store.sessions.session(session.id)!.leaseUntil;
  s.desk.pass(60_000);
  t.equal(s.desk.store.sessions.session(session.id)!.leaseUntil, before, 'nobody heard of it');
  s.desk.store.people.changeUser(s.user, { disabled: true });
  s.desk.pass(12_000);
  t.match(s.desk.store.sessions.session(session.id), { status: 'ended', reason: 'policy' });
});

t.test('the snapshot has what lives, with a fresh lease', async t => {
  const s = await scene('--lease', '600');
  const session = await granted(s);
  const ended = s.desk.device(s.user, 'phone');
  const gone = await granted({ ...s, device: ended });
  s.desk.sessions.end(gone.id, 'revoked-admin', 'admin');
  s.desk.pass(3_000);
  s.desk.now += 500_000; // Core was away
  s.desk.newSessions();
  const line = s.desk.connect(s.agent);
  const [snapshot] = line.of('snapshot');
  t.equal(snapshot!.grants.length, 1);
  t.equal(snapshot!.grants[0]!.until, s.desk.now + 600_000);
  t.equal(s.desk.store.sessions.session(session.id)!.status, 'active');
});

t.test('what was pending when Core died is over when it returns', async t => {
  const s = await scene();
  const session = await granted(s);
  s.desk.store.db.run("UPDATE sessions SET status = 'pending' WHERE id = ?", session.id);
  s.desk.newSessions();
  t.match(s.desk.store.sessions.session(session.id), { status: 'ended', reason: 'policy' });
  t.same(s.desk.connect(s.agent).of('snapshot'), []);
});

t.test('expiry, warnings, and an agent that lost everything', async t => {
  const s = await scene('--max-life', '900', '--lease', '0');
  const session = await granted(s);
  const told: SessionEvent[] = [];
  s.desk.sessions.watch(session, event => told.push(event));
  s.desk.pass(910_000);
  t.same(
    told.map(event =>
      event.event === 'warn'
        ? Math.round(event.secondsLeft / 60)
        : event.event === 'ended'
          ? event.reason
          : event.event,
    ),
    ['state', 10, 2, 'expired'],
  );
  const second = await granted(s);
  s.line.hear({ type: 'refused', id: second.id, code: 'ended' });
  s.desk.pass(5000);
  t.match(s.desk.store.sessions.session(second.id), { status: 'ended', reason: 'agent-stopped' });
});

t.test('agents speak only of what they were given', async t => {
  const s = await scene();
  const elsewhere = s.desk.admin('location', 'add', 'lab', '--network', '10.78.0.0/24')['id']!;
  const stranger = await s.desk.agent(elsewhere, 'stranger');
  const line = s.desk.connect(stranger);
  const session = await granted(s);
  line.hear({ type: 'session', id: session.id, event: 'ended', reason: 'stale', counters });
  line.hear({ type: 'session', id: session.id, event: 'confirmed', counters });
  line.hear({ type: 'session', id: session.id, event: 'roamed', counters });
  line.hear({
    type: 'stats',
    bootId: 'b',
    sessions: [{ id: session.id, rx: 5, tx: 5, handshakes: 1, sinceHandshakeMs: 0 }],
  });
  line.hear({ type: 'granted', id: session.id });
  line.hear({ type: 'refused', id: session.id, code: 'seal' });
  t.match(s.desk.store.sessions.session(session.id), { status: 'active', confirmedAt: null, rx: 0 });
  s.line.hear({
    type: 'stats',
    bootId: 'b',
    sessions: [{ id: session.id, rx: 5, tx: 6, handshakes: 1, sinceHandshakeMs: 0 }],
  });
  s.line.hear({ type: 'session', id: session.id, event: 'roamed', counters, endpoint: '192.0.2.8:1' });
  t.match(s.desk.store.sessions.session(session.id), { rx: 5, tx: 6, handshakes: 1 });
});

t.test('watchers are bounded, and late ones hear the end', async t => {
  const s = await scene();
  const session = await granted(s);
  const stops = Array.from({ length: 8 }, () => s.desk.sessions.watch(session, () => {}));
  t.equal(
    s.desk.sessions.watch(session, () => {}),
    null,
  );
  for (const stop of stops) stop!();
  t.type(
    s.desk.sessions.watch(session, () => {}),
    'function',
  );
  s.desk.sessions.end(session.id, 'idle', 'core');
  t.equal(s.desk.sessions.end(session.id, 'idle', 'core'), false);
  const told: SessionEvent[] = [];
  s.desk.sessions.watch(s.desk.store.sessions.session(session.id)!, event => told.push(event));
  t.same(told, [{ event: 'ended', reason: 'idle' }]);
});

t.test('group changes end what they forbid', async t => {
  const s = await scene('--groups', 'dev');
  const session = await granted(s);
  s.desk.admin('user', 'groups', 'ada', 'ops');
  t.match(s.desk.store.sessions.session(session.id), { status: 'ended', reason: 'policy' });
  t.equal(s.line.of('revoke').at(-1)!.reason, 'policy');
  t.equal((await logIn(s)).ok, false);
});

t.test('a full network', async t => {
  const s = await scene();
  s.desk.admin('location', 'set', 'office', '--network', '10.79.0.0/30');
  await granted(s);
  t.match(await logIn({ ...s, device: s.desk.device(s.user, 'two') }), { ok: false, code: 'network-full' });
});

t.test('a clock that is set back keeps leases going', async t => {
  const s = await scene('--lease', '90');
  await granted(s);
  s.desk.pass(10_000);
  s.desk.now -= 3_600_000;
  const before = s.line.of('renew').length;
  s.desk.pass(300_000);
  t.ok(s.line.of('renew').length >= before, 'no throw, and no flood');
  t.ok(s.line.of('renew').length < before + 20);
  t.equal(s.desk.store.sessions.live().length, 1);
});
