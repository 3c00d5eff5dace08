// The opening handshake: what is asked, which answers are taken, and that anything else ends in one line and no open socket.

import t from 'tap';
import type { EventEmitter } from 'node:events';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Test } from 'tap';
import * as ws from 'ws';
import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';
import { WireState } from '../../../src/control/wire/channel.ts';
import { dial } from '../../../src/control/wire/dial.ts';
import type { DialOptions } from '../../../src/control/wire/dial.ts';
import { selfSigned } from '../../../scripts/lib/certificate.ts';
import {
  closeFrame,
  closing,
  frame,
  headerOf,
  ping,
  rawServer,
  switching,
  text,
} from '../../fixtures/system/rawserver.ts';
import { soon } from '../../fixtures/soon.ts';
import { deferred } from '../../fixtures/deferred.ts';

const protocol = 'test.v1';
const more = 0x01; // a text without FIN
const rest = 0x80; // its last piece

function attempt(url: string, rest: Partial<DialOptions> = {}): Promise<WebSocket | string> {
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
      /Invalid Sec-WebSocket-Accept/,
    ],
    'no key': [
      request => switching(request, { 'Sec-WebSocket-Accept': null }),
      /Invalid Sec-WebSocket-Accept/,
    ],
    'other subprotocol': [
      request => switching(request, { 'Sec-WebSocket-Protocol': 'test.v2' }),
      /invalid subprotocol, test\.v1 is expected/,
    ],
    'no subprotocol': [request => switching(request, { 'Sec-WebSocket-Protocol': null }), /subprotocol/],
    extension: [
      request => switching(request, { 'Sec-WebSocket-Extensions': 'permessage-deflate' }),
      /no extension was requested/,
    ],
    'another protocol': [request => switching(request, { Upgrade: 'h2c' }), /Invalid Upgrade header/],
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
    const opened = (connection: WebSocket): void => {
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

// --- After the opening handshake

/** ws exports its parser of frames, but its types do not. */
const { Receiver } = ws as unknown as {
  Receiver: new (options: object) => EventEmitter<{
    message: [data: Buffer];
    pong: [data: Buffer];
    conclude: [code: number, reason: Buffer];
    error: [error: Error];
  }> & { write(chunk: Buffer): boolean };
};

interface Ends {
  readonly connection: WebSocket;
  /** Messages, pings and the end, as `connection` tells of them. */
  readonly told: string[];
  /** The server's side of the TCP connection. */
  readonly socket: Socket;
  /** Frames the server got; a frame without a mask is an error there. */
  readonly got: string[];
  readonly bytes: Buffer[];
}

function open(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => void dial({ url, protocol }, resolve, reject));
}

function listen(connection: WebSocket): string[] {
  const told: string[] = [];
  connection.on('message', (data: Buffer, isBinary) =>
    told.push(`${isBinary ? 'binary' : 'text'} ${data.length > 99 ? data.length : data.toString()}`),
  );
  connection.on('ping', () => told.push('ping'));
  let fault = '';
  connection.on('error', error => (fault = error.message));
  connection.on('close', (code, reason) => told.push(`close ${code} ${reason.toString() || fault}`));
  return told;
}

async function ends(t: Pick<Test, 'teardown'>): Promise<Ends> {
  const got: string[] = [];
  const bytes: Buffer[] = [];
  const far = deferred<Socket>();
  const url = await rawServer(t, (socket, request) => {
    const options = { isServer: true, maxPayload: 0, maxFragments: 0, maxBufferedChunks: 0 };
    const receiver = new Receiver(options);
    receiver.on('message', data => got.push(`text ${data.length > 99 ? data.length : data.toString()}`));
    receiver.on('pong', data => got.push(`pong ${data.toString()}`));
    receiver.on('conclude', (code, reason) => got.push(`close ${code} ${reason.toString()}`));
    receiver.on('error', error => got.push(error.message));
    socket.on('data', chunk => (bytes.push(chunk), receiver.write(chunk)));
    socket.on('end', () => got.push('end'));
    socket.write(switching(request));
    far.resolve(socket);
  });
  const connection = await open(url);
  return { connection, told: listen(connection), socket: await far.promise, got, bytes };
}

t.test('messages, whole, in pieces, and with pings between them', async t => {
  const { connection, told, socket, got } = await ends(t);
  const all = [
    frame(text, 'whole'),
    frame(more, 'fo'),
    frame(ping, 'are you there'),
    frame(0x00, 'u'),
    frame(rest, 'r'),
    frame(0x82, 'bytes'),
    frame(0x8a, 'unasked pong'),
    frame(text),
    frame(text, 'x'.repeat(65_535)),
  ];
  for (const byte of Buffer.concat(all.slice(0, 8))) socket.write(Buffer.from([byte]));
  socket.write(all[8]!);
  await soon(() => told.length === 6);
  t.strictSame(told, ['text whole', 'ping', 'text four', 'binary bytes', 'text ', 'text 65535']);
  await soon(() => got.length === 1);
  t.strictSame(got, ['pong are you there']);
  connection.send('good');
  connection.send('y'.repeat(65_536));
  await soon(() => got.length === 3);
  t.strictSame(got.slice(1), ['text good', 'text 65536']);
  socket.destroy();
});

