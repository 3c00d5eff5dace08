// The opening handshake: what is asked, which answers are taken, and that anything else ends in one line and no open socket.

import t from 'tap';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Connection } from '../../../src/control/wire/connection.ts';
import { dial } from '../../../src/control/wire/dial.ts';
import type { DialOptions } from '../../../src/control/wire/dial.ts';
import { selfSigned } from '../../../scripts/lib/certificate.ts';
import { frame, headerOf, rawServer, switching, text } from '../../fixtures/system/rawserver.ts';
import { deferred } from '../../fixtures/deferred.ts';

const protocol = 'test.v1';

function attempt(url: string, rest: Partial<DialOptions> = {}): Promise<Connection | string> {
  return new Promise(resolve => void dial({ url, protocol, ...rest }, resolve, resolve));
}

t.test('the request', async t => {
  const requests: string[] = [];
  const url = await rawServer(t, (socket, request) => {
    requests.push(request);
    socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
  });
  const why = await attempt(`${url}v1/way?x=1`, { headers: { authorization: 'Bearer secret' } });
  t.match(why, `no WebSocket at ${url}v1/way?x=1: it answers with status 403`);
  await attempt(url);
  const [first, second] = requests as [string, string];
  t.match(first, /^GET \/v1\/way\?x=1 HTTP\/1\.1\r\n/);
  t.equal(headerOf(first, 'Host'), new URL(url).host);
  t.equal(headerOf(first, 'Authorization'), 'Bearer secret');
  t.equal(headerOf(first, 'Connection'), 'Upgrade');
  t.equal(headerOf(first, 'Upgrade'), 'websocket');
  t.equal(headerOf(first, 'Sec-WebSocket-Version'), '13');
  t.equal(headerOf(first, 'Sec-WebSocket-Protocol'), protocol);
  t.notMatch(first, /Sec-WebSocket-Extensions/i);
  const key = headerOf(first, 'Sec-WebSocket-Key');
  t.equal(Buffer.from(key, 'base64').length, 16);
  t.not(headerOf(second, 'Sec-WebSocket-Key'), key, 'a new key each time');
});

t.test('answers that open nothing', async t => {
  const table: Record<string, [answer: (request: string) => string, why: RegExp]> = {
    'wrong key': [
      request => switching(request, { 'Sec-WebSocket-Accept': Buffer.alloc(20).toString('base64') }),
      /Sec-WebSocket-Accept is wrong/,
    ],
    'no key': [request => switching(request, { 'Sec-WebSocket-Accept': null }), /Accept is wrong/],
    'other subprotocol': [
      request => switching(request, { 'Sec-WebSocket-Protocol': 'test.v2' }),
      /does not speak the subprotocol test\.v1/,
    ],
    'no subprotocol': [request => switching(request, { 'Sec-WebSocket-Protocol': null }), /subprotocol/],
    extension: [
      request => switching(request, { 'Sec-WebSocket-Extensions': 'permessage-deflate' }),
      /an extension nobody asked for/,
    ],
    'another protocol': [
      request => switching(request, { Upgrade: 'h2c' }),
      /something else than a WebSocket/,
    ],
    'no upgrade': [request => switching(request, { Upgrade: null }), /status 101 and no upgrade/],
    'no connection': [request => switching(request, { Connection: null }), /status 101 and no upgrade/],
    'who are you': [
      () => 'HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}',
      /status 401 and no upgrade: check the address and the credentials/,
    ],
    'half an answer': [() => 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 99\r\n\r\n{', /status 502/],
    redirect: [() => 'HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n', /status 302/],
    garbage: [() => 'SSH-2.0-OpenSSH_9.9\r\n', /Parse Error/],
    'too many headers': [() => `HTTP/1.1 101 x\r\nX: ${'x'.repeat(100_000)}`, /Parse Error/],
  };
  for (const [name, [answer, why]] of Object.entries(table)) {
    const hungUp = deferred<void>();
    const url = await rawServer(t, (socket, request) => {
      socket.resume().on('close', () => hungUp.resolve());
      socket.on('end', () => socket.end());
      socket.write(answer(request));
    });
    const told = await attempt(url);
    t.type(told, 'string', name);
    t.match(told, why, name);
    t.notMatch(told, '\n');
    await hungUp.promise;
  }
});

t.test('no answer, or one that never ends', async t => {
  const silent = await rawServer(t, () => {});
  t.match(await attempt(silent, { withinMs: 50 }), /no answer within 0\.05 s$/);
  const endless = await rawServer(t, socket => {
    const timer = setInterval(() => socket.write('HTTP/1.1 102 Processing\r\n\r\n'), 5);
    socket.on('close', () => clearInterval(timer));
  });
  t.match(await attempt(endless, { withinMs: 50 }), /no answer within/, 'noise does not extend the time');
  t.match(await attempt(await rawServer(t, socket => socket.end())), /socket hang up/);
});

t.test('given up: nothing is told', async t => {
  const asked = deferred<Socket>();
  const url = await rawServer(t, socket => asked.resolve(socket));
  const giveUp = dial(
    { url, protocol, withinMs: 50 },
    () => t.fail('opened'),
    why => t.fail(why),
  );
  const socket = await asked.promise;
  const hungUp = new Promise(resolve => socket.resume().on('end', resolve));
  giveUp();
  await hungUp;
});

t.test('what comes in one packet with the answer is heard', async t => {
  const url = await rawServer(t, (socket, request) =>
    socket.write(Buffer.concat([Buffer.from(switching(request)), frame(text, 'early'), frame(text, 'bird')])),
  );
  const heard: string[] = [];
  await new Promise<void>((resolve, reject) => {
    const opened = (connection: Connection): void => {
      connection.on('message', data => {
        if (heard.push(data.toString()) < 2) return;
        connection.close(1000, '');
        resolve();
      });
    };
    dial({ url, protocol }, opened, reject);
  });
  t.strictSame(heard, ['early', 'bird']);
});

t.test('TLS: the authority, the name and the address are checked', async t => {
  const certificate = selfSigned(['127.0.0.1']);
  const names: string[] = [];
  const server = createServer({
    ...certificate,
    SNICallback: (name, done) => (names.push(name), done(null)),
  });
  const sockets = new WebSocketServer({ server, handleProtocols: () => protocol });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    sockets.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const ca = certificate.cert;
  t.match(await attempt(`wss://127.0.0.1:${port}/`), /self-signed certificate/);
  t.match(await attempt(`wss://127.0.0.1:${port}/`, { ca: selfSigned(['127.0.0.1']).cert }), /self-signed/);
  t.strictSame(names, [], 'an address is no server name (RFC 6066 section 3)');
  t.match(await attempt(`wss://localhost:${port}/`, { ca }), /does not match certificate's altnames/);
  t.strictSame(names, ['localhost']);
  const connection = await attempt(`wss://127.0.0.1:${port}/`, { ca });
  if (typeof connection === 'string') throw new Error(connection);
  const closed = new Promise<number>(resolve => connection.on('close', resolve));
  connection.close(1000, '');
  t.equal(await closed, 1000);
});
