// The command in a process of its own: serving, administering while it runs and while it does not, mistakes, signals.

import t from 'tap';
import type { Test } from 'tap';
import { join } from 'node:path';
import { run as command } from '../../src/core/command.ts';
import { locationFlags } from '../../src/core/admin/locationflags.ts';
import { runHere, start as startRole } from '../fixtures/system/role.ts';
import type { Ran, Running } from '../fixtures/system/role.ts';

const door = new URL('../../src/core/command.ts', import.meta.url).href;

const start = (args: string[], until?: RegExp): Running => startRole(door, args, until);
const run = (...args: string[]): Promise<Ran> => start(args).done;

t.test('serves, and is administered', async t => {
  const dir = t.testdir({ token: 'a token for the test\n' });
  const data = join(dir, 'data');
  const offline = await run('user', 'add', 'ada', '--data', data);
  t.match(offline, { code: 0, out: /^user ada/ }, 'directly on the store');
  const core = start(
    [
      '--data',
      data,
      '--agents-listen',
      '127.0.0.1:0',
      '--proxy',
      'ws://127.0.0.1:9',
      '--proxy-token-file',
      join(dir, 'token'),
    ],
    /core ready/,
  );
  await core.ready;
  t.match(
    await run('--data', data, '--json', 'user', 'list'),
    { code: 0, out: /^\[\{"id":"u_/ },
    'through the socket',
  );
  t.match(await run('--data', data, 'user', 'add', 'ada'), {
    code: 1,
    err: /^sallyport core: there is a user ada already\n$/,
  });
  t.match(await run('--data', data, '--agents-listen', '127.0.0.1:0'), {
    code: 1,
    err: /another Core is running/,
  });
  core.kill();
  t.match(await core.done, { code: 0, err: /core ready.*proxies=1/ });
});

const here = (t: Test, args: string[]): Promise<Ran> => runHere(t, command, args);

t.test('mistakes: one line and status 2', async t => {
  const dir = t.testdir({ short: 'x' });
  const data = ['--data', join(dir, 'data')];
  const table: readonly (readonly [string[], RegExp])[] = [
    [['dance'], /unknown command "dance"/],
    [['apply'], /usage: sallyport core apply FILE/],
    [['apply', '/nonexistent'], /cannot read \/nonexistent/],
    [['--agents-listen', '0.0.0.0:1'], /need TLS/],
    [['--agents-listen', 'x'], /ADDRESS:PORT/],
    [['--agents-tls-cert', 'x'], /belong together/],
    [['--proxy', 'ws://127.0.0.1:1'], /--proxy-token-file/],
    [['--proxy', 'http://127.0.0.1:1', '--proxy-token-file', join(dir, 'short')], /at least 16/],
    [['--log-level', 'loud'], /log-level must be/],
  ];
  for (const [args, message] of table) {
    const ran = await here(t, [...args, ...data]);
    t.equal(ran.code, 2, args.join(' '));
    t.match(ran.err, message);
    t.equal(ran.err.trimEnd().split('\n').length, 1);
  }
  t.match(await here(t, ['--help']), { code: 0, out: /^usage: sallyport core/ });
  const { out } = await here(t, ['--help']);
  for (const flag of Object.keys(locationFlags).filter(name => name !== 'demo-stale-after'))
    t.match(out, new RegExp(`--${flag}[ \\[=|]`), 'every option of a location is told');
});
