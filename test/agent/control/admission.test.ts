import t, { type Test } from 'tap';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Admission } from '../../../src/agent/control/admission.ts';
import { CoreClock } from '../../../src/agent/control/coreclock.ts';
import { GrantStore } from '../../../src/agent/control/grantstore.ts';
import { type Enrolment, type Identity, loadIdentity } from '../../../src/agent/control/identity.ts';
import { parsePrefix } from '../../../src/util/inet.ts';
import type { SessionEvent } from '../../../src/agent/dataplane/commands.ts';
import type { Grant, LocalPolicy } from '../../../src/control/trust/grant.ts';
import { generateKemKeyPair, seal } from '../../../src/control/trust/seal.ts';
import { generateSignKeyPair, generateX25519KeyPair } from '../../../src/control/trust/keys.ts';
import { createLog } from '../../../src/control/log.ts';
import { toBase64, toHex } from '../../../src/util/bytes.ts';
import { FakeCore, type Minted } from '../../fixtures/fakes/fakecore.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';

const start = Date.UTC(2026, 5, 1);
let identity: Identity;

t.before(async () => {
  identity = await loadIdentity(t.testdir(), true, () => undefined);
});

interface Setup {
  core: FakeCore;
  link: FakeLink;
  store: GrantStore;
  admission: Admission;
  enrolment: Enrolment;
  events: SessionEvent[];
  lines: string[];
  policy: { -readonly [K in keyof LocalPolicy]: LocalPolicy[K] };
  clock: { ms: number };
  /** The same gateway after a restart: new data plane, same disk. */
  restart(): Setup;
}

function setup(
  t: Test,
  disk?: string,
  clock: { ms: number } = { ms: start },
  core: FakeCore = new FakeCore(),
): Setup {
  // Before there is a directory, or it would be removed first, and the last write meet that.
  t.teardown(() => store.flush());
  const directory = disk ?? t.testdir();
  core.now = () => clock.ms;
  core.kemPublicKey = identity.kem.publicKey;
  const link = new FakeLink();
  const store = GrantStore.load({
    path: join(directory, 'grants.json'),
    agentId: core.agentId,
    warn: () => undefined,
  });
  const enrolment = {
    agentId: core.agentId,
    location: core.location,
    coreKeys: [core.sign.publicKey],
    config: core.config,
  };
  const policy = { maxLifeMs: 12 * 3_600_000, minStale: 180, ranges: [], maxPeers: 100 } as Setup['policy'];
  const events: SessionEvent[] = [];
  const lines: string[] = [];
  const admission = new Admission({
    link,
    store,
    identity,
    enrolment,
    clock: new CoreClock(
      () => clock.ms - 7,
      () => clock.ms,
      start - 1000,
    ),
    policy: () => policy,
    log: createLog({ level: 'debug', write: line => lines.push(line) }),
    onSession: event => events.push(event),
  });
  const restart = (): Setup => setup(t, directory, clock, core);
  return { core, link, store, admission, enrolment, events, lines, policy, clock, restart };
}

const hexOf = (device: string): string => Buffer.from(device, 'base64').toString('hex');

function ended({ id, device }: Minted, reason: SessionEvent['reason']): SessionEvent {
  return {
    ev: 'session',
    kind: 'ended',
    id,
    device: hexOf(device),
    ...(reason !== undefined && { reason }),
    counters: { rx: 10, tx: 20, handshakes: 2 },
    sinceHandshakeMs: 180_000.4,
    endpoint: '192.0.2.1:5',
  };
}

t.test('a good grant becomes a peer', async t => {
  const { core, link, store, admission, lines } = setup(t);
  const psk = new Uint8Array(randomBytes(32));
  const minted = await core.mint(
    { idle: 600, grace: 30, onRoam: 'reauth', ips: ['10.77.0.2/32', 'fd00::2/128'] },
    psk,
  );
  t.strictSame(await admission.grant(minted.grant, minted.until), { ok: true, id: minted.id });
  const [asked] = link.asks('grant');
  t.match(asked!.grant, {
    id: minted.id,
    epoch: 1,
    user: 'u_anna',
    psk,
    staleAfterMs: 180_000,
    idleAfterMs: 600_000,
    claimWithinMs: 60_000,
    leaseMs: 930_000,
    expiresInMs: 3_600_000,
    onRoam: 'reauth',
  });
  t.equal(toBase64(asked!.grant.device), minted.device);
  t.equal(asked!.grant.allowedIps.length, 2);
  t.equal(store.liveCount, 1);
  t.equal(admission.results.get('granted'), 1);
  t.notMatch(lines.join(), toBase64(psk).slice(0, 20));
  t.notMatch(lines.join(), minted.grant.slice(4, 40), 'no grant in the log');

  t.strictSame(
    await admission.grant(minted.grant, minted.until + 60_000),
    { ok: true, id: minted.id },
    'Core repeats itself',
  );
  t.equal(link.asks('grant').length, 1, 'only acknowledged');
  t.strictSame(
    link.asks('renew').map(({ id, untilMs }) => ({ id, untilMs })),
    [{ id: minted.id, untilMs: 990_000 }],
    'and the lease is the newer one',
  );
});

