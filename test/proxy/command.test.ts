import t from 'tap';
import type { Test } from 'tap';
import { join } from 'node:path';
import { run as command } from '../../src/proxy/command.ts';
import { runHere, start } from '../fixtures/system/role.ts';
import type { Ran } from '../fixtures/system/role.ts';

const door = new URL('../../src/proxy/command.ts', import.meta.url).href;

t.test('serves until it is told to stop', async t => {
  const dir = t.testdir({
    token: 'a token for the test\n',
    conf: 'logLevel = "debug"\ncoreListen = "127.0.0.1:0"\n',
  });
  const args = [
    '--config',
    join(dir, 'conf'),
    '--listen',
    '127.0.0.1:0',
    '--core-token-file',
    join(dir, 'token'),
  ];
  const proxy = start(door, args, /proxy ready/);
  await proxy.ready;
  proxy.kill();
  t.match(await proxy.done, { code: 0, err: /proxy ready public=\d+ core=\d+ tls=false/ });
});

const here = (t: Test, args: string[]): Promise<Ran> => runHere(t, command, args);

t.test('mistakes: one line and status 2', async t => {
  const token = ['--core-token-file', join(t.testdir({ token: 'a token for the test' }), 'token')];
  const table: readonly (readonly [string[], RegExp])[] = [
    [[], /--core-token-file/],
    [[...token, '--listen', '0.0.0.0:1'], /loopback only/],
    [[...token, '--tls-key', 'x'], /belong together/],
    [[...token, '--tls-key', '/nonexistent', '--tls-cert', '/nonexistent'], /nonexistent/],
    [[...token, '--port', '1'], /unknown argument "--port"/],
    [[...token, '--log-level', 'loud'], /log-level must be/],
    [
      [...token, '--trusted-proxy', 'banana'],
      /--trusted-proxy must be an address or a prefix .* not "banana"/,
    ],
  ];
  for (const [args, message] of table) {
    const ran = await here(t, args);
    t.equal(ran.code, 2, args.join(' '));
    t.match(ran.err, message);
    t.equal(ran.err.trimEnd().split('\n').length, 1);
  }
  t.match(await here(t, ['--help']), { code: 0, out: /^usage: sallyport proxy/ });
});
