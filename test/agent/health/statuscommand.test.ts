import t, { type Test } from 'tap';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { statusReport } from '../../../src/agent/health/statusreport.ts';
import { health, run, type StatusIo, statusSocket } from '../../../src/agent/health/statuscommand.ts';
import { type Check, StatusServer } from '../../../src/agent/health/statusserver.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';

const report = statusReport({
  state: new FakeLink().state(),
  version: '1',
  agent: 'a_1',
  location: 'office',
  core: { url: 'u', phase: 'synced', connected: true, reconnects: 0, lastError: '' },
  clock: 'core',
  recentEnds: [],
});

function fakeIo(environment: Record<string, string>): StatusIo & { stdout: string; stderr: string } {
  return {
    stdout: '',
    stderr: '',
    environment,
    out(text) {
      this.stdout += text;
    },
    error(text) {
      this.stderr += text;
    },
  };
}

async function serve(
  t: Test,
  check: () => Check = () => ({ ok: true }),
): Promise<{ directory: string; port: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'status-'));
  const server = await StatusServer.open({
    listen: { host: '127.0.0.1', port: 0 },
    socketPath: join(directory, statusSocket),
    sources: {
      health: async () => check(),
      ready: async () => check(),
      metrics: async () => '',
      status: async () => {
        if (!check().ok) throw new Error('broken');
        return report;
      },
    },
  });
  t.teardown(async () => {
    await server.close();
    rmSync(directory, { recursive: true });
  });
  return { directory, port: server.port };
}

t.test('status', async t => {
  const { directory } = await serve(t);
  const io = fakeIo({ SALLYPORT_RUN_DIR: directory });
  t.equal(await run([], io), 0);
  t.match(io.stdout, /^agent a_1, location office/);
  const json = fakeIo({ SALLYPORT_RUN_DIR: directory });
  t.equal(await run(['--json'], json), 0);
  t.match(JSON.parse(json.stdout), { agent: 'a_1' });
});

t.test('status of nobody', async t => {
  await t.rejects(run([], fakeIo({ SALLYPORT_RUN_DIR: '/nonexistent' })), {
    code: 'no-agent',
    exit: 1,
    message: /no agent answers at \/nonexistent\/agent\.sock/,
  });
  const { directory } = await serve(t, () => ({ ok: false, why: 'x' }));
  await t.rejects(run([], fakeIo({ SALLYPORT_RUN_DIR: directory })), {
    code: 'no-status',
    message: /status 503/,
  });
  await t.rejects(run(['--xml'], fakeIo({})), { exit: 2, message: /unexpected '--xml'/ });
  await t.rejects(run([], fakeIo({ SALLYPORT_RUN_DIR: 'relative' })), {
    exit: 2,
    message: /expected an absolute path/,
  });
});

t.test('health is silence', async t => {
  let check: Check = { ok: true };
  const { directory, port } = await serve(t, () => check);
  const environment = { SALLYPORT_METRICS_LISTEN: `127.0.0.1:${port}` };
  const io = fakeIo(environment);
  t.equal(await health([], io), 0);
  t.equal(io.stdout + io.stderr, '');
  t.equal(await health([], fakeIo({ SALLYPORT_METRICS_LISTEN: 'off', SALLYPORT_RUN_DIR: directory })), 0);
  check = { ok: false, why: 'stuck' };
  const sick = fakeIo(environment);
  t.equal(await health([], sick), 1);
  t.match(sick.stderr, /unhealthy: .*stuck/);
  const absent = fakeIo({ SALLYPORT_METRICS_LISTEN: '127.0.0.1:1' });
  t.equal(await health([], absent), 1);
  t.match(absent.stderr, /ECONNREFUSED/);
  await t.rejects(health(['x'], io), { exit: 2, message: /unexpected 'x'/ });
  await t.rejects(health([], fakeIo({ SALLYPORT_METRICS_LISTEN: 'what' })), {
    exit: 2,
    message: /ADDRESS:PORT or off/,
  });
});