t.test('each failure has its code, before anything changes', async t => {
  const { core, link, store, admission, policy, lines } = setup(t);
  policy.ranges = [parsePrefix('10.77.0.0/16')!];
  policy.maxPeers = 1;
  const impostor = new FakeCore();
  impostor.now = core.now;
  impostor.kemPublicKey = core.kemPublicKey;
  const otherAgent = generateKemKeyPair('x25519').publicKey;
  const transcript = {
    grant: 's_x',
    device: toBase64(generateX25519KeyPair().publicKey),
    location: 'l',
    login: '',
  };
  const foreign = seal(otherAgent, 'agent', transcript, randomBytes(32), { allowX25519: true })!;
  const good = (await core.mint()).grant;
  const cases: [string, string, Partial<Grant> | string][] = [
    ['size', 'too long', `sp1.${'A'.repeat(9000)}.${'A'.repeat(86)}`],
    ['form', 'rubbish', 'sp1.x'],
    ['form', 'another scheme', good.replace('sp1.', 'sp2.')],
    [
      'signature',
      'a bit of the payload changed',
      good.replace(/^sp1\.(.)/, (_, c: string) => `sp1.${c === 'e' ? 'f' : 'e'}`),
    ],
    ['signature', 'somebody else signed', (await impostor.mint()).grant],
    ['audience', 'for another location', { aud: 'loc_other' }],
    ['version', 'a newer version', { v: 2 as 1 }],
    ['not-yet', 'from the future', { iat: start + 60_000, nbf: start + 60_000 }],
    ['expired', 'over', { iat: start - 7_200_000, nbf: start - 7_200_000, exp: start - 1 }],
    ['policy-life', 'too long a life', { exp: start + 13 * 3_600_000 }],
    ['policy-stale', 'too impatient', { stale: 60 }],
    ['policy-ips', 'an address that is not ours to give', { ips: ['10.77.0.2/32', '10.78.0.2/32'] }],
    ['policy-ips', 'the whole internet', { ips: ['0.0.0.0/0'] }],
    ['seal', 'sealed to another agent', { psk: foreign }],
  ];
  for (const [code, name, what] of cases) {
    const minted = typeof what === 'string' ? null : await core.mint({ id: 's_bad', ...what });
    const verdict = await admission.grant(minted?.grant ?? (what as string), start + 900_000);
    t.match(verdict, { ok: false, code }, name);
    if (minted !== null) t.equal(verdict.id, 's_bad');
  }
  const zero = await core.mint({}, new Uint8Array(32));
  t.match(await admission.grant(zero.grant, zero.until), { ok: false, code: 'seal' }, 'no PSK is no grant');
  const over = await core.mint();
  t.match(
    await admission.grant(over.grant, start - 1),
    { ok: false, code: 'expired' },
    'the lease is over already',
  );
  t.equal(link.asked.length, 0, 'the data plane was not touched');
  t.equal(store.liveCount, 0);
  t.ok([...admission.results.values()].reduce((sum, n) => sum + n, 0) >= cases.length);

  const first = await core.mint();
  t.ok((await admission.grant(first.grant, first.until)).ok);
  const second = await core.mint();
  t.match(await admission.grant(second.grant, second.until), { ok: false, code: 'policy-peers' });
  t.match(lines.join(), /grant refused session=s_bad why=policy-life/);
});

