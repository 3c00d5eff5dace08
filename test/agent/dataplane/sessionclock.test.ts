import t from 'tap';
import type { EndReason } from '../../../src/control/clientapi/reasons.ts';
import { type Session, type SessionGrant, Sessions } from '../../../src/agent/dataplane/sessionclock.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

class FakePeer {
  lastHandshakeAt = 0;
  lastDataReceivedAt = 0;
}

function grant(change: Partial<SessionGrant> = {}): SessionGrant {
  return {
    id: 'g1',
    epoch: 1,
    device: 'aa',
    user: 'u1',
    staleAfterMs: 180 * second,
    idleAfterMs: 0,
    claimWithinMs: minute,
    leaseMs: 0,
    expiresInMs: 12 * hour,
    ...change,
  };
}

/** Polls at every deadline until `until`; the returned ends carry the time `poll` was called at. */
function run(sessions: Sessions, until: number): { at: number; id: string; reason: EndReason }[] {
  const ends: { at: number; id: string; reason: EndReason }[] = [];
  while (sessions.nextDeadline <= until) {
    const at = sessions.nextDeadline;
    sessions.poll(at, (session, reason) => ends.push({ at, id: session.id, reason }));
  }
  return ends;
}

function opened(
  change: Partial<SessionGrant> = {},
  now = 1000,
): { sessions: Sessions; peer: FakePeer; session: Session } {
  const sessions = new Sessions();
  const peer = new FakePeer();
  sessions.open(now, grant(change), 3, peer);
  return { sessions, peer, session: sessions.of(3)! };
}

function handshake(sessions: Sessions, peer: FakePeer, now: number): boolean {
  peer.lastHandshakeAt = now;
  return sessions.handshake(now, 3);
}

t.test('no handshake within the claim time', async t => {
  const { sessions } = opened();
  t.strictSame(run(sessions, 20 * hour), [{ at: 61_000, id: 'g1', reason: 'unclaimed' }]);
  t.equal(sessions.size, 0);
  t.equal(sessions.nextDeadline, Infinity);
});

t.test('stale fires at lastHandshakeAt + staleAfter, to the millisecond', async t => {
  const { sessions, peer } = opened();
  t.equal(handshake(sessions, peer, 2000), true, 'the first one claims');
  t.equal(handshake(sessions, peer, 122_000.25), false);
  sessions.poll(122_000.25 + 179_999.75, () => t.fail('too early'));
  t.strictSame(run(sessions, 20 * hour), [{ at: 122_000.25 + 180_000, id: 'g1', reason: 'stale' }]);
});

t.test('a handshake the session was not told of still counts', async t => {
  const { sessions, peer } = opened();
  handshake(sessions, peer, 2000);
  peer.lastHandshakeAt = 100_000;
  t.strictSame(run(sessions, hour), [{ at: 280_000, id: 'g1', reason: 'stale' }]);
});

t.test('idle counts from the first handshake, then from data of the peer', async t => {
  const { sessions, peer } = opened({ idleAfterMs: 30 * second, staleAfterMs: 0 });
  handshake(sessions, peer, 5000);
  peer.lastDataReceivedAt = 20_000;
  handshake(sessions, peer, 40_000);
  t.strictSame(run(sessions, hour), [{ at: 50_000, id: 'g1', reason: 'idle' }]);
  const silent = opened({ idleAfterMs: 30 * second });
  handshake(silent.sessions, silent.peer, 5000);
  t.strictSame(run(silent.sessions, hour), [{ at: 35_000, id: 'g1', reason: 'idle' }]);
});

t.test('age, however busy', async t => {
  const { sessions, peer } = opened({ expiresInMs: 5 * minute });
  for (let now = 2000; now < 290_000; now += 10_000) handshake(sessions, peer, now);
  t.strictSame(run(sessions, hour), [{ at: 301_000, id: 'g1', reason: 'expired' }]);
});

t.test('lease: renewed, never shortened, then over', async t => {
  const { sessions, peer } = opened({ leaseMs: 2 * minute, staleAfterMs: 0 });
  handshake(sessions, peer, 2000);
  t.equal(sessions.renew(60_000, 'g1', 4 * minute), true);
  t.equal(sessions.renew(61_000, 'g1', second), true);
  t.equal(sessions.renew(61_000, 'g0', minute), false, 'unknown grant');
  t.strictSame(run(sessions, hour), [{ at: 300_000, id: 'g1', reason: 'lease' }]);
});

