import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { Api, Refused, printable, proxyUrl } from '../../src/client/api.ts';

async function serve(t: { teardown(handler: () => void): void }, listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`;
}

t.test('a call goes below the base address, with its body and token', async t => {
  let seen = '';
  const base = await serve(t, (request, response) => {
    seen = `${request.method} ${request.url} ${request.headers.authorization}`;
    response.end('{"a":1}');
  });
  t.strictSame(await new Api(base).post('/api/x', { b: 2 }, 'tok'), { a: 1 });
  t.equal(seen, 'POST /base/api/x Bearer tok');
  t.strictSame(await new Api(base).get('/y'), { a: 1 });
  t.match(seen, /^GET \/base\/y undefined/);
});

t.test('refusals keep their code; what is no refusal of ours gets one by status', async t => {
  const answers: [number, string][] = [
    [403, '{"error":{"code":"wrong-code","message":"the code\\nis wrong","retryAfter":3,"time":99}}'],
    [502, '<html>bad gateway</html>'],
    [200, 'hello'],
    [200, ''],
  ];
  const base = await serve(t, (_, response) => {
    const [status, body] = answers.shift()!;
    response.writeHead(status).end(body);
  });
  const api = new Api(base);
  await t.rejects(api.get('/'), {
    code: 'wrong-code',
    message: 'the code is wrong',
    status: 403,
    retryAfter: 3,
    time: 99,
  });
  await t.rejects(api.get('/'), { code: 'http-502', message: /status 502/ });
  await t.rejects(api.get('/'), { code: 'bad-answer' });
  t.strictSame(await api.get('/'), {});
  t.ok(new Refused('a', 'b', 400, null, null) instanceof Error);
});

t.test('broken lines, endless answers and silence each get one clear line', async t => {
  await t.rejects(new Api('http://127.0.0.1:1').get('/'), {
    code: 'proxy-unreachable',
    message: /127\.0\.0\.1:1/,
  });
  const base = await serve(t, (request, response) => {
    if (request.url === '/base/endless') response.end('x'.repeat(300_000));
    else if (request.url === '/base/broken') response.write('{', () => request.socket.destroy());
  });
  await t.rejects(new Api(base).get('/endless'), { code: 'bad-answer' });
  await t.rejects(new Api(base).get('/broken'), { code: 'proxy-unreachable', message: /broke off/ });
  await t.rejects(new Api(base, { timeoutMs: 50 }).get('/silent'), {
    code: 'proxy-unreachable',
    message: /no word within 0\.05 s/,
  });
});

t.test('an event stream is handed on, a refused one is not', async t => {
  const base = await serve(t, (request, response) => {
    if (request.headers.authorization !== 'Bearer good') return response.writeHead(401).end('{}');
    return response.end('data: 1\n\n');
  });
  const signal = new AbortController().signal;
  const parts: string[] = [];
  for await (const part of await new Api(base).events('/s', 'good', signal))
    parts.push(Buffer.from(part).toString());
  t.equal(parts.join(''), 'data: 1\n\n');
  await t.rejects(new Api(base).events('/s', 'bad', signal), { code: 'http-401' });
});

t.test('which addresses a client will send codes to', t => {
  t.equal(proxyUrl('https://vpn.example.org', false).href, 'https://vpn.example.org/');
  t.equal(proxyUrl('http://127.0.0.1:8080', false).port, '8080');
  t.equal(proxyUrl('http://vpn.example.org', true).protocol, 'http:');
  t.throws(() => proxyUrl('http://vpn.example.org', false), { code: 'plain-proxy', exit: 2 });
  for (const text of ['vpn.example.org', 'ftp://x', 'https://u@x/', 'https://x/?q=1', ''])
    t.throws(() => proxyUrl(text, false), { code: 'bad-proxy', exit: 2 }, text);
  t.throws(() => new Api('https://x', { caFile: '/nonexistent' }), { code: 'bad-ca', exit: 2 });
  t.equal(printable('a\u001b[2Jb\u202ec'), 'a [2Jb c');
  t.end();
});

t.test(
  'a stream whose other end is gone without a word fails, and so does one that never begins',
  async t => {
    const base = await serve(t, (request, response) => {
      if (request.url === '/base/never') return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n');
    });
    const signal = new AbortController().signal;
    const api = new Api(base, { silentAfterMs: 100 });
    await t.rejects(new Api(base, { timeoutMs: 50 }).events('/never', 'good', signal), {
      code: 'proxy-unreachable',
      message: /0\.05 s/,
    });
    const heard: string[] = [];
    await t.rejects(async () => {
      for await (const part of await api.events('/s', 'good', signal))
        heard.push(Buffer.from(part).toString());
    });
    t.strictSame(heard, ['data: 1\n\n']);
  },
);

t.test('where the Proxy is, and nothing when nobody knows', async t => {
  t.strictSame(await new Api('https://[::1]:1/').addresses(), ['::1']);
  t.strictSame(await new Api('http://192.0.2.1/').addresses(), ['192.0.2.1']);
  t.strictSame(await new Api('https://proxy.invalid/').addresses(), []);
});

t.test('who is asked to come back in a moment does, and not who is asked for more', async t => {
  const answers: [number, string, object][] = [];
  const base = await serve(t, (_, response) => {
    const [status, body, headers] = answers.shift() ?? [200, '{"a":1}', {}];
    response.writeHead(status, headers as Record<string, string>).end(body);
  });
  const slept: number[] = [];
  const api = new Api(base, { sleep: ms => Promise.resolve(void slept.push(ms)) });
  const busy = (more: object = {}): string =>
    JSON.stringify({ error: { code: 'slow-down', message: 'busy', ...more } });
  answers.push([429, busy(), { 'retry-after': '5' }], [429, busy({ retryAfter: 2 }), {}]);
  t.strictSame(await api.post('/', {}), { a: 1 });
  t.equal(slept.length, 2);
  t.ok(
    slept[0]! >= 5000 && slept[0]! <= 10_000 && slept[1]! >= 2000 && slept[1]! <= 4000,
    'each at its own time',
  );
  answers.push(...Array<(typeof answers)[0]>(4).fill([429, busy({ retryAfter: 1 }), {}]));
  await t.rejects(api.post('/', {}), { code: 'slow-down', retryAfter: 1 }, 'patience has an end');
  answers.push([429, busy({ retryAfter: 60 }), {}]);
  await t.rejects(api.post('/', {}), { code: 'slow-down', retryAfter: 60 });
  answers.push([429, busy(), {}]);
  await t.rejects(api.post('/', {}), { code: 'slow-down', retryAfter: null });
  answers.push([503, busy({ retryAfter: 1 }), {}]);
  await t.rejects(api.post('/', {}), { code: 'slow-down' }, 'only when it was too much');
  t.equal(slept.length, 5);
});
