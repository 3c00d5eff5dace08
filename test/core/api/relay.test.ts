// Core's side of the relay against a hand-made Proxy.

import t from 'tap';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Acceptor } from '../../../src/control/wire/acceptor.ts';
import { silentLog } from '../../../src/control/log.ts';
import { readRelayAnswer, relayProtocol } from '../../../src/control/wire/relay.ts';
import { paths } from '../../../src/control/clientapi/words.ts';
import type { RelayAnswer, RelayRequest } from '../../../src/control/wire/relay.ts';
import type { ApiReply, ApiRequest } from '../../../src/core/api/clientapi.ts';
import { Relay } from '../../../src/core/api/relay.ts';

t.test('answers, streams, aborts, and survives what is too long', async t => {
  const heard: RelayAnswer[] = [];
  let waiter: (() => void) | null = null;
  const until = (count: number): Promise<void> =>
    new Promise(resolve => {
      waiter = () => heard.length >= count && resolve();
      waiter();
    });
  let stopped = 0;
  let emit: Parameters<Extract<ApiReply, { stream: unknown }>['stream']>[0] = () => {};
  const api = {
    async handle(request: ApiRequest): Promise<ApiReply> {
      if (request.path === '/long') return { status: 200, body: 'x'.repeat(50_000) };
      if (request.path === '/full') return { stream: () => null };
      if (request.path === '/ended')
        return {
          stream: event => {
            event({ event: 'ended', reason: 'idle' });
            return () => stopped++;
          },
        };
      if (request.path === '/stream')
        return {
          stream: event => {
            emit = event;
            event({ event: 'warn', secondsLeft: 1 });
            return () => stopped++;
          },
        };
      return {
        status: 200,
        body: JSON.stringify([request.method, request.path, request.source, request.body]),
      };
    },
  };
  const server = createServer();
  let authorization: string | undefined;
  const open = new Promise<(frame: RelayRequest) => void>(resolve => {
    const acceptor = new Acceptor<RelayAnswer, RelayRequest>({
      protocol: relayProtocol,
      read: readRelayAnswer,
      opened: (channel, request) => {
        authorization = request.headers.authorization;
        t.equal(request.url, paths.relay);
        channel.handle({ frame: frame => (heard.push(frame), waiter?.()), closed: () => {} });
        resolve(frame => channel.send(frame));
      },
    });
    server.on('upgrade', (request, socket, head) => acceptor.accept(request, socket, head));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const relay = new Relay({ api, url, token: 'secret', log: silentLog });
  relay.start();
  t.teardown(() => (relay.stop(), void server.close()));
  const ask = await open;
  const request = (n: number, path: string): void =>
    ask({ type: 'request', n, method: 'GET', path, source: '192.0.2.1', body: '' });
  t.equal(authorization, 'Bearer secret');
  ask({ type: 'ping', n: 1 });
  request(2, '/plain');
  request(3, '/long');
  request(4, '/full');
  request(5, '/ended');
  await until(8);
  t.same(heard.splice(0), [
    { type: 'pong', n: 1 },
    { type: 'response', n: 2, status: 200, body: '["GET","/plain","192.0.2.1",""]' },
    {
      type: 'response',
      n: 3,
      status: 500,
      body: '{"error":{"code":"internal","message":"the answer is too long for one frame"}}',
    },
    { type: 'stream', n: 4 },
    { type: 'end', n: 4 },
    { type: 'stream', n: 5 },
    { type: 'event', n: 5, event: 'ended', data: '{"event":"ended","reason":"idle"}' },
    { type: 'end', n: 5 },
  ]);
  request(6, '/stream');
  await until(2);
  emit({ event: 'warn', secondsLeft: 0 });
  await until(3);
  ask({ type: 'abort', n: 6 });
  ask({ type: 'ping', n: 7 });
  await until(4);
  t.equal(stopped, 1);
});
