// Channels over loopback: what is delivered, and what closes them with which code.

import t from 'tap';
import { EventEmitter } from 'node:events';
import { WebSocket } from 'ws';
import { Channel, CloseCode, WireState } from '../../../src/control/wire/channel.ts';
import { Dialer } from '../../../src/control/wire/dialer.ts';
import { readRelayAnswer, readRelayRequest, relayProtocol } from '../../../src/control/wire/relay.ts';
import type { RelayAnswer, RelayRequest } from '../../../src/control/wire/relay.ts';
import { listener } from '../../fixtures/system/channels.ts';
import type { Far, Near } from '../../fixtures/system/channels.ts';
import { deferred } from '../../fixtures/deferred.ts';

function raw(port: number): WebSocket {
  return new WebSocket(`ws://127.0.0.1:${port}`, relayProtocol);
}

function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return new Promise(resolve =>
    socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })),
  );
}

t.test('frames in both directions, unknown ones counted', async t => {
  const heard: string[] = [];
  const near = deferred<Near>();
  const far = deferred<Far>();
  const port = await listener(t, near.resolve);
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
  const mine = await near.promise;
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
  dialer.stop();
});

t.test('what closes a channel', async t => {
  const port = await listener(t, channel => channel.handle({ frame: () => {}, closed: () => {} }));
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

t.test('too much before the handshake', async t => {
  let channel: Near | undefined;
  const port = await listener(t, opened => (channel = opened));
  const socket = raw(port);
  socket.on('open', () => {
    for (let n = 0; n < 100; n++) socket.send(JSON.stringify({ type: 'pong', n }));
  });
  t.equal((await closing(socket)).code, CloseCode.malformed);
  const closed = await new Promise<number>(resolve => channel!.handle({ frame: () => {}, closed: resolve }));
  t.type(closed, 'number', 'whoever handles late still hears of the end');
});

/** A wire that goes nowhere and tells how it was closed. */
class DeadEnd extends EventEmitter {
  readyState: number = WireState.open;
  bufferedAmount = 0;
  sent = 0;
  closedWith: [number, string] | null = null;
  send(): void {
    this.sent++;
  }
  close(code: number, reason: string): void {
    this.readyState = WireState.closing;
    this.closedWith ??= [code, reason];
  }
}

t.test('a reader that does not keep up is cut off', async t => {
  const wire = new DeadEnd();
  const channel: Near = new Channel<RelayAnswer, RelayRequest>(wire, readRelayAnswer);
  wire.bufferedAmount = 8 * 1024 * 1024;
  t.equal(channel.send({ type: 'ping', n: 1 }), true);
  wire.bufferedAmount++;
  t.equal(channel.send({ type: 'ping', n: 2 }), false);
  t.strictSame(wire.closedWith, [CloseCode.tooSlow, 'reader too slow']);
  t.equal(wire.sent, 1);
});
