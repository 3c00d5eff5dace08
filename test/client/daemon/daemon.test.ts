import { join } from 'node:path';
import t from 'tap';
import { Api } from '../../../src/client/api.ts';
import { Daemon } from '../../../src/client/daemon/daemon.ts';
import { Server } from '../../../src/client/daemon/server.ts';
import { ask } from '../../../src/client/daemon/socket.ts';
import { Tunnel } from '../../../src/client/daemon/tunnel.ts';
import { paths } from '../../../src/control/clientapi/words.ts';
import { clientState, deviceKeys, location } from '../../fixtures/system/client.ts';
import { Front, info } from '../../fixtures/system/front.ts';
import { FakePlane } from '../../fixtures/packets/plane.ts';
import { soon } from '../../fixtures/soon.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

const psk = Buffer.alloc(32, 7).toString('base64');
const granted = {
  granted: `xwing.${'A'.repeat(1494)}.${'A'.repeat(64)}`,
  login: Buffer.alloc(32, 1).toString('base64'),
  config: location().config,
  session: info(),
  token: `sps_${'t'.repeat(32)}`,
  proof: Buffer.alloc(32, 2).toString('base64'),
};

async function stage(t: { teardown(handler: () => void): void }, hasResolver = true) {
  const front = new Front();
  const state = clientState(undefined, await front.open());
  const plane = new FakePlane();
  plane.answers = true;
  const tunnel = await Tunnel.open(
    'sp-office',
    location().config,
    deviceKeys.privateKey,
    plane,
    plane.network,
  );
  const lines: string[] = [];
  const names: string[] = [];
  let wallMs = 1000;
  const daemon = new Daemon({
    tunnel,
    server: new Server(new Api(state.proxy), state, location()),
    location: 'Office',
    resolver: {
      use: servers => {
        names.push(servers.join(','));
        return hasResolver ? Promise.resolve() : Promise.reject(new Error('nobody looks names up'));
      },
      drop: () => Promise.resolve(void names.push('dropped')),
    },
    log: line => lines.push(line),
    wallMs: () => wallMs,
  });
  t.teardown(async () => {
    await daemon.stop();
    front.close();
  });
  const phase = async () => ((await daemon.status()).session as { phase: string }).phase;
  return { front, plane, daemon, lines, names, phase, setWall: (ms: number) => (wallMs = ms) };
}
const hasPsk = (plane: FakePlane): boolean =>
  plane.changes.at(-1)!.peers.some(peer => peer.presharedKey !== undefined);

t.test('begin installs the PSK and reports the handshake; Core ends it', async t => {
  const { front, plane, daemon, lines, phase } = await stage(t);
  t.equal(await phase(), 'none');
  t.match(await daemon.handle({ op: 'begin', psk, granted }), { handshake: true });
  t.equal(await phase(), 'live');
  await soon(() => front.streams.length > 0);
  front.say({ event: 'warn', secondsLeft: 120 });
  front.say({ event: 'ended', reason: 'revoked-admin' });
  await soon(async () => (await phase()) === 'ended');
  t.match(await daemon.status(), { text: /administrator/, session: { reason: 'revoked-admin' } });
  t.notOk(hasPsk(plane));
  t.ok(lines.some(line => line.includes('120 s left')));
  for (const line of lines) t.notMatch(line, psk);
});

t.test('logout tells Core; when Core is away the PSK goes all the same', async t => {
  const { front, plane, daemon, phase } = await stage(t);
  await t.rejects(daemon.handle({ op: 'logout' }), { code: 'not-logged-in' });
  await daemon.handle({ op: 'begin', psk, granted });
  t.strictSame(await daemon.handle({ op: 'logout' }), { told: true });
  t.equal(await phase(), 'ended');
  await daemon.handle({ op: 'begin', psk, granted });
  front.refuse(paths.logout, { status: 503, code: 'core-away', message: 'Core is away' });
  t.match(await daemon.handle({ op: 'logout' }), { told: false, note: /within 180 s/ });
  t.notOk(hasPsk(plane));
});

t.test('ends nobody has to tell: the agreed end, and silence while Core is away', async t => {
  const { front, plane, daemon, phase, setWall } = await stage(t);
  front.refuse(paths.session, ...Array(50).fill({ status: 503, code: 'core-away', message: 'away' }));
  await daemon.handle({ op: 'begin', psk, granted });
  plane.handshakeAt = 10_000;
  setWall(10_000 + 184_000);
  await daemon.tick();
  t.equal(await phase(), 'live');
  setWall(10_000 + 186_000);
  await daemon.tick();
  t.match((await daemon.status()).session, { phase: 'ended', reason: 'stale' });
  setWall(1000);
  await daemon.handle({ op: 'begin', psk, granted });
  setWall(1000 + 3_600_000);
  await daemon.tick();
  t.match((await daemon.status()).session, { reason: 'expired' });
});

