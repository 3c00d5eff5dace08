import t from 'tap';
import { listenForStatus } from '../../../src/control/wire/statuslistener.ts';

const any = { host: '127.0.0.1', port: 0 };

t.test('health, readiness and metrics', async t => {
  let why: string | null = 'no Proxy is connected';
  let broken = false;
  const metrics = async (): Promise<string> => {
    if (broken) throw new Error('the store is closed');
    return 'x 1\n';
  };
  const listener = await listenForStatus(any, { notReady: () => why, metrics });
  t.teardown(() => listener.close());
  const get = async (path: string, method = 'GET'): Promise<[number, string]> => {
    const response = await fetch(`http://127.0.0.1:${listener.port}${path}`, { method });
    return [response.status, await response.text()];
  };
  t.same(await get('/healthz'), [200, '{"ok":true}\n']);
  t.same(await get('/readyz'), [503, '{"ok":false,"why":"no Proxy is connected"}\n']);
  why = null;
  t.same(await get('/readyz?x'), [200, '{"ok":true}\n']);
  t.same(await get('/metrics'), [200, 'x 1\n']);
  t.equal((await get('/other'))[0], 404);
  t.equal((await get('/metrics', 'POST'))[0], 405);
  broken = true;
  t.match(await get('/metrics'), [503, /the store is closed/]);
  await t.rejects(
    listenForStatus({ host: '127.0.0.1', port: listener.port }, { notReady: () => why, metrics }),
    {
      code: 'cannot-listen',
      message: /metrics-listen/,
    },
  );
});
