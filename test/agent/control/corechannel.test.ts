import t, { type Test } from 'tap';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Admission } from '../../../src/agent/control/admission.ts';
import { CoreChannel } from '../../../src/agent/control/corechannel.ts';
import { CoreClock } from '../../../src/agent/control/coreclock.ts';
import { GrantStore } from '../../../src/agent/control/grantstore.ts';
import { loadIdentity } from '../../../src/agent/control/identity.ts';
import type { SessionEvent } from '../../../src/agent/dataplane/commands.ts';
import type { AgentConfig } from '../../../src/control/wire/agentchannel.ts';
import { generateSignKeyPair } from '../../../src/control/trust/keys.ts';
import { createLog } from '../../../src/control/log.ts';
import { toBase64 } from '../../../src/util/bytes.ts';
import { FakeCore, joinToken, type Minted } from '../../fixtures/fakes/fakecore.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';
import { soon } from '../../fixtures/soon.ts';

interface Setup {
  fake: FakeCore;
  core: CoreChannel;
  link: FakeLink;
  store: GrantStore;
  clock: CoreClock;
  configs: AgentConfig[];
  lines: string[];
  forgotten: string[];
}

async function setup(t: Test, options: { enrolled?: boolean; system?: () => number } = {}): Promise<Setup> {
  const identity = await loadIdentity(t.testdir(), true, () => undefined);
  const fake = await new FakeCore().listen();
  fake.kemPublicKey = identity.kem.publicKey;
  if (options.enrolled !== false)
    fake.enrolled = {
      joinToken,
      wgPublicKey: toBase64(identity.wireguard.publicKey),
      signPublicKey: toBase64(identity.sign.publicKey),
      kemPublicKey: identity.kem.publicKey,
      name: 'gate',
    };
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-core-'));
  const link = new FakeLink();
  const store = GrantStore.load({
    path: join(directory, 'grants.json'),
    agentId: fake.agentId,
    warn: () => undefined,
  });
  const enrolment = {
    agentId: fake.agentId,
    location: fake.location,
    coreKeys: [generateSignKeyPair().publicKey, fake.sign.publicKey],
    config: fake.config,
  };
  const clock = new CoreClock(() => performance.now(), options.system ?? Date.now, 0);
  const lines: string[] = [];
  const log = createLog({ level: 'debug', write: line => lines.push(line) });
  const configs: AgentConfig[] = [];
  const forgotten: string[] = [];
  const admission = new Admission({
    link,
    store,
    identity,
    enrolment,
    clock,
    policy: () => ({ maxLifeMs: 1e8, minStale: 180, ranges: [], maxPeers: 100 }),
    log,
    onSession: event => core.onSession(event),
  });
  const core = new CoreChannel({
    url: fake.url,
    identity,
    enrolment,
    admission,
    store,
    clock,
    log,
    onConfig: config => configs.push(config),
    state: async () => link.state(),
    maxLifeMs: () => 1e8,
    onForgotten: async () => void forgotten.push('forgotten'),
    delay: () => 5,
  });
  t.teardown(async () => {
    core.stop();
    await fake.close();
    await store.flush(); // an end may still be on its way to the directory, which is why tap does not remove it
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return { fake, core, link, store, clock, configs, lines, forgotten };
}

const hexOf = (device: string): string => Buffer.from(device, 'base64').toString('hex');

function event({ id, device }: Minted, change: Partial<SessionEvent>): SessionEvent {
  return {
    ev: 'session',
    kind: 'ended',
    id,
    device: hexOf(device),
    counters: { rx: 10, tx: 20, handshakes: 2 },
    sinceHandshakeMs: 1234.5,
    endpoint: '192.0.2.1:5',
    ...change,
  };
}

t.test('hello, welcome, snapshot, synced', async t => {
  const { fake, core, link, configs } = await setup(t);
  const held = await fake.mint();
  fake.held = [held];
  t.equal(core.phase, 'away');
  t.equal(core.isConnected, false);
  core.start();
  t.match(await fake.hear('synced'), { seq: 1, grants: 1, refused: [] });
  t.match(await fake.hear('hello'), {
    agentId: fake.agentId,
    bootId: core.bootId,
    version: '0.1.0',
    caps: ['x25519'],
  });
  await soon(() => core.phase === 'synced');
  t.equal(link.grants.size, 1);
  t.match(configs, [{ name: 'office' }]);
});

t.test('grants, renewals and revokes are acknowledged', async t => {
  const { fake, core, link, configs, lines } = await setup(t);
  core.start();
  await fake.hear('synced');
  const minted = await fake.mint();
  fake.grant(minted);
  t.match(await fake.hear('granted'), { id: minted.id });
  const bad = await fake.mint({ aud: 'loc_other' });
  fake.grant(bad);
  t.match(await fake.hear('refused'), { id: bad.id, code: 'audience' });
  fake.grant({ grant: 'rubbish without a name', until: 0 });
  fake.send({ type: 'renew', seq: ++fake.seq, id: minted.id, until: minted.until + 1000 });
  fake.send({ type: 'config', seq: ++fake.seq, config: { ...fake.config, mtu: 1300 } });
  fake.send({ type: 'config', seq: ++fake.seq, config: { ...fake.config, mtu: 1300 } });
  fake.send({
    type: 'revoke',
    seq: ++fake.seq,
    id: minted.id,
    device: minted.device,
    epoch: 1,
    reason: 'revoked-admin',
  });
  t.match(await fake.hear('revoked'), { id: minted.id, device: minted.device, epoch: 1 });
  t.equal(link.grants.size, 0);
  t.equal(link.asks('renew').length, 1);
  t.strictSame(
    configs.map(({ mtu }) => mtu),
    [1420, 1300],
    'the same again is no news',
  );
  t.notOk(fake.heard.some(frame => frame.type === 'resync'));
  t.notMatch(lines.join(), minted.grant.slice(4, 60));
});

t.test('a gap in the sequence asks for a snapshot', async t => {
  const { fake, core, link } = await setup(t);
  core.start();
  await fake.hear('synced');
  const [missed, seen] = [await fake.mint(), await fake.mint()];
  fake.seq++; // a frame that never came
  fake.grant(seen);
  fake.grant(missed);
  t.match(await fake.hear('resync'), { seq: 1 });
  fake.snapshot([missed, seen]);
  t.match(await fake.hear('synced', frame => frame.seq === fake.seq), { grants: 2 });
  t.equal(link.grants.size, 2);
  fake.grant(await fake.mint());
  await fake.hear('granted');
  t.equal(fake.heard.filter(frame => frame.type === 'resync').length, 1);
});

t.test('a large snapshot comes in pieces', async t => {
  const { fake, core, link } = await setup(t);
  for (let i = 0; i < 40; i++) fake.held.push(await fake.mint());
  core.start();
  t.match(await fake.hear('synced'), { grants: 40 });
  t.equal(link.grants.size, 40);
});

t.test('a Core other than the pinned one is refused', async t => {
  const { fake, core, link, lines } = await setup(t);
  fake.welcomeKey = generateSignKeyPair().privateKey;
  fake.held = [await fake.mint()];
  core.start();
  await soon(() => fake.connections >= 2);
  t.equal(core.isConnected, false);
  t.equal(link.asks('grant').length, 0);
  t.match(lines.join(), /not the Core that this agent enrolled with/);
  t.notOk(fake.heard.some(frame => frame.type === 'synced'));
  fake.welcomeKey = fake.sign.privateKey;
  await fake.hear('synced');
  t.equal(core.lastError, '', 'until it is');
});

t.test('an agent Core has removed goes on asking, and says why', async t => {
  const { fake, core, lines } = await setup(t, { enrolled: false });
  core.start();
  await soon(() => fake.connections >= 2);
  t.match(lines.join(), /Core does not accept this agent/);
});

t.test('an agent that Core has removed lets go what it holds, if it is Core that says so', async t => {
  const { fake, core, link, lines, forgotten } = await setup(t);
  fake.held = [await fake.mint()];
  core.start();
  await fake.hear('synced');
  const { connections } = fake;
  fake.enrolled = null;
  fake.forgetKey = generateSignKeyPair().privateKey;
  fake.channel!.close(4001, 'the agent was removed');
  await soon(() => fake.connections >= connections + 2);
  t.equal(link.grants.size, 1, 'not for a stranger');
  t.strictSame(forgotten, []);
  fake.forgetKey = fake.sign.privateKey;
  await soon(() => forgotten.length > 0);
  t.equal(link.grants.size, 0);
  t.match(lines.join(), /make a join token/);
});

t.test('an order to end a session holds, also when Core hangs up behind it', async t => {
  const { fake, core, link } = await setup(t);
  core.start();
  await fake.hear('synced');
  const [one, two] = [await fake.mint(), await fake.mint()];
  for (const minted of [one, two]) fake.grant(minted);
  await fake.hear('granted', frame => frame.id === two.id);
  for (const { id, device } of [one, two])
    fake.send({ type: 'revoke', seq: ++fake.seq, id, device, epoch: 1, reason: 'policy' });
  fake.channel!.close(4001, 'the location was removed');
  await soon(() => link.grants.size === 0);
});

t.test('frames out of turn close the channel', async t => {
  for (const early of [
    { type: 'snapshotEnd', seq: 1 },
    {
      type: 'welcome',
      time: 1,
      config: new FakeCore().config,
      signature: Buffer.alloc(64).toString('base64'),
    },
  ] as const) {
    const { fake, core, lines } = await setup(t);
    fake.enrolled = null;
    core.start();
    await soon(() => fake.channel !== null);
    fake.send(early);
    await soon(() => fake.connections >= 2);
    t.match(lines.join(), /Core speaks out of turn|does not accept/);
  }
  const { fake, core } = await setup(t);
  core.start();
  await fake.hear('synced');
  fake.send({ type: 'challenge', nonce: toBase64(new Uint8Array(32)), time: 1 });
  await soon(() => fake.connections >= 2);
  await fake.hear('synced', frame => frame.seq > 1);
});

t.test('Core dies and comes back: nothing is torn down, then both agree', async t => {
  const { fake, core, link, store } = await setup(t);
  core.start();
  await fake.hear('synced');
  const [stays, omitted, ends] = [await fake.mint(), await fake.mint(), await fake.mint()];
  for (const minted of [stays, omitted, ends]) fake.grant(minted);
  await fake.hear('granted', frame => frame.id === ends.id);
  await fake.close();
  await soon(() => core.phase === 'away');
  t.equal(link.grants.size, 3);
  t.equal(link.asks('revoke').length, 0);
  link.grants.delete(hexOf(ends.device));
  link.emit(event(ends, { reason: 'stale' }));
  t.equal(store.reports().length, 1, 'kept while Core is away');
  fake.heard.length = 0;
  fake.held = [stays, ends];
  await fake.listen();
  t.match(await fake.hear('session'), {
    id: ends.id,
    event: 'ended',
    reason: 'stale',
    counters: { rx: 10, tx: 20, handshakes: 2 },
    sinceHandshakeMs: 1235,
    endpoint: '192.0.2.1:5',
  });
  t.match(await fake.hear('synced'), { grants: 1, refused: [{ id: ends.id, code: 'ended' }] });
  t.strictSame(
    [...link.grants.values()].map(({ id }) => id),
    [stays.id],
  );
  t.equal(core.reconnects > 0, true);
  fake.send({ type: 'noted', id: ends.id });
  await soon(() => store.reports().every(({ id }) => id !== ends.id));
});

t.test('session events', async t => {
  const { fake, core, link } = await setup(t);
  core.start();
  await fake.hear('synced');
  const minted = await fake.mint();
  fake.grant(minted);
  await fake.hear('granted');
  link.emit(event(minted, { kind: 'confirmed', endpoint: null }));
  link.emit(event(minted, { kind: 'roamed', endpoint: '[2001:db8::1]:7' }));
  link.emit(event(minted, { reason: 'idle' }));
  const confirmed = await fake.hear('session', frame => frame.event === 'confirmed');
  t.notOk('endpoint' in confirmed);
  t.match(await fake.hear('session', frame => frame.event === 'roamed'), { endpoint: '[2001:db8::1]:7' });
  t.match(await fake.hear('session', frame => frame.event === 'ended'), { reason: 'idle', id: minted.id });
});

t.test('stats are differences', async t => {
  const { fake, core, link } = await setup(t);
  core.start();
  await fake.hear('synced');
  const minted = await fake.mint();
  fake.grant(minted);
  await fake.hear('granted');
  await core.tick();
  t.match(await fake.hear('stats'), {
    bootId: core.bootId,
    sessions: [{ id: minted.id, rx: 2000, tx: 1000, handshakes: 1, sinceHandshakeMs: 5000 }],
  });
  fake.heard.length = 0;
  await core.tick();
  link.traffic = 500;
  await core.tick();
  t.match(await fake.hear('stats'), { sessions: [{ id: minted.id, rx: 500, tx: 500, handshakes: 0 }] });
  t.equal(fake.heard.filter(frame => frame.type === 'stats').length, 1, 'no news, no frame');
  // A newer login keeps the peer and its counters.
  const again = await fake.mint({ device: minted.device, epoch: 2 });
  fake.grant(again);
  await fake.hear('granted', frame => frame.id === again.id);
  link.emit(event(minted, { reason: 'superseded' }));
  fake.heard.length = 0;
  link.traffic = 700;
  await core.tick();
  t.match(await fake.hear('stats'), { sessions: [{ id: again.id, rx: 200, tx: 200 }] });
});

t.test('time comes from Core', async t => {
  const { fake, core, clock, lines } = await setup(t, { system: () => 1_700_000_000_000 });
  core.start();
  await fake.hear('synced');
  t.equal(clock.source, 'core');
  t.ok(Math.abs(clock.wallMs! - Date.now()) < 5000);
  t.match(lines.join(), /system clock differs from Core/);
  fake.now = () => Date.now() + 100_000;
  fake.send({ type: 'ping', n: 7, time: fake.now() });
  t.match(await fake.hear('pong'), { n: 7 });
  t.ok(clock.wallMs! - Date.now() > 95_000, 'a ping keeps it right over the months');
});

t.test('a data plane that does not answer is told and survived', async t => {
  const { fake, core, link, lines } = await setup(t);
  core.start();
  await fake.hear('synced');
  link.isGone = true;
  await core.tick();
  const minted = await fake.mint();
  fake.grant(minted);
  t.match(await fake.hear('refused'), { id: minted.id, code: 'busy' });
  fake.send({
    type: 'revoke',
    seq: ++fake.seq,
    id: 's_x',
    device: minted.device,
    epoch: 9,
    reason: 'policy',
  });
  await fake.hear('revoked');
  t.match(lines.join(), /the data plane did not take a grant/);
});
