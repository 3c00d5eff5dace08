import { statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { ask, listen } from '../../../src/client/daemon/socket.ts';
import { PlainError } from '../../../src/util/errors.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

t.test('one line each way, private to its owner', async t => {
  const path = join(shortDirectory(t), 's.sock');
  const server = await listen(path, request => Promise.resolve({ got: request.op }));
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.strictSame(await ask(path, { op: 'hello' }), { ok: true, got: 'hello' });
  server.close();
  t.equal(await ask(path, { op: 'hello' }), null, 'nobody there');
});

t.test('errors keep their code and become one line', async t => {
  const path = join(shortDirectory(t), 's.sock');
  const server = await listen(path, request =>
    Promise.reject(request.op === 'plain' ? new PlainError('why', 'because') : new Error('a\nb')),
  );
  t.teardown(() => server.close());
  await t.rejects(ask(path, { op: 'plain' }), { code: 'why', message: 'because' });
  await t.rejects(ask(path, { op: 'bug' }), { code: 'failed', message: 'a; b' });
  await t.rejects(ask(path, 5 as never), { code: 'failed' });
});

t.test('a hung, a mute and an impossible tunnel', async t => {
  const dir = shortDirectory(t);
  const hung = createServer(() => {}).listen(join(dir, 'hung.sock'));
  const mute = createServer(socket => socket.end()).listen(join(dir, 'mute.sock'));
  t.teardown(() => (hung.close(), mute.close()));
  await t.rejects(ask(join(dir, 'hung.sock'), { op: 'x' }, 30), { code: 'tunnel-hung' });
  await t.rejects(ask(join(dir, 'mute.sock'), { op: 'x' }), { code: 'control-socket' });
  writeFileSync(join(dir, 'file'), '');
  await t.rejects(ask(join(dir, 'file', 'x'), { op: 'x' }), { code: 'control-socket' });
  await t.rejects(
    listen(join(dir, 'none', 'x.sock'), () => Promise.resolve({})),
    { code: 'control-socket' },
  );
});
