// The datagrams are caught by a real unix datagram socket, bound by a small Python program: Node has none of its own.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';
import { datagramSender, monotonicClock, Notify, unixAddress } from '../../../src/agent/health/sdnotify.ts';
import { openLibc } from '../../fixtures/native.ts';

const catcher = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind('\\0' + sys.argv[1][1:] if sys.argv[1][0] == '@' else sys.argv[1])
print('bound', flush=True)
while True: print(repr(s.recv(4096).decode()), flush=True)
`;
const noPython = spawnSync('python3', ['--version']).status !== 0 && 'python3 is not installed';

function recorder(environment: Record<string, string>): { notify: Notify | null; sent: string[] } {
  const sent: string[] = [];
  const notify = Notify.of({
    environment,
    send: (path, text) => {
      sent.push(`${path} ${text.replaceAll('\n', ' ')}`);
      return 0;
    },
    monotonicUs: () => 42,
    pid: 7,
  });
  return { notify, sent };
}

t.test('says nothing where nobody listens', async t => {
  t.equal(recorder({}).notify, null);
  t.equal(recorder({ NOTIFY_SOCKET: '' }).notify, null);
});

t.test('the life of a service', async t => {
  const { notify, sent } = recorder({ NOTIFY_SOCKET: '/n' });
  notify!.ready('up');
  notify!.status('up');
  notify!.status('3 sessions\nand more');
  notify!.reloading();
  notify!.ready('reloaded');
  notify!.stopping();
  t.same(sent, [
    '/n READY=1 STATUS=up',
    '/n STATUS=3 sessions and more',
    '/n RELOADING=1 MONOTONIC_USEC=42',
    '/n READY=1 STATUS=reloaded',
    '/n STOPPING=1',
  ]);
});

t.test('the watchdog is fed at half time, and only while all is well', async t => {
  t.equal(recorder({ NOTIFY_SOCKET: '/n' }).notify!.watchdogMs, 0);
  t.equal(
    recorder({ NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }).notify!.watchdogMs,
    15000,
  );
  t.equal(
    recorder({ NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }).notify!.watchdogMs,
    0,
    "somebody else's",
  );
  const { notify, sent } = recorder({ NOTIFY_SOCKET: '/n', WATCHDOG_USEC: '4000' });
  const hold = setInterval(() => undefined, 1000); // the watchdog's own timer holds no process
  t.teardown(() => clearInterval(hold));
  let isWell = true;
  let beats = 0;
  await new Promise<void>(resolve =>
    notify!.watch(
      async () => isWell,
      () => {
        isWell = false;
        if (++beats === 3) resolve();
      },
    ),
  );
  notify!.stopping();
  t.same(sent, ['/n WATCHDOG=1', '/n STOPPING=1']);
});

t.test('addresses', async t => {
  t.same([...unixAddress('/a')!], [1, 0, 0x2f, 0x61, 0]);
  t.same([...unixAddress('@a')!], [1, 0, 0, 0x61]);
  t.equal(unixAddress('vsock:2:3'), null);
  t.equal(unixAddress(`/${'x'.repeat(107)}`), null);
});

for (const kind of ['a path', 'an abstract name'])
  t.test(`a datagram arrives at ${kind}`, { skip: noPython }, async t => {
    const libc = await openLibc();
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-notify-'));
    t.teardown(() => rmSync(dir, { recursive: true }));
    const path = kind === 'a path' ? join(dir, 'notify') : `@sallyport-notify-${process.pid}`;
    const python = spawn('python3', ['-c', catcher, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => python.kill());
    const lines = createInterface({ input: python.stdout })[Symbol.asyncIterator]();
    t.match((await lines.next()).value, /bound/);
    const send = datagramSender(libc);
    t.equal(send(path, 'READY=1\nSTATUS=up'), 0);
    t.equal((await lines.next()).value, "'READY=1\\nSTATUS=up'");
  });

t.test('failures are numbers', async t => {
  const libc = await openLibc();
  const send = datagramSender(libc);
  t.equal(send('/nowhere/at/all', 'READY=1'), -2);
  t.equal(send('vsock:1', 'READY=1'), -22);
  t.equal(send('/n', 'x'.repeat(2000)), -22);
  const clock = monotonicClock(libc);
  const first = clock();
  t.ok(first > 0 && clock() >= first);
  t.ok(Math.abs(first / 1e6 - performance.now() / 1000) < 1e9);
});