t.test('what the data plane refuses', async t => {
  const { core, link, store, admission } = setup(t);
  link.refuseNext = 'address-taken';
  const minted = await core.mint();
  t.match(await admission.grant(minted.grant, minted.until), { ok: false, code: 'policy-ips' });
  t.equal(store.liveCount, 0);
  link.isGone = true;
  t.match(await admission.grant(minted.grant, minted.until), { ok: false, code: 'busy' });
  link.isGone = false;
  t.match(await admission.grant(minted.grant, minted.until), { ok: true }, 'and may be asked again');
});

t.test('epochs', async t => {
  const { core, link, admission } = setup(t);
  const device = toBase64(generateX25519KeyPair().publicKey);
  const mint = (epoch: number): Promise<Minted> => core.mint({ device, epoch });
  const [one, two, three] = [await mint(1), await mint(2), await mint(3)];
  t.ok((await admission.grant(two.grant, two.until)).ok);
  t.match(
    await admission.grant(one.grant, one.until),
    { code: 'epoch' },
    'an older login does not come back',
  );
  const twin = await mint(2);
  t.match(await admission.grant(twin.grant, twin.until), { code: 'epoch' }, 'nor another of the same epoch');
  t.ok((await admission.grant(three.grant, three.until)).ok, 'a newer login takes over');
  t.equal(link.grants.get(hexOf(device))!.id, three.id);
  await admission.revoke(two.id, device, 2, 'revoked-admin');
  t.equal(link.grants.size, 1, 'a revoke of an older login leaves the newer one alone');
  await admission.revoke(three.id, device, 3, 'revoked-admin');
  t.equal(link.grants.size, 0);
  t.match(await admission.grant(three.grant, three.until), { code: 'ended' });
  t.match(await admission.grant(two.grant, two.until), { code: 'epoch' });
  const unseen = toBase64(generateX25519KeyPair().publicKey);
  await admission.revoke('s_unseen', unseen, 5, 'policy');
  const late = await core.mint({ device: unseen, epoch: 5 });
  t.match(
    await admission.grant(late.grant, late.until),
    { code: 'epoch' },
    'a revoke that overtook its grant wins',
  );
});

t.test('ends of the data plane', async t => {
  const { core, link, store, admission, events } = setup(t);
  const minted = await core.mint();
  await admission.grant(minted.grant, minted.until);
  link.emit({ ...ended(minted, undefined), kind: 'confirmed' });
  link.emit(ended(minted, 'agent-stopped'));
  t.equal(store.liveCount, 1, 'we stop, the session does not');
  link.emit(ended(minted, 'stale'));
  t.equal(store.liveCount, 0);
  t.strictSame(store.reports(), [
    {
      id: minted.id,
      reason: 'stale',
      counters: { rx: 10, tx: 20, handshakes: 2 },
      sinceHandshakeMs: 180_000,
      endpoint: '192.0.2.1:5',
    },
  ]);
  t.strictSame(
    events.map(({ kind }) => kind),
    ['confirmed', 'ended'],
  );
  t.equal(admission.ends.get('stale'), 1);
  t.match(
    await admission.grant(minted.grant, minted.until),
    { code: 'ended' },
    'and only a new login brings it back',
  );
});

t.test('superseded: the old one ends, the new one stays', async t => {
  const { core, link, store, admission } = setup(t);
  const device = toBase64(generateX25519KeyPair().publicKey);
  const [old, fresh] = [await core.mint({ device, epoch: 1 }), await core.mint({ device, epoch: 2 })];
  await admission.grant(old.grant, old.until);
  await admission.grant(fresh.grant, fresh.until);
  link.emit(ended(old, 'superseded')); // late is as good as early
  t.equal(store.of(device)!.id, fresh.id);
  t.equal(store.liveCount, 1);
});

t.test('the snapshot is the whole truth', async t => {
  const { core, link, store, admission, policy } = setup(t);
  const [a, b, c] = [await core.mint(), await core.mint(), await core.mint()];
  for (const minted of [a, b]) await admission.grant(minted.grant, minted.until);
  const late = await core.mint({ aud: 'loc_other' });
  t.strictSame(await admission.snapshot([b, c, late, { grant: 'rubbish', until: 0 }]), {
    grants: 2,
    refused: [{ id: late.id, code: 'audience' }],
  });
  t.strictSame(
    store
      .live()
      .map(({ id }) => id)
      .sort(),
    [b.id, c.id].sort(),
  );
  t.match(link.asks('revoke'), [{ device: hexOf(a.device), reason: 'policy' }], 'omitted means revoked');
  policy.maxLifeMs = 1000;
  t.match(
    await admission.snapshot([b, c]),
    { grants: 0 },
    'a stricter local policy ends what it would not let in',
  );
  t.equal(link.grants.size, 0);
  policy.maxLifeMs = 12 * 3_600_000;
  t.strictSame(await admission.snapshot([]), { grants: 0, refused: [] });
});

