import t from 'tap';
import type { Test } from 'tap';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { run as command } from '../../src/proxy/command.ts';

const door = new URL('../../src/proxy/command.ts', import.meta.url).href;
const script = `const { run } = await import(${JSON.stringify(door)}); process.exitCode = await run(process.argv.slice(1));`;

interface Ran {
  code: number | null;
  out: string;
  err: string;
}

function run(args: string[], until?: RegExp): Promise<Ran> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, '--', ...args]);
  let out = '';
  let err = '';
  child.stdout.on('data', data => (out += data));
  child.stderr.on('data', data => {
    err += data;
    if (until?.test(err) === true) child.kill('SIGTERM');
  });
  return new Promise(resolve => child.on('close', code => resolve({ code, out, err })));
}

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
  t.match(await run(args, /proxy ready/), { code: 0, err: /proxy ready public=\d+ core=\d+ tls=false/ });
});

/** The command in this process, for what ends before anything is opened. */
async function here(t: Test, args: string[]): Promise<Ran> {
  const out = t.capture(process.stdout, 'write', () => true);
  const err = t.capture(process.stderr, 'write', () => true);
  try {
    const code = await command(args);
    const text = (calls: typeof out): string =>
      calls()
        .map(call => String(call.args[0]))
        .join('');
    return { code, out: text(out), err: text(err) };
  } finally {
    out.restore();
    err.restore();
  }
}

t.test('mistakes: one line and status 2', async t => {
  const token = ['--core-token-file', join(t.testdir({ token: 'a token for the test' }), 'token')];
  const table: readonly (readonly [string[], RegExp])[] = [
    [[], /--core-token-file/],
    [[...token, '--listen', '0.0.0.0:1'], /loopback only/],
    [[...token, '--tls-key', 'x'], /belong together/],
    [[...token, '--tls-key', '/nonexistent', '--tls-cert', '/nonexistent'], /nonexistent/],
    [[...token, '--port', '1'], /unknown argument "--port"/],
    [[...token, '--log-level', 'loud'], /log-level must be/],
  ];
  for (const [args, message] of table) {
    const ran = await here(t, args);
    t.equal(ran.code, 2, args.join(' '));
    t.match(ran.err, message);
    t.equal(ran.err.trimEnd().split('\n').length, 1);
  }
  t.match(await here(t, ['--help']), { code: 0, out: /^usage: sallyport proxy/ });
});
