import t, { type Test } from 'tap';
import { mkdtempSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AgentConfig, loadConfig } from '../../src/agent/config/config.ts';
import { Gateway } from '../../src/agent/gateway.ts';
import type { Host } from '../../src/agent/host.ts';
import type { Kernel } from '../../src/agent/routes.ts';
import { formatPrefix } from '../../src/util/inet.ts';
import { readStatus } from '../../src/agent/health/statuscommand.ts';
import { readDevice } from '../../src/agent/uapi/client.ts';
import { createLog, type Log } from '../../src/control/log.ts';
import { toBase64 } from '../../src/util/bytes.ts';
import { FakeCore, joinToken } from '../fixtures/fakes/fakecore.ts';
import { FakeDataplane } from '../fixtures/fakes/fakedataplane.ts';

interface Setup {
  core: FakeCore;
  directory: string;
  did: string[];
  lines: string[];
  log: Log;
  planes: FakeDataplane[];
  host: Host;
  config(change?: Record<string, string>): AgentConfig;
}

async function setup(t: Test): Promise<Setup> {
  const core = await new FakeCore().listen();
  const directory = mkdtempSync(join(tmpdir(), 'gateway-'));
  t.teardown(async () => {
    await core.close();
    rmSync(directory, { recursive: true });
  });
  const did: string[] = [];
  const planes: FakeDataplane[] = [];
  const lines: string[] = [];
  const act = (what: string): number => did.push(what);
  const kernel: Kernel = {
    addAddress: (name, ip) => act(`+addr ${name} ${formatPrefix(ip)}`),
    deleteAddress: (name, ip) => act(`-addr ${name} ${formatPrefix(ip)}`),
    addRoute: ip => act(`+route ${formatPrefix(ip)}`),
    deleteRoute: ip => act(`-route ${formatPrefix(ip)}`),
    setMtu: (_, mtu) => act(`mtu ${mtu}`),
    linkUp: name => act(`up ${name}`),
  };
  const host: Host = {
    start: async options => {
      const plane = new FakeDataplane(options.ifname);
      planes.push(plane);
      return plane;
    },
    kernel,
    bootMs: () => performance.now(),
    wallMs: Date.now,
    delay: () => 5,
  };
  const config = (change: Record<string, string> = {}): AgentConfig =>
    loadConfig({
      args: [],
      environment: {
        SALLYPORT_CORE_URL: core.url,
        SALLYPORT_JOIN_TOKEN: joinToken,
        SALLYPORT_STATE_DIR: join(directory, 'state'),
        SALLYPORT_RUN_DIR: join(directory, 'run'),
        SALLYPORT_UAPI_DIR: join(directory, 'uapi'),
        SALLYPORT_METRICS_LISTEN: '127.0.0.1:0',
        SALLYPORT_ALLOW_X25519: 'yes',
        SALLYPORT_NAME: 'gate-1',
        ...change,
      },
    });
  const log = createLog({ level: 'debug', write: line => lines.push(line) });
  return { core, directory, did, lines, log, planes, host, config };
}

const get = async (port: number, path: string): Promise<{ status: number; text: string }> => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, text: await response.text() };
};

t.test('from nothing to a session, and over a restart', async t => {
  const { core, directory, did, lines, log, planes, host, config } = await setup(t);
  const gateway = await Gateway.start(config(), log, host);
  t.match(core.enrolled, { name: 'gate-1' });
  await core.hear('synced');
  t.strictSame(did.splice(0), ['up wg0', '+addr wg0 10.77.0.1/24']);
  const plane = planes[0]!;
  t.equal(plane.listenPort, 51820);
  t.equal(toBase64(plane.privateKey!).length, 44);

  const minted = await core.mint();
  core.grant(minted);
  await core.hear('granted');
  t.match(await readStatus(join(directory, 'run', 'agent.sock')), {
    agent: core.agentId,
    location: 'office',
    core: { connected: true, url: core.url },
    sessions: [{ id: minted.id, user: 'u_anna', addresses: ['10.77.0.2/32'] }],
  });
  const port = gateway.metricsPort;
  t.match(await get(port, '/healthz'), { status: 200 });
  t.match(await get(port, '/readyz'), { status: 200 });
  t.match(await get(port, '/metrics'), {
    text: /sallyport_core_connected 1\n[^]*sallyport_grants_total\{result="granted"\} 1/,
  });
  t.match(await get(port, '/status'), { status: 404 });

  const shown = await readDevice('wg0', join(directory, 'uapi'));
  t.equal(shown.peers.length, 1);
  t.equal(shown.peers[0]!.presharedKey, null, 'wg does not see the PSK of a session');

  core.send({
    type: 'config',
    seq: ++core.seq,
    config: { ...core.config, addresses: ['10.99.0.1/24'], mtu: 1380 },
  });
  const other = await core.mint();
  core.grant(other);
  await core.hear('granted', frame => frame.id === other.id);
  t.strictSame(did.splice(0), ['mtu 1380', '-addr wg0 10.77.0.1/24', '+addr wg0 10.99.0.1/24']);

  gateway.stop('enough');
  plane.emit({
    ev: 'session',
    kind: 'ended',
    id: minted.id,
    device: Buffer.from(minted.device, 'base64').toString('hex'),
    reason: 'agent-stopped',
    counters: { rx: 0, tx: 0, handshakes: 0 },
    sinceHandshakeMs: 0,
    endpoint: null,
  });
  t.equal(await gateway.finished(), 'enough');
  t.equal(plane.stopped, 1);
  await core.close(); // Core is away when the gateway comes back

  const again = await Gateway.start(config({ SALLYPORT_JOIN_TOKEN: '' }), log, host);
  t.equal(planes[1]!.grants.size, 2, 'no new login');
  t.strictSame(did.splice(0), ['up wg0', '+addr wg0 10.99.0.1/24'], 'with what Core said last');
  t.match(await get(again.metricsPort, '/readyz'), { status: 200 });
  core.held = [other];
  core.heard.length = 0;
  await core.listen();
  t.match(await core.hear('synced'), { grants: 1 });
  t.strictSame(
    [...planes[1]!.grants.values()].map(({ id }) => id),
    [other.id],
  );
  again.stop('enough');
  await again.finished();
  const all = lines.join('') + readFileSync(join(directory, 'state', 'grants.json'), 'utf8');
  for (const secret of [joinToken, toBase64(minted.psk), toBase64(other.psk), toBase64(plane.privateKey!)])
    t.notOk(all.includes(secret));
});

