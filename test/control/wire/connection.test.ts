// A connection against a hand-made server, byte by byte, and against that of ws.

import t from 'tap';
import type { AddressInfo, Socket } from 'node:net';
import type { Test } from 'tap';
import { Receiver, WebSocketServer } from 'ws';
import { WireState } from '../../../src/control/wire/channel.ts';
import type { Connection } from '../../../src/control/wire/connection.ts';
import { dial } from '../../../src/control/wire/dial.ts';
import {
  closeFrame,
  closing,
  frame,
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

interface Ends {
  readonly connection: Connection;
  /** Messages, pings and the end, as `connection` tells of them. */
  readonly told: string[];
  /** The server's side of the TCP connection. */
  readonly socket: Socket;
  /** Frames the server got; a frame without a mask is an error there. */
  readonly got: string[];
  readonly bytes: Buffer[];
}

function open(url: string): Promise<Connection> {
  return new Promise((resolve, reject) => void dial({ url, protocol }, resolve, reject));
}

function listen(connection: Connection): string[] {
  const told: string[] = [];
  connection.on('message', (data, isBinary) =>
    told.push(`${isBinary ? 'binary' : 'text'} ${data.length > 99 ? data.length : data.toString()}`),
  );
  connection.on('ping', () => told.push('ping'));
  connection.on('close', (code, reason) => told.push(`close ${code} ${reason.toString()}`));
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
    receiver.on('pong' as 'ping', data => got.push(`pong ${data.toString()}`));
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

t.test('every frame has a mask of its own', async t => {
  const { connection, bytes, socket } = await ends(t);
  const size = 2 + 4 + 5;
  for (let n = 0; n < 16; n++) connection.send('hello');
  await soon(() => Buffer.concat(bytes).length === 16 * size);
  const sent = Buffer.concat(bytes);
  const masks = Array.from({ length: 16 }, (_, n) => sent.toString('hex', n * size + 2, n * size + 6));
  t.equal(new Set(masks).size, 16);
  socket.destroy();
});

t.test('what is no frame closes with the code that says so', async t => {
  const table: Record<string, [bytes: Buffer, code: number, why: RegExp]> = {
    'a mask': [frame(text, 'x', true), 1002, /MASK must be clear/],
    'a compressed frame': [frame(0xc1, 'x'), 1002, /RSV1 must be clear/],
    'a reserved bit': [frame(0xa1, 'x'), 1002, /RSV2 and RSV3 must be clear/],
    'an opcode without meaning': [frame(0x83, 'x'), 1002, /invalid opcode 3/],
    'the rest of nothing': [frame(rest, 'x'), 1002, /invalid opcode 0/],
    'two beginnings': [Buffer.concat([frame(more, 'x'), frame(more, 'y')]), 1002, /invalid opcode 1/],
    'a ping in pieces': [frame(0x09, 'x'), 1002, /FIN must be set/],
    'a long ping': [frame(ping, 'x'.repeat(126)), 1002, /invalid payload length/],
    'half a close code': [frame(closing, 'x'), 1002, /invalid payload length 1/],
    'a close code nobody may send': [closeFrame(1006), 1002, /invalid status code 1006/],
    'no UTF-8': [frame(text, Buffer.from([0xc0, 0x80])), 1007, /UTF-8/],
    'a close reason that is no UTF-8': [
      Buffer.concat([Buffer.from([closing, 4, 0x03, 0xe8]), Buffer.from([0xc0, 0x80])]),
      1007,
      /UTF-8/,
    ],
    'a frame over the limit': [
      Buffer.from([text, 127, 0, 0, 0, 0, 0, 1, 0, 1]),
      1009,
      /Max payload size exceeded/,
    ],
    'a frame over every limit': [Buffer.from([text, 127, 255, 0, 0, 0, 0, 0, 0, 0]), 1009, /payload length/],
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

t.test('a frame that comes byte by byte', async t => {
  const { connection, told, socket, got } = await ends(t);
  const drip = frame(text, 'x'.repeat(20_000));
  for (let n = 0; n < drip.length && connection.readyState === WireState.open; n++) {
    socket.write(drip.subarray(n, n + 1));
    await new Promise(resolve => setImmediate(resolve)); // one turn, one packet
  }
  socket.on('end', () => socket.end());
  await soon(() => connection.readyState === WireState.closed);
  t.strictSame(told, ['close 1006 Too many buffered chunks']);
  t.strictSame(got, ['close 1008 ', 'end']);
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
  t.match(reset.told[0], /^close 1006 .*ECONNRESET/);
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

t.test('with the server of ws', async t => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => protocol });
  t.teardown(() => void server.close());
  await new Promise(resolve => server.on('listening', resolve));
  const ended: string[] = [];
  server.on('connection', socket => {
    socket.on('message', data => {
      socket.ping();
      const told = (data as Buffer).toString();
      if (told === 'go') socket.close(4005, 'as you wish');
      else socket.send(told.toUpperCase());
    });
    socket.on('pong', () => ended.push('pong'));
    socket.on('close', (code, reason) => ended.push(`close ${code} ${reason.toString()}`));
  });
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const first = await open(url);
  const told = listen(first);
  first.send('grüße');
  await soon(() => told.length === 2 && ended.length === 1);
  first.close(1000, 'bye');
  await soon(() => told.length === 3 && ended.length === 2);
  t.strictSame(told, ['ping', 'text GRÜSSE', 'close 1000 bye']);
  t.strictSame(ended.splice(0), ['pong', 'close 1000 bye']);
  const second = listen(await open(url).then(connection => (connection.send('go'), connection)));
  await soon(() => second.length === 2 && ended.length === 2);
  t.strictSame(second, ['ping', 'close 4005 as you wish']);
  t.strictSame(ended, ['pong', 'close 4005 as you wish']);
});
