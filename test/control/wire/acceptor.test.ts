// The accepting side, against clients that are not ours.

import t from 'tap';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { CloseCode } from '../../../src/control/wire/channel.ts';
import { relayProtocol } from '../../../src/control/wire/relay.ts';
import { listener } from '../../fixtures/system/channels.ts';
import type { Near } from '../../fixtures/system/channels.ts';
import { deferred } from '../../fixtures/deferred.ts';

t.test('a wrong subprotocol gets a plain answer', async t => {
  const port = await listener(t, () => t.fail('opened'));
  for (const protocols of [['other.v1'], []]) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, protocols);
    const error = await new Promise<Error>(resolve => socket.on('error', resolve));
    t.match(error.message, /400/);
  }
});

t.test('among several subprotocols ours is taken', async t => {
  const near = deferred<Near>();
  const port = await listener(t, near.resolve);
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, ['other.v1', relayProtocol]);
  await new Promise(resolve => socket.on('open', resolve));
  t.equal(socket.protocol, relayProtocol);
  (await near.promise).close(CloseCode.normal, '');
});

t.test('a client that leaves the close frame unanswered is cut after two seconds', async t => {
  const near = deferred<Near>();
  const port = await listener(t, near.resolve);
  const socket = connect(port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  socket.resume();
  socket.write(
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\nSec-WebSocket-Protocol: ${relayProtocol}\r\n\r\n`,
  );
  const channel = await near.promise;
  const ended = new Promise<number>(resolve => channel.handle({ frame: () => {}, closed: resolve }));
  const from = performance.now();
  channel.close(CloseCode.replaced, 'enough');
  t.equal(channel.isOpen, false);
  t.equal(await ended, 1006);
  const took = performance.now() - from;
  t.ok(took > 1900 && took < 10_000, `${took} ms`);
});
