import t from 'tap';
import { spawnSync } from 'node:child_process';
import { lockDirectory } from '../../../src/core/store/lock.ts';

const door = new URL('../../../src/core/store/lock.ts', import.meta.url).href;

t.test('one process at a time, and free again however it ends', async t => {
  const directory = t.testdir({});
  const script = `import { lockDirectory } from ${JSON.stringify(door)};
    lockDirectory(${JSON.stringify(directory)}); process.kill(process.pid, 'SIGKILL');`;
  const killed = spawnSync(process.execPath, ['--input-type=module-typescript', '-e', script]);
  t.equal(killed.signal, 'SIGKILL', killed.stderr.toString());
  const release = lockDirectory(directory);
  t.throws(() => lockDirectory(directory), { code: 'in-use', message: /another Core is running/ });
  release();
  lockDirectory(directory)();
});
