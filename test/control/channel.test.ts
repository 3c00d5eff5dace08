// Channels over loopback: what is delivered, what closes them and with which code, and how the dialler comes back.

import t from 'tap';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import { Acceptor, backoffMs, CloseCode, Dialer } from '../../src/control/channel.ts';
import type { Channel } from '../../src/control/channel.ts';
import { readRelayAnswer, readRelayRequest, relayProtocol } from '../../src/control/relay.ts';
import type { RelayAnswer, RelayRequest } from '../../src/control/relay.ts';
import { seeded } from '../fixtures/rng.ts';

type Near = Channel<RelayAnswer, RelayRequest>;
type Far = Channel<RelayRequest, RelayAnswer>;

async function listener(opened: (channel: Near) => void): Promise<{ server: Server; port: number }> {
  const server = createServer();
  const acceptor = new Acceptor<RelayAnswer, RelayRequest>({
    protocol: relayProtocol,
    read: readRelayAnswer,
    opened,
  });
  server.on('upgrade', (request, socket, head) => acceptor.accept(request, socket, head));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>(done => (resolve = done));
  return { promise, resolve };
}

function raw(port: number, protocol: string | null = relayProtocol): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${port}`, protocol === null ? [] : [protocol]);
}

function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise(resolve =>
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
}

t.test('frames in both directions, unknown ones counted', async t => {
  const heard: string[] = [];
  const near = new Promise<Near>(
    resolve => void listener(resolve).then(({ server, port }) => start(server, port)),
  );
  let stop = (): void => {};
  const far = deferred<Far>();
  function start(server: Server, port: number): void {
    const dialer = new Dialer<RelayRequest, RelayAnswer>({
      url: `ws://127.0.0.1:${port}`,
      protocol: relayProtocol,
      read: readRelayRequest,
      opened: channel => {
        channel.send({ type: 'pong', n: 1 }); // before anybody handles: kept for them
        far.resolve(channel);
      },
      lost: () => {},
    });
    dialer.start();
    dialer.start(); // once is enough
    stop = () => {
      dialer.stop();
      server.close();
    };
  }
  const mine = await near;
  const theirs = await far.promise;
  const got = new Promise<void>(resolve =>
    mine.handle({
      frame: frame => (heard.push(frame.type), heard.length === 2 && resolve()),
      closed: () => heard.push('closed'),
    }),
  );
  const gone = new Promise<number>(resolve => theirs.handle({ frame: () => {}, closed: resolve }));
  (theirs as unknown as Channel<RelayRequest, unknown>).send({ type: 'novelty' });
  theirs.send({ type: 'end', n: 2 });
  await got;
  t.same(heard, ['pong', 'end']);
  t.equal(mine.counters.unknown, 1);
  t.throws(
    () => theirs.send({ type: 'event', n: 1, event: 'x', data: 'y'.repeat(70_000) }),
    /over the limit/,
  );
  mine.close(CloseCode.replaced, 'enough');
  t.equal(await gone, CloseCode.replaced);
  t.equal(theirs.send({ type: 'end', n: 3 }), false);
  stop();
});

t.test('what closes a channel', async t => {
  const { server, port } = await listener(channel => channel.handle({ frame: () => {}, closed: () => {} }));
  t.teardown(() => void server.close());
  const table: readonly (readonly [string | Buffer, number, RegExp])[] = [
    ['not json', CloseCode.malformed, /not JSON/],
    ['{"type":"end"}', CloseCode.malformed, /end: n must be present/],
    [Buffer.from([1, 2]), CloseCode.malformed, /binary/],
    ['x'.repeat(65_537), 1009, /^$/],
  ];
  for (const [data, code, reason] of table) {
    const socket = raw(port);
    socket.on('open', () => socket.send(data));
    const closed = await closing(socket);
    t.equal(closed.code, code);
    t.match(closed.reason, reason);
  }
});

t.test('a wrong subprotocol gets a plain answer', async t => {
  const { server, port } = await listener(() => t.fail('opened'));
  t.teardown(() => void server.close());
  for (const protocol of ['other.v1', null]) {
    const socket = raw(port, protocol);
    const error = await new Promise<Error>(resolve => socket.on('error', resolve));
    t.match(error.message, /400/);
  }
});

t.test('too much before the handshake', async t => {
  let channel: Near | undefined;
  const { server, port } = await listener(opened => (channel = opened));
  t.teardown(() => void server.close());
  const socket = raw(port);
  socket.on('open', () => {
    for (let n = 0; n < 100; n++) socket.send(JSON.stringify({ type: 'pong', n }));
  });
  t.equal((await closing(socket)).code, CloseCode.malformed);
  const closed = await new Promise<number>(resolve => channel!.handle({ frame: () => {}, closed: resolve }));
  t.type(closed, 'number', 'whoever handles late still hears of the end');
});

t.test('the dialler comes back until it is stopped', async t => {
  const opened: Far[] = [];
  let lost = 0;
  const { server, port } = await listener(channel => {
    channel.handle({ frame: () => {}, closed: () => {} });
    if (opened.length < 2) channel.close(CloseCode.goingAway, 'again');
  });
  const third = deferred<void>();
  const attempts: number[] = [];
  const dialer = new Dialer<RelayRequest, RelayAnswer>({
    url: `ws://127.0.0.1:${port}`,
    protocol: relayProtocol,
    read: readRelayRequest,
    delay: attempt => (attempts.push(attempt), 1),
    opened: channel => {
      opened.push(channel);
      if (opened.length === 3) third.resolve(undefined);
    },
    lost: () => lost++,
  });
  dialer.start();
  await third.promise;
  t.ok(lost >= 2);
  t.equal(dialer.reconnects, 2);
  t.same(attempts.slice(0, 2), [0, 1], 'short connections do not reset the back-off');
  dialer.stop();
  server.close();
});

t.test('nobody listens: it is told, and can be stopped', async t => {
  const { server, port } = await listener(() => {});
  await new Promise(resolve => server.close(resolve));
  const why = deferred<string>();
  const dialer = new Dialer<RelayRequest, RelayAnswer>({
    url: `ws://127.0.0.1:${port}`,
    protocol: relayProtocol,
    read: readRelayRequest,
    opened: () => t.fail('opened'),
    lost: why.resolve,
  });
  dialer.start();
  t.match(await why.promise, /ECONNREFUSED/);
  dialer.stop();
});

t.test('the back-off is jittered and bounded', async t => {
  const { below } = seeded(7);
  const random = (): number => below(1000) / 1000;
  for (let attempt = 0; attempt < 40; attempt++) {
    const wait = backoffMs(attempt, random);
    const ceiling = Math.min(30_000, 500 * 2 ** attempt);
    t.ok(wait >= ceiling / 4 && wait <= ceiling);
  }
});