t.test('enrolment: tried again while Core is away, given up when refused', async t => {
  const { core, lines, log, host, config } = await setup(t);
  const later = { status: 503, body: '{"error":{"code":"x","message":"starting"}}' };
  core.enrolAnswers = [later, later];
  const gateway = await Gateway.start(config(), log, host);
  t.match(lines.join(), /refuses to enrol: starting retryInMs=5/);
  gateway.stop('enough');
  await gateway.finished();

  const second = await setup(t);
  second.core.enrolAnswers = [
    { status: 403, body: '{"error":{"code":"bad-token","message":"no such token"}}' },
  ];
  await t.rejects(Gateway.start(second.config(), log, second.host), {
    code: 'join-refused',
    message: /no such token/,
  });
  t.equal(second.planes.length, 0);
  await t.rejects(Gateway.start(second.config({ SALLYPORT_JOIN_TOKEN: '' }), log, second.host), {
    code: 'not-enrolled',
    exit: 2,
    message: /holds no enrolment and no join token is given/,
  });
  await second.core.close();
  let waiting!: Gateway;
  const attempt = Gateway.start(
    second.config(),
    log,
    { ...second.host, delay: () => 60_000 },
    gateway => (waiting = gateway),
  );
  const stopped = t.rejects(attempt, { code: 'stopped' });
  setTimeout(() => waiting.stop('signal'), 50);
  await stopped;
});

t.test('what stops the gateway', async t => {
  const { core, directory, log, planes, host, config } = await setup(t);
  const first = await Gateway.start(config(), log, host);
  await core.hear('synced');
  planes[0]!.die();
  t.equal(await first.finished(), 'the data plane is gone');
  const second = await Gateway.start(config(), log, host);
  unlinkSync(join(directory, 'uapi', 'wg0.sock'));
  t.match(await second.finished(), /wg0\.sock was removed/);
});

t.test('what keeps it from starting closes what was opened', async t => {
  const { log, planes, host, config, core } = await setup(t);
  const port = new URL(core.url).port;
  await t.rejects(Gateway.start(config({ SALLYPORT_METRICS_LISTEN: `127.0.0.1:${port}` }), log, host), {
    code: 'status-listen',
  });
  t.equal(planes[0]!.stopped, 1);
  await t.rejects(
    Gateway.start(config(), log, {
      ...host,
      start: async options => {
        const plane = await host.start(options);
        (plane as FakeDataplane).failNext = -98;
        return plane;
      },
    }),
    { code: 'configure', message: /data plane refuses privateKey/ },
  );
  t.equal(planes[1]!.stopped, 1);
  await t.rejects(Gateway.start(config({ SALLYPORT_CA_FILE: '/nonexistent.pem' }), log, host), {
    code: 'ca-file',
    exit: 2,
  });
});

t.test('HUP', async t => {
  const { did, lines, log, planes, host, config } = await setup(t);
  const gateway = await Gateway.start(config(), log, host);
  did.length = 0;
  await gateway.reload(
    config({
      SALLYPORT_LISTEN_PORT: '7',
      SALLYPORT_FWMARK: '9',
      SALLYPORT_ROUTES: '10.9.0.0/16',
      SALLYPORT_IFNAME: 'wg9',
    }),
  );
  t.match(planes[0], { listenPort: 7, fwmark: 9 });
  t.strictSame(did, ['+route 10.9.0.0/16']);
  t.match(lines.join(), /ifname has changed: it takes effect after a restart/);
  planes[0]!.failNext = -98;
  await t.rejects(gateway.reload(config({ SALLYPORT_LISTEN_PORT: '8' })), {
    message: /UDP port 8 is in use/,
  });
  gateway.stop('enough');
  await gateway.finished();
});

t.test('a data plane that hangs is not healthy', async t => {
  const { log, planes, host, config } = await setup(t);
  const gateway = await Gateway.start(config({ SALLYPORT_CONFIGURE_LINK: 'no' }), log, host);
  planes[0]!.isGone = true;
  t.match(await get(gateway.metricsPort, '/healthz'), { status: 503, text: /data plane is gone/ });
  t.match(await get(gateway.metricsPort, '/readyz'), { status: 503 });
  t.match(await get(gateway.metricsPort, '/metrics'), { status: 503 });
  planes[0]!.isGone = false;
  gateway.stop('enough');
  await gateway.finished();
});
