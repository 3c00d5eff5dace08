import { join } from 'node:path';
import t from 'tap';
import { Api } from '../../src/client/api.ts';
import { Daemon } from '../../src/client/daemon.ts';
import { Server } from '../../src/client/server.ts';
import { ask } from '../../src/client/socket.ts';
import { Tunnel } from '../../src/client/tunnel.ts';
import { paths } from '../../src/control/words.ts';
import { clientState, deviceKeys, location } from '../fixtures/client.ts';
import { Front, info } from '../fixtures/front.ts';
import { FakePlane } from '../fixtures/plane.ts';
import { soon } from '../fixtures/soon.ts';
import { shortDirectory } from '../fixtures/directory.ts';

const psk = Buffer.alloc(32, 7).toString('base64');
const granted = {
  granted: `xwing.${'A'.repeat(1494)}.${'A'.repeat(64)}`,
  login: Buffer.alloc(32, 1).toString('base64'),
  config: location().config,
  session: info(),
  token: `sps_${'t'.repeat(32)}`,
};

async function stage(t: { teardown(handler: () => void): void }) {
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
  let wallMs = 1000;
  const daemon = new Daemon({
    tunnel,
    server: new Server(new Api(state.proxy), state, location()),
    location: 'Office',
    log: line => lines.push(line),
    wallMs: () => wallMs,
  });
  t.teardown(async () => {
    await daemon.stop();
    front.close();
  });
  const phase = async () => ((await daemon.status()).session as { phase: string }).phase;
  return { front, plane, daemon, lines, phase, setWall: (ms: number) => (wallMs = ms) };
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