t.test('a message over a limit closes with the code that says so', async t => {
  const table: Record<string, [bytes: Buffer, code: number, why: RegExp]> = {
    'a frame over the limit': [
      Buffer.from([text, 127, 0, 0, 0, 0, 0, 1, 0, 1]),
      1009,
      /Max payload size exceeded/,
    ],
    'pieces over the limit': [
      Buffer.concat([frame(more, 'x'.repeat(65_535)), frame(rest, 'yy')]),
      1009,
      /Max payload size exceeded/,
    ],
    'very many pieces': [
      Buffer.concat([frame(more), ...Array<Buffer>(5000).fill(frame(0x00))]),
      1008,
      /Too many message fragments/,
    ],
  };
  for (const [name, [bytes, code, why]] of Object.entries(table)) {
    const { connection, told, socket, got } = await ends(t);
    socket.write(Buffer.concat([frame(text, 'before'), bytes, frame(text, 'after')]));
    socket.on('end', () => socket.end());
    await soon(() => connection.readyState === WireState.closed);
    t.strictSame(got, [`close ${code} `, 'end'], name);
    t.equal(told.length, 2, name);
    t.equal(told[0], 'text before', name);
    t.match(told[1], why, name);
    t.match(told[1], /^close 1006 /, name);
  }
});

t.test('closed by us', async t => {
  const { connection, told, socket, got, bytes } = await ends(t);
  connection.close(4002, 'enough');
  connection.close(4003, 'once is enough');
  t.equal(connection.readyState, WireState.closing);
  await soon(() => got.length === 1);
  t.strictSame(got, ['close 4002 enough']);
  socket.write(Buffer.concat([frame(ping, 'too late'), closeFrame(4002, 'enough')]));
  socket.on('end', () => socket.end());
  await soon(() => told.length === 2);
  t.strictSame(told, ['ping', 'close 4002 enough']);
  t.strictSame(got, ['close 4002 enough', 'end']);
  t.equal(Buffer.concat(bytes).length, 2 + 4 + 2 + 'enough'.length, 'no pong after a close frame');
});

t.test('closed by the server, with and without a code', async t => {
  for (const [bytes, code] of [
    [closeFrame(1001, 'shutting down'), '1001 shutting down'],
    [closeFrame(4001), '4001 '],
    [frame(closing), '1005 '],
  ] as const) {
    const { told, socket, got } = await ends(t);
    const from = performance.now();
    socket.write(Buffer.concat([bytes, frame(text, 'after the end')]));
    socket.on('end', () => socket.resetAndDestroy()); // which is no news any more
    await soon(() => told.length === 1);
    t.ok(performance.now() - from < 1900, 'at once, not by the cut');
    t.strictSame(told, [`close ${code}`]);
    t.strictSame(got, [`close ${code}`, 'end'], 'answered with its own code');
  }
});

t.test('an end without a close frame', async t => {
  const half = await ends(t);
  half.socket.write(frame(more, 'unfinished'));
  half.socket.end();
  await soon(() => half.told.length === 1);
  t.strictSame(half.told, ['close 1006 ']);
  const reset = await ends(t);
  reset.socket.resetAndDestroy();
  await soon(() => reset.told.length === 1);
  t.match(reset.told[0], /^close 1006 /);
});

t.test('a server that does not take part in the end is cut after two seconds', async t => {
  const cases: Record<string, (ends: Ends) => void> = {
    'no answer to our close frame': ({ connection }) => connection.close(1000, ''),
    'its own, and then nothing': ({ socket }) => socket.write(closeFrame(1000)),
    'no frame, and then nothing': ({ socket }) => socket.write(frame(0x83)),
  };
  const took = Object.entries(cases).map(async ([name, begin]) => {
    const both = await ends(t);
    const from = performance.now();
    begin(both);
    await soon(() => both.connection.readyState === WireState.closed);
    const ms = performance.now() - from;
    t.ok(ms > 1900 && ms < 8000, `${name}: ${ms} ms`);
  });
  await Promise.all(took);
});

t.test('who pings and does not read is cut', async t => {
  const { connection, told, socket } = await ends(t);
  socket.pause();
  for (let n = 0; connection.bufferedAmount < 1_000_000; n++) {
    connection.send('z'.repeat(60_000)); // until the kernel takes no more
    if (n % 10 === 0) await new Promise(resolve => setImmediate(resolve));
  }
  for (let n = 0; n < 100; n++) socket.write(frame(ping, 'again'));
  await soon(() => connection.readyState === WireState.closed);
  t.match(told.at(-1), /^close 1006 /);
});
