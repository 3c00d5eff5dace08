import t from 'tap';
import { statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { StatusReport } from '../../../src/agent/health/statusreport.ts';
import { type Check, StatusServer, type StatusSources } from '../../../src/agent/health/statusserver.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

const fine: StatusSources = {
  health: async () => ({ ok: true }),
  ready: async (): Promise<Check> => ({ ok: false, why: 'not yet' }),
  metrics: async () => 'x 1\n',
  status: async () => ({ agent: 'a_1' }) as StatusReport,
};

type Answer = { status: number; body: string; type: string };

function ask(where: { port?: number; socketPath?: string }, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', ...where, path, method }, response => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () =>
        resolve({ status: response.statusCode!, body, type: String(response.headers['content-type']) }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

t.test('answers', async t => {
  const socketPath = join(shortDirectory(t), 'run', 'agent.sock');
  const server = await StatusServer.open({
    sources: fine,
    listen: { host: '127.0.0.1', port: 0 },
    socketPath,
  });
  t.teardown(() => server.close());
  const { port } = server;
  t.match(await ask({ port }, '/healthz'), { status: 200, body: '{"ok":true}\n' });
  t.match(await ask({ port }, '/readyz?full=1'), { status: 503, body: '{"ok":false,"why":"not yet"}\n' });
  t.match(await ask({ port }, '/metrics'), {
    status: 200,
    body: 'x 1\n',
    type: 'text/plain; version=0.0.4; charset=utf-8',
  });
  t.match(await ask({ port }, '/metrics', 'HEAD'), { status: 200, body: '' });
  t.match(await ask({ port }, '/status'), { status: 404 }, 'sessions are not for every local user');
  t.match(await ask({ port }, '/'), { status: 404, body: /expected \/healthz/ });
  t.match(await ask({ port }, '/healthz', 'POST'), { status: 405, body: /"code":"method"/ });
  t.match(await ask({ socketPath }, '/status'), { status: 200, body: '{"agent":"a_1"}\n' });
  t.match(await ask({ socketPath }, '/healthz'), { status: 200 });
  t.equal(statSync(socketPath).mode & 0o777, 0o700);
});

t.test('a source that fails is a 503', async t => {
  const sources = { ...fine, metrics: () => Promise.reject(new Error('gone')) };
  const server = await StatusServer.open({
    sources,
    listen: { host: '127.0.0.1', port: 0 },
    socketPath: null,
  });
  t.teardown(() => server.close());
  t.match(await ask({ port: server.port }, '/metrics'), { status: 503, body: /"message":"gone"/ });
});

t.test('a taken port is told, and nothing stays open', async t => {
  const first = await StatusServer.open({
    sources: fine,
    listen: { host: '127.0.0.1', port: 0 },
    socketPath: null,
  });
  t.teardown(() => first.close());
  const listen = { host: '127.0.0.1', port: first.port };
  await t.rejects(StatusServer.open({ sources: fine, listen, socketPath: null }), {
    code: 'status-listen',
    message: /cannot listen.*set metrics_listen to a free port or off/,
  });
  const file = join(shortDirectory(t), 'file');
  writeFileSync(file, '');
  await t.rejects(
    StatusServer.open({
      sources: fine,
      listen: { host: '127.0.0.1', port: 0 },
      socketPath: join(file, 'x.sock'),
    }),
  );
});

t.test('nothing to open', async t => {
  const server = await StatusServer.open({ sources: fine, listen: null, socketPath: null });
  t.equal(server.port, 0);
  await server.close();
});
