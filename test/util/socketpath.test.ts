import t from 'tap';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkSocketPath, maxSocketPathBytes } from '../../src/util/socketpath.ts';

t.test('a path that fits, counted in bytes', async t => {
  t.equal(checkSocketPath('/run/x.sock', 'run_dir'), '/run/x.sock');
  const longest = '/'.padEnd(maxSocketPathBytes, 'x');
  t.equal(checkSocketPath(longest, 'run_dir'), longest);
  t.throws(() => checkSocketPath(`${longest}x`, 'run_dir'), {
    code: 'socket-path',
    message: /108 bytes are too many .* shorter run_dir$/,
  });
  t.throws(() => checkSocketPath('/'.padEnd(maxSocketPathBytes, 'ä'), 'run_dir'), { code: 'socket-path' });
});

t.test('the kernel agrees about the length', async t => {
  const path = join(tmpdir(), `${process.pid}`).padEnd(maxSocketPathBytes, 'x');
  const server = createServer();
  const at = (where: string): Promise<string> =>
    new Promise(resolve => {
      server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
      server.listen(where, () => server.close(() => resolve('bound')));
    });
  t.equal(await at(path), 'bound');
  t.equal(await at(`${path}xx`), 'EINVAL');
});
