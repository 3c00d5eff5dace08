// The public listener on loopback: what is forwarded, what is refused, and that nothing of it reaches a log.

import t from 'tap';
import { request as httpRequest } from 'node:http';
import { WebSocket } from 'ws';
import { createLog } from '../../src/control/log.ts';
import { relayProtocol } from '../../src/control/wire/relay.ts';
import { paths } from '../../src/control/clientapi/words.ts';
import { readTrusted } from '../../src/proxy/forwardedfor.ts';
import { Front } from '../../src/proxy/front.ts';
import { Limits } from '../../src/proxy/limits.ts';

const plenty = new Limits({ perSecond: 1000, burst: 1000, sourcesMax: 10 });
const any = { host: '127.0.0.1', port: 0 };

async function front(
  t: { teardown(act: () => Promise<void>): void },
  limits = plenty,
  trusted: string[] = [],
): Promise<{ base: string; core: string; lines: string[] }> {
  const lines: string[] = [];
  const log = createLog({ area: 'proxy', level: 'trace', write: line => lines.push(line) });
  const trustedProxies = trusted.map(text => readTrusted(text)!);
  const made = new Front({ log, coreToken: 'the-token-of-core', limits, trustedProxies });
  const at = await made.listen(any, any);
  t.teardown(() => made.close());
  return {
    base: `http://127.0.0.1:${at.public.port}`,
    core: `ws://127.0.0.1:${at.core.port}${paths.relay}`,
    lines,
  };
}

function core(url: string, token = 'the-token-of-core'): WebSocket {
  return new WebSocket(url, relayProtocol, { headers: { authorization: `Bearer ${token}` } });
}

async function code(response: Response): Promise<[number, string]> {
  return [response.status, ((await response.json()) as { error: { code: string } }).error.code];
}

t.test('refuses by itself', async t => {
  const { base } = await front(t);
  t.same(await (await fetch(`${base}/healthz`)).json(), { ok: true, core: false });
  t.same(await code(await fetch(`${base}/other`)), [404, 'not-found']);
  t.same(await code(await fetch(base + paths.start)), [405, 'bad-method']);
  const post = (body: string): Promise<Response> => fetch(base + paths.start, { method: 'POST', body });
  t.same(await code(await post('x'.repeat(16_385))), [413, 'too-large']);
  t.same(await code(await post('\u0001'.repeat(10_000))), [413, 'too-large'], 'as large inside of a frame');
  t.same(await code(await post('{}')), [503, 'core-away']);
  const authorization = `Bearer ${'x'.repeat(300)}`;
  t.same(await code(await fetch(base + paths.session, { headers: { authorization } })), [400, 'bad-request']);
});

t.test('Core proves itself by its token', async t => {
  const { core: url, lines } = await front(t);
  for (const socket of [core(url, 'wrong-token-entirely'), core(`${url}/x`)])
    t.match(await new Promise<Error>(resolve => socket.on('error', resolve)), { message: /40[01]/ });
  t.ok(lines.some(line => line.includes('core not recognised')));
  t.notOk(lines.some(line => line.includes('wrong-token')));
  const http = await fetch(url.replace('ws:', 'http:'));
  t.same(await code(http), [404, 'not-found']);
});

t.test('forwards what belongs to Core, streams included', async t => {
  const { base, core: url, lines } = await front(t, plenty, ['127.0.0.1']);
  const socket = core(url);
  const seen: Record<string, unknown>[] = [];
  socket.on('message', data => {
    const frame = JSON.parse(String(data)) as { type: string; n: number; method: string };
    seen.push(frame);
    const send = (answer: object): void => socket.send(JSON.stringify({ n: frame.n, ...answer }));
    if (frame.type !== 'request') return;
    if (frame.method === 'POST')
      return send({ type: 'response', status: 401, body: '{"error":{"code":"denied","message":"no"}}' });
    send({ type: 'stream' });
    send({ type: 'event', event: 'warn', data: '{"event":"warn","secondsLeft":5}' });
    send({ type: 'end' });
  });
  await new Promise(resolve => socket.on('open', resolve));
  t.same(await (await fetch(`${base}/healthz`)).json(), { ok: true, core: true });
  const body = '{"login":"l_x","method":"totp","response":"123456"}';
  const headers = { 'x-forwarded-for': 'spoofed, 198.51.100.7' };
  t.same(await code(await fetch(`${base}${paths.step}?q`, { method: 'POST', body, headers })), [
    401,
    'denied',
  ]);
  t.match(seen[0], { method: 'POST', path: paths.step, source: '198.51.100.7', body });
  const stream = await fetch(base + paths.session, { headers: { authorization: 'Bearer sps_x' } });
  t.equal(stream.headers.get('content-type'), 'text/event-stream');
  t.equal(await stream.text(), 'event: warn\ndata: {"event":"warn","secondsLeft":5}\n\n');
  t.match(seen[1], { authorization: 'Bearer sps_x', source: '127.0.0.1' });
  t.notOk(
    lines.some(line => line.includes('123456') || line.includes('sps_x') || line.includes('l_x')),
    'no body in a log',
  );
  socket.terminate();
});

t.test('a client that goes away aborts, and Core that goes away ends it', async t => {
  const { base, core: url } = await front(t);
  const socket = core(url);
  await new Promise(resolve => socket.on('open', resolve));
  const frames = (type: string): Promise<void> =>
    new Promise(resolve =>
      socket.on('message', data => (JSON.parse(String(data)) as { type: string }).type === type && resolve()),
    );
  const asked = frames('request');
  const aborted = frames('abort');
  const impatient = httpRequest(base + paths.session);
  impatient.on('error', () => {});
  impatient.end();
  await asked;
  impatient.destroy();
  await aborted;
  const waiting = fetch(base + paths.start, { method: 'POST', body: '{}' });
  await frames('request');
  socket.terminate();
  t.same(await code(await waiting), [503, 'core-away']);
});

t.test('limits a source, and believes no header of a stranger', async t => {
  const { base } = await front(t, new Limits({ perSecond: 0, burst: 3, sourcesMax: 10 }));
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++) {
    const headers = { 'x-forwarded-for': `192.0.2.${i}` };
    statuses.push((await fetch(base + paths.start, { method: 'POST', body: '{}', headers })).status);
  }
  t.same(statuses, [503, 503, 503, 429, 429]);
});