t.test('superseded by the next login: the keys stay until its PSK comes', async t => {
  const { front, plane, daemon, phase, lines } = await stage(t);
  await daemon.handle({ op: 'begin', psk, granted });
  await soon(() => front.streams.length > 0);
  const changes = plane.changes.length;
  front.say({ event: 'ended', reason: 'superseded' });
  await soon(async () => (await phase()) === 'ended');
  await daemon.tick();
  t.equal(plane.changes.length, changes, 'nothing is taken out of the tunnel');
  const next = { ...granted, session: { ...info(), id: 'session-2' } };
  t.match(await daemon.handle({ op: 'begin', psk: Buffer.alloc(32, 8).toString('base64'), granted: next }), {
    handshake: true,
  });
  t.match((await daemon.status()).session, { phase: 'live', id: 'session-2' });
  t.notOk(
    plane.changes.some((change, i) => i > 0 && change.peers.length > 1 && i >= changes),
    'no peer was removed',
  );
  t.ok(lines.some(line => line.includes('session session-2 begins')));
});

t.test('superseded, and nobody brings the next PSK: the old keys go after a moment', async t => {
  const { front, plane, daemon, phase, setWall } = await stage(t);
  await daemon.handle({ op: 'begin', psk, granted });
  await soon(() => front.streams.length > 0);
  front.say({ event: 'ended', reason: 'superseded' });
  await soon(async () => (await phase()) === 'ended');
  setWall(1000 + 15_000);
  await daemon.tick();
  t.ok(hasPsk(plane));
  setWall(1000 + 15_001);
  await daemon.tick();
  t.notOk(hasPsk(plane));
});

t.test('a handshake of the session before is not taken for one of the next', async t => {
  const { plane, daemon } = await stage(t);
  await daemon.handle({ op: 'begin', psk, granted });
  plane.answers = false;
  const asks = plane.asks('state').length;
  const begun = daemon.handle({ op: 'begin', psk, granted });
  await soon(() => plane.asks('state').length > asks + 3);
  plane.handshakeAt++;
  t.match(await begun, { handshake: true });
});

t.test(
  'a tunnel to everywhere holds from the login on, and until the person acts when it ends unasked',
  async t => {
    const { front, plane, daemon, phase } = await stage(t);
    t.equal(plane.held, null);
    await daemon.handle({ op: 'begin', psk, granted });
    t.strictSame(
      plane.held,
      [{ host: '127.0.0.1' }, { host: '192.0.2.1', udpPort: 51820 }],
      'all but the Proxy, and the tunnel itself',
    );
    await daemon.handle({ op: 'release' });
    t.not(plane.held, null, 'a session is not given up by a login that may yet fail');
    t.match(await daemon.status(), { holding: false });
    await soon(() => front.streams.length > 0);
    front.say({ event: 'ended', reason: 'stale' });
    await soon(async () => (await phase()) === 'ended');
    t.not(plane.held, null);
    t.match(await daemon.status(), {
      holding: true,
      text: /all traffic is held back until you log in or take/,
    });
    await daemon.handle({ op: 'release' });
    t.equal(plane.held, null);
    t.match(await daemon.status(), { holding: false });
    await daemon.handle({ op: 'begin', psk, granted });
    await daemon.handle({ op: 'logout' });
    t.equal(plane.held, null, 'who logs out wants the network as it was');
  },
);

t.test('names are looked up at the location while a session lasts', async t => {
  const { front, daemon, names, phase } = await stage(t);
  const config = { ...granted.config, dns: ['10.66.0.1', 'fd66::1'] };
  t.match(await daemon.handle({ op: 'begin', psk, granted: { ...granted, config } }), { handshake: true });
  t.strictSame(names, ['10.66.0.1,fd66::1']);
  await soon(() => front.streams.length > 0);
  front.say({ event: 'ended', reason: 'stale' });
  await soon(async () => (await phase()) === 'ended');
  await soon(() => names.length > 1);
  t.strictSame(names.slice(1), ['dropped']);

  const without = await stage(t, false);
  t.match(await without.daemon.handle({ op: 'begin', psk, granted }), {
    handshake: true,
    note: 'nobody looks names up',
  });
});

t.test('a session Core no longer knows is over', async t => {
  const { front, daemon, phase } = await stage(t);
  front.refuse(paths.session, { status: 401, code: 'refused', message: 'no such session' });
  await daemon.handle({ op: 'begin', psk, granted });
  await soon(async () => (await phase()) === 'ended');
  t.match(await daemon.status(), { text: /reason unknown/ });
});

t.test('over the socket: nonsense refused, down obeyed', async t => {
  const { front, plane, daemon } = await stage(t);
  const path = join(shortDirectory(t), 's.sock');
  await daemon.listen(path);
  await t.rejects(ask(path, { op: 'begin', psk: 'short', granted }), { code: 'bad-request' });
  await t.rejects(ask(path, { op: 'dance' }), { code: 'unknown-request' });
  t.match(await ask(path, { op: 'begin', psk, granted }), { handshake: true });
  t.match(await ask(path, { op: 'rekey' }), { ok: true });
  t.match(await ask(path, { op: 'down' }), { ok: true, told: true });
  await daemon.closed;
  t.equal(plane.stopped, 1);
  t.ok(front.bodies.some(body => body.includes('"session":"session-1"')));
  const other = await stage(t);
  await other.daemon.handle({ op: 'begin', psk, granted });
  await other.daemon.leave();
  t.equal(other.plane.stopped, 1);
});