t.test('the more final reason wins a tie', async t => {
  for (const [change, reason] of [
    [{ expiresInMs: minute, leaseMs: minute }, 'expired'],
    [{ leaseMs: minute }, 'lease'],
    [{}, 'unclaimed'],
  ] as const) {
    const { sessions } = opened(change);
    t.equal(run(sessions, hour)[0]!.reason, reason);
  }
  const { sessions, peer } = opened({ idleAfterMs: minute, staleAfterMs: minute });
  handshake(sessions, peer, 2000);
  t.equal(run(sessions, hour)[0]!.reason, 'stale');
});

t.test('a newer login of the device supersedes and needs a handshake of its own', async t => {
  const { sessions, peer } = opened();
  handshake(sessions, peer, 2000);
  const before = sessions.open(10_000, grant({ id: 'g2', epoch: 2 }), 3, peer);
  t.equal(before?.id, 'g1');
  t.equal(sessions.size, 1);
  t.equal(sessions.byId('g1'), undefined);
  t.equal(sessions.byDevice('aa')?.id, 'g2');
  t.strictSame(run(sessions, hour), [{ at: 70_000, id: 'g2', reason: 'unclaimed' }]);
});

t.test('the same grant again only extends the lease', async t => {
  const { sessions, peer } = opened({ leaseMs: minute });
  handshake(sessions, peer, 2000);
  t.equal(sessions.open(30_000, grant({ leaseMs: minute }), 3, peer), null);
  t.equal(sessions.of(3)!.leaseUntil, 90_000);
  t.equal(sessions.of(3)!.claimedAt, 2000);
});

t.test('refusals', async t => {
  const { sessions } = opened({ epoch: 5 });
  t.equal(sessions.refusal(grant({ epoch: 5 })), null, 'the same grant');
  t.equal(sessions.refusal(grant({ id: 'g2', epoch: 5 })), 'older-epoch');
  t.equal(sessions.refusal(grant({ id: 'g2', epoch: 4 })), 'older-epoch');
  t.equal(sessions.refusal(grant({ id: 'g2', epoch: 6 })), null);
  t.equal(sessions.refusal(grant({ id: 'g2', epoch: 6, expiresInMs: 0 })), 'already-over');
  t.equal(sessions.refusal(grant({ id: 'g2', epoch: 6, expiresInMs: NaN })), 'already-over');
  const small = new Sessions(1);
  small.open(0, grant(), 0, new FakePeer());
  t.equal(small.refusal(grant({ id: 'x', device: 'bb' })), 'too-many-peers');
});

t.test('close stops the clocks', async t => {
  const { sessions } = opened();
  t.equal(sessions.close(3)?.id, 'g1');
  t.equal(sessions.close(3), null);
  t.equal(sessions.nextDeadline, Infinity);
  t.equal(sessions.handshake(5, 3), false);
});

t.test('roaming', async t => {
  const { sessions } = opened({ onRoam: 'reauth' });
  t.equal(sessions.seenAt(3, '192.0.2.1'), 'first');
  t.equal(sessions.seenAt(3, '192.0.2.1'), 'same');
  t.equal(sessions.seenAt(3, '192.0.2.2'), 'roamed');
  t.equal(sessions.seenAt(9, '192.0.2.2'), 'same', 'no session');
  const ignoring = opened();
  ignoring.sessions.seenAt(3, 'a');
  t.equal(ignoring.sessions.seenAt(3, 'b'), 'moved');
});

t.test('state for people', async t => {
  const { sessions, peer } = opened();
  const before = sessions.of(3)!.state(2000, 1_700_000_001_000);
  t.match(before, {
    id: 'g1',
    confirmed: false,
    staleInMs: Infinity,
    claimInMs: 59_000,
    sinceWallMs: 1_700_000_000_000,
  });
  handshake(sessions, peer, 3000);
  t.match(sessions.of(3)!.state(4000, 0), {
    confirmed: true,
    staleInMs: 179_000,
    claimInMs: Infinity,
    idleInMs: Infinity,
  });
  t.equal([...sessions].length, 1);
});