t.test('sessions survive a restart of the agent', async t => {
  const before = setup(t);
  const { core, clock } = before;
  const [live, over, unleased, endless] = [
    await core.mint({ claim: 60 }),
    await core.mint({ exp: start + 60_000 }),
    await core.mint(),
    await core.mint({ lease: 0 }),
  ];
  await before.admission.grant(live.grant, live.until);
  await before.admission.grant(over.grant, over.until);
  await before.admission.grant(unleased.grant, start + 100_000);
  await before.admission.grant(endless.grant, 0);
  clock.ms += 120_000;
  const after = before.restart();
  t.equal(await after.admission.resume(), 2);
  t.equal(await after.admission.resume(), 0, 'once');
  const [resumed, endlessly] = after.link.asks('grant');
  t.match(resumed!.grant, {
    id: live.id,
    expiresInMs: 3_600_000 - 120_000,
    leaseMs: 780_000,
    claimWithinMs: 180_000, // its client does not know that we were away
  });
  t.match(endlessly!.grant, { id: endless.id, leaseMs: 0 });
  t.match(after.store.reports(), [
    { id: over.id, reason: 'expired' },
    { id: unleased.id, reason: 'lease' },
  ]);
  t.match(await after.admission.grant(live.grant, live.until), { ok: true });
  t.equal(after.link.asks('grant').length, 2, 'Core repeating it changes nothing');

  after.link.emit(ended(live, 'idle'));
  await after.store.flush();
  const third = after.restart();
  t.equal(await third.admission.resume(), 1, 'what ended stays ended');
});

t.test('a revoked session does not come back with a power cut', async t => {
  const before = setup(t);
  const minted = await before.core.mint();
  await before.admission.grant(minted.grant, minted.until);
  await before.admission.revoke(minted.id, minted.device, 1, 'revoked-admin');
  const after = before.restart(); // no flush of ours in between
  t.equal(await after.admission.resume(), 0);
});

t.test('Core of a new key is not believed after a restart', async t => {
  const before = setup(t);
  const minted = await before.core.mint();
  await before.admission.grant(minted.grant, minted.until);
  before.core.sign.publicKey.set(generateSignKeyPair().publicKey);
  const after = before.restart();
  t.equal(await after.admission.resume(), 0);
  t.match(after.store.reports(), [{ id: minted.id, reason: 'policy' }]);
});

t.test('no sane clock, no new sessions', async t => {
  const { core, admission, clock, link, restart } = setup(t);
  const minted = await core.mint();
  await admission.grant(minted.grant, minted.until);
  clock.ms = 1000; // a router without a battery
  const after = restart();
  t.equal(await after.admission.resume(), 0, 'what was in force waits');
  t.equal(after.store.liveCount, 1);
  t.match(await after.admission.grant(minted.grant, minted.until), { code: 'clock' });
  clock.ms = start + 1000;
  t.equal(await after.admission.resume(), 1, 'until the time is known');
  t.equal(link.asks('grant').length, 1);
});

t.test('renewal reaches the data plane with the grace', async t => {
  const { core, admission, link, clock } = setup(t);
  const minted = await core.mint({ grace: 60 });
  await admission.grant(minted.grant, minted.until);
  clock.ms += 10_000;
  t.equal(await admission.renew(minted.id, start + 1_000_000), true);
  t.equal(link.asks('renew')[0]!.untilMs, 1_000_000 + 60_000 - 10_000);
  t.equal(await admission.renew('s_unknown', start + 1_000_000), false);
});

t.test('one after the other, and an error stops nobody', async t => {
  const { core, admission, link } = setup(t);
  const [a, b] = [await core.mint(), await core.mint()];
  await admission.grant(a.grant, a.until);
  link.isGone = true;
  const failing = admission.revoke(a.id, a.device, 1, 'policy');
  await t.rejects(failing);
  link.isGone = false;
  t.ok((await admission.grant(b.grant, b.until)).ok);
  t.equal(toHex(link.asks('grant')[1]!.grant.device), hexOf(b.device));
});
