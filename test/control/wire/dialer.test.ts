// How the dialler comes back, and when it does not.

import t from 'tap';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { CloseCode } from '../../../src/control/wire/channel.ts';
import { Dialer } from '../../../src/control/wire/dialer.ts';
import type { DialerOptions } from '../../../src/control/wire/dialer.ts';
import { readRelayRequest, relayProtocol } from '../../../src/control/wire/relay.ts';
import type { RelayAnswer, RelayRequest } from '../../../src/control/wire/relay.ts';
import { listener } from '../../fixtures/system/channels.ts';
import type { Far, Near } from '../../fixtures/system/channels.ts';
import { rawServer } from '../../fixtures/system/rawserver.ts';
import { deferred } from '../../fixtures/deferred.ts';

type Options = DialerOptions<RelayRequest, RelayAnswer>;

function dialler(
  url: string,
  rest: Pick<Options, 'opened' | 'lost'> & Partial<Options>,
): Dialer<never, never> {
  return new Dialer<RelayRequest, RelayAnswer>({
    url,
    protocol: relayProtocol,
    read: readRelayRequest,
    ...rest,
  }) as Dialer<never, never>;
}

t.test('it comes back until it is stopped', async t => {
  const opened: Far[] = [];
  const why: string[] = [];
  const port = await listener(t, channel => {
    channel.handle({ frame: () => {}, closed: () => {} });
    if (opened.length < 2) channel.close(CloseCode.goingAway, 'again');
  });
  const third = deferred();
  const attempts: number[] = [];
  const dialer = dialler(`ws://127.0.0.1:${port}`, {
    delay: attempt => (attempts.push(attempt), 1),
    opened: channel => {
      opened.push(channel);
      if (opened.length === 3) third.resolve();
    },
    lost: reason => why.push(reason),
  });
  dialer.start();
  await third.promise;
  t.strictSame(why.slice(0, 2), ['closed with 1001 (again)', 'closed with 1001 (again)']);
  t.equal(dialer.reconnects, 2);
  t.same(attempts.slice(0, 2), [0, 1], 'short connections do not reset the back-off');
  dialer.stop();
});

t.test('nobody listens: it is told, and can be stopped', async t => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise(resolve => server.on('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise(resolve => server.close(resolve));
  const why = deferred<string>();
  const dialer = dialler(`ws://127.0.0.1:${port}`, { opened: () => t.fail('opened'), lost: why.resolve });
  dialer.start();
  t.match(await why.promise, /^no WebSocket at ws:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
  dialer.stop();
});

t.test('stopped while open: the other end hears why, nobody hears of a loss', async t => {
  const near = deferred<Near>();
  const port = await listener(t, near.resolve);
  const open = deferred<Far>();
  const dialer = dialler(`ws://127.0.0.1:${port}`, { opened: open.resolve, lost: why => t.fail(why) });
  dialer.start();
  const far = await open.promise;
  const farGone = new Promise(resolve => far.handle({ frame: () => {}, closed: (...told) => resolve(told) }));
  const mine = await near.promise;
  const nearGone = new Promise(resolve =>
    mine.handle({ frame: () => {}, closed: (...told) => resolve(told) }),
  );
  dialer.stop(CloseCode.goingAway, 'good night');
  t.strictSame(await nearGone, [CloseCode.goingAway, 'good night']);
  t.strictSame(await farGone, [CloseCode.goingAway, 'good night']);
});

t.test('stopped in the middle of an attempt, or by whom it tells of a loss', async t => {
  const asked = deferred();
  const hungUp = deferred();
  const url = await rawServer(t, socket => {
    socket.on('close', () => hungUp.resolve());
    socket.on('end', () => socket.end());
    asked.resolve();
  });
  const dialer = dialler(url, { opened: () => t.fail('opened'), lost: why => t.fail(why) });
  dialer.start();
  await asked.promise;
  dialer.stop();
  await hungUp.promise;

  const refused = deferred();
  const other: Dialer<never, never> = dialler(await rawServer(t, socket => socket.destroy()), {
    delay: () => (refused.resolve(), 0),
    opened: () => t.fail('opened'),
    lost: () => other.stop(),
  });
  other.start();
  await refused.promise; // a second attempt would keep this process alive and tell again
});