// The slow twin: looks at every session at every tick of the clock and applies the rules as they are written.
class SlowSession {
  ended: EndReason | null = null;
  readonly grant: SessionGrant;
  readonly openedAt: number;
  handshakes: number[] = [];
  data: number[] = [];
  leaseUntil: number;

  constructor(now: number, grant: SessionGrant) {
    this.grant = grant;
    this.openedAt = now;
    this.leaseUntil = grant.leaseMs ? now + grant.leaseMs : Infinity;
  }

  look(now: number): EndReason | null {
    const { grant, handshakes } = this;
    const last = handshakes.at(-1);
    if (now >= this.openedAt + grant.expiresInMs) return 'expired';
    if (now >= this.leaseUntil) return 'lease';
    if (last === undefined)
      return grant.claimWithinMs && now >= this.openedAt + grant.claimWithinMs ? 'unclaimed' : null;
    if (grant.staleAfterMs && now >= last + grant.staleAfterMs) return 'stale';
    if (grant.idleAfterMs && now >= Math.max(handshakes[0]!, this.data.at(-1) ?? 0) + grant.idleAfterMs)
      return 'idle';
    return null;
  }
}

t.test('against a slow twin, 20 virtual hours', async t => {
  const seed = seedOf(20250101);
  const { below, chance, pick, u32 } = seeded(seed);
  const sessions = new Sessions();
  const peers = Array.from({ length: 12 }, () => new FakePeer());
  const twins: (SlowSession | null)[] = peers.map(() => null);
  const tick = 250;
  let serial = 0;
  const counts = new Map<string, number>();
  let polls = 0;
  // Both start at a round time and everything happens on ticks, so that ends must agree exactly.
  for (let now = tick; now <= 20 * hour; now += tick) {
    // The twin looks first: what is due at this moment is due before anything else happens in it.
    const expected: string[] = [];
    for (const [slot, twin] of twins.entries()) {
      const reason = twin?.look(now) ?? null;
      if (reason === null) continue;
      expected.push(`${slot} ${twin!.grant.id} ${reason}`);
      counts.set(reason, (counts.get(reason) ?? 0) + 1);
      twins[slot] = null;
    }
    const got: string[] = [];
    if (sessions.nextDeadline <= now) {
      polls++;
      sessions.poll(now, (session, reason) => got.push(`${session.slot} ${session.id} ${reason}`));
    }
    if (got.sort().join() !== expected.sort().join()) {
      t.strictSame(got, expected, `seed ${seed}, at ${now}`);
      return;
    }
    if (chance(0.9)) continue;
    const slot = below(peers.length);
    const peer = peers[slot]!;
    const twin = twins[slot];
    const dice = u32() / 2 ** 32;
    if (!twin || dice < 0.002) {
      const fresh = grant({
        id: `g${++serial}`,
        epoch: serial,
        device: `d${slot}`,
        staleAfterMs: pick([180, 180, 300]) * second,
        idleAfterMs: pick([0, 0, 20, 600]) * second,
        claimWithinMs: pick([60, 60, 0]) * second,
        leaseMs: pick([0, 900, 60]) * second,
        expiresInMs: pick([12 * 3600, 600, 45]) * second,
      });
      t.equal(sessions.refusal(fresh), null);
      sessions.open(now, fresh, slot, peer);
      twins[slot] = new SlowSession(now, fresh);
    } else if (dice < 0.3) {
      peer.lastHandshakeAt = now;
      sessions.handshake(now, slot);
      if (now > twin.openedAt) twin.handshakes.push(now);
    } else if (dice < 0.9) {
      peer.lastDataReceivedAt = now;
      twin.data.push(now);
    } else {
      const extra = pick([60, 900, 5]) * second;
      sessions.renew(now, twin.grant.id, extra);
      if (now + extra > twin.leaseUntil) twin.leaseUntil = now + extra;
    }
  }
  for (const reason of ['expired', 'lease', 'unclaimed', 'stale', 'idle']) {
    t.ok((counts.get(reason) ?? 0) > 5, `${reason} happened ${counts.get(reason)} times`);
  }
  t.ok(polls < (20 * hour) / tick / 10, `${polls} polls: a sleeping gateway is not woken for nothing`);
});
