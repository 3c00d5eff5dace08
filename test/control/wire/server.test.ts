import t from 'tap';
import type { Test } from 'tap';
import { statSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import {
  bodyText,
  closeNow,
  listen,
  listenPrivately,
  renewOnHangup,
  untilStopped,
  webServer,
} from '../../../src/control/wire/server.ts';
import { selfSigned } from '../../../scripts/lib/certificate.ts';
import { createLog } from '../../../src/control/log.ts';
import { shortDirectory } from '../../fixtures/system/directory.ts';

const any = { host: '127.0.0.1', port: 0 };

async function bodies(t: Test): Promise<{ port: number; seen: Promise<string | null> }> {
  let see!: (text: string | null) => void;
  const seen = new Promise<string | null>(resolve => (see = resolve));
  const server = webServer(undefined, (request, response) => {
    void bodyText(request, 10).then(text => {
      response.end(text === null ? 'too large' : text);
      see(text);
    });
  });
  t.teardown(() => closeNow(server));
  return { port: (await listen(server, any)).port, seen };
}

t.test('bodies have a limit', async t => {
  const { port } = await bodies(t);
  const post = async (body: string): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body })).text();
  t.equal(await post('0123456789'), '0123456789');
  t.equal(await post('ü'.repeat(5)), 'ü'.repeat(5));
  t.equal(await post('01234567890'), 'too large');
});

t.test('a client that goes away left nothing', async t => {
  const { port, seen } = await bodies(t);
  const client = request({ port, host: '127.0.0.1', method: 'POST', headers: { 'content-length': 8 } });
  client.on('error', () => {});
  client.write('0123');
  client.on('socket', socket => socket.once('connect', () => setImmediate(() => client.destroy())));
  t.equal(await seen, '');
});

t.test('a place that is taken', async t => {
  const first = webServer(undefined, () => {});
  const { port } = await listen(first, any);
  await t.rejects(
    listen(
      webServer(undefined, () => {}),
      { ...any, port },
    ),
    { code: 'EADDRINUSE' },
  );
  await closeNow(first);
});

t.test('TLS needs a key that is one', async t => {
  t.throws(() => webServer({ cert: 'x', key: 'y' }, () => {}));
});

t.test('a private socket', async t => {
  const path = join(shortDirectory(t), 's.sock');
  const before = process.umask();
  const server = createServer();
  await listenPrivately(server, path);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.equal(process.umask(), before);
  await t.rejects(listenPrivately(createServer(), path), { code: 'EADDRINUSE' });
  t.equal(process.umask(), before);
  await new Promise(resolve => server.close(resolve));
});

t.test('asked to end', async t => {
  const stopped = untilStopped();
  process.emit('SIGTERM', 'SIGTERM');
  t.equal(await stopped, undefined);
  process.removeAllListeners('SIGINT');
});

t.test('a renewed certificate is presented from SIGHUP on, a bad one never', async t => {
  const [first, second] = [selfSigned(['127.0.0.1']), selfSigned(['127.0.0.1'])];
  const server = webServer(first, (_, response) => void response.end('here'));
  const { port } = await listen(server, any);
  t.teardown(() => closeNow(server));
  t.teardown(() => process.removeAllListeners('SIGHUP'));
  const presented = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerX509Certificate()!.toString());
        socket.destroy();
      });
      socket.on('error', reject);
    });
  const lines: string[] = [];
  const log = createLog({ level: 'info', write: line => lines.push(line) });
  let next: () => typeof first | undefined = () => second;
  renewOnHangup(log, () => next(), server);
  t.equal(await presented(), first.cert);
  process.emit('SIGHUP');
  t.equal(await presented(), second.cert);
  for (const bad of [
    () => ({ cert: first.cert, key: second.key }),
    () => ({ cert: 'none', key: first.key }),
    () => {
      throw new Error('proxy.crt: gone');
    },
  ]) {
    next = bad;
    process.emit('SIGHUP');
    t.equal(await presented(), second.cert);
  }
  next = () => undefined;
  process.emit('SIGHUP');
  t.match(lines, [
    /read anew/,
    /not renewed: the old one stays/,
    /not renewed/,
    /proxy\.crt: gone/,
    /no certificate/,
  ]);
  for (const line of lines) t.notMatch(line, /PRIVATE KEY/);
});
