import t from 'tap';
import type { Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { selfSigned } from '../../scripts/lib/certificate.ts';
import { isLoopback, listenAddress, readSettings, textFile, tlsFiles } from '../../src/control/settings.ts';
import type { Sources } from '../../src/control/settings.ts';

const specs = {
  listen: 'text',
  'log-level': 'text',
  proxy: 'list',
  count: 'number',
  insecure: 'switch',
  token: 'secret',
} as const;

function settings(
  t: Test,
  args: string[],
  env: Sources['env'] = {},
  file?: object,
): ReturnType<typeof readSettings<typeof specs>> {
  const all =
    file === undefined
      ? args
      : [...args, '--config', join(t.testdir({ conf: JSON.stringify(file) }), 'conf')];
  return readSettings('core', specs, {
    args: all,
    env,
    parseFile: text => JSON.parse(text) as Record<string, unknown>,
  });
}

t.test('flag before environment before file', async t => {
  const file = { listen: 'file', logLevel: 'file', proxy: ['a', 'b'], insecure: true };
  const read = settings(
    t,
    ['--listen', 'flag'],
    { SALLYPORT_LISTEN: 'env', SALLYPORT_LOG_LEVEL: 'env' },
    file,
  );
  t.same(read, {
    listen: 'flag',
    'log-level': 'env',
    proxy: ['a', 'b'],
    count: undefined,
    insecure: true,
    token: undefined,
  });
  t.same(settings(t, ['--proxy=x', '--proxy', 'y', '--count=7', '--insecure=false']), {
    listen: undefined,
    'log-level': undefined,
    proxy: ['x', 'y'],
    count: 7,
    insecure: false,
    token: undefined,
  });
  t.same(settings(t, [], { SALLYPORT_PROXY: 'p, q' }).proxy, ['p', 'q']);
});

t.test('secrets come from files and the environment, never twice', async t => {
  const dir = t.testdir({ one: 'first\n', two: 'second', token: 'third' });
  const one = join(dir, 'one');
  t.equal(settings(t, ['--token-file', one]).token, 'first');
  t.equal(settings(t, [], { SALLYPORT_TOKEN_FILE: join(dir, 'two') }).token, 'second');
  t.equal(settings(t, [], { SALLYPORT_TOKEN: 'plain' }).token, 'plain');
  t.equal(settings(t, [], { SALLYPORT_TOKEN: `file:${one}` }).token, 'first');
  t.equal(settings(t, [], { CREDENTIALS_DIRECTORY: dir }).token, 'third');
  t.equal(settings(t, [], { CREDENTIALS_DIRECTORY: join(dir, 'none') }).token, undefined);
  t.throws(() => settings(t, [], { SALLYPORT_TOKEN: 'a', SALLYPORT_TOKEN_FILE: 'b' }), {
    code: 'secret-twice',
    exit: 2,
  });
  t.equal(settings(t, [], {}, { token: 'in the file' }).token, 'in the file');
  const own = t.testdir({ one: 'first\n', conf: '' });
  writeFileSync(join(own, 'conf'), JSON.stringify({ tokenFile: join(own, 'one') }));
  t.equal(settings(t, ['--config', join(own, 'conf')]).token, 'first');
  t.throws(() => settings(t, [], {}, { token: 'x', tokenFile: one }), { code: 'secret-twice' });
  t.throws(() => settings(t, [], {}, { token: 7 }), { code: 'bad-value', message: /token must be a text/ });
  t.throws(() => settings(t, ['--token', 'x']), { code: 'secret-argument', message: /--token-file/ });
  t.throws(() => settings(t, ['--token-file', join(dir, 'none')]), { code: 'secret-file' });
});

t.test('every mistake is named', async t => {
  t.throws(() => settings(t, ['--nope']), { code: 'unknown-flag', exit: 2, message: /--nope.*--log-level/ });
  t.throws(() => settings(t, ['--listen']), { code: 'flag-value' });
  t.throws(() => settings(t, ['--count', 'many']), { code: 'bad-value', message: /--count/ });
  t.throws(() => settings(t, ['--insecure=maybe']), { code: 'bad-value' });
  t.throws(() => settings(t, [], {}, { lisen: 'x' }), { code: 'unknown-key', message: /"lisen"/ });
  t.throws(() => settings(t, [], {}, { proxy: [1] }), { code: 'bad-value', message: /proxy/ });
  t.throws(() => settings(t, [], {}, { listen: 3 }), { code: 'bad-value', message: /listen/ });
  t.throws(() => settings(t, ['--config', '/nonexistent/conf']), { code: 'no-config' });
  const broken = join(t.testdir({ conf: '{' }), 'conf');
  t.throws(() => settings(t, [], { SALLYPORT_CONFIG: broken }), { code: 'bad-config' });
});

t.test('addresses', async t => {
  t.same(listenAddress('listen', '127.0.0.1:0'), { host: '127.0.0.1', port: 0 });
  t.same(listenAddress('listen', '[::1]:8443'), { host: '::1', port: 8443 });
  for (const bad of ['8443', 'a:99999', '::1:8443', 'a b:1'])
    t.throws(() => listenAddress('listen', bad), { code: 'bad-address' });
  for (const host of ['127.0.0.1', '127.1.2.3', '::1', '[::1]', 'localhost']) t.ok(isLoopback(host));
  for (const host of ['0.0.0.0', '127.0.0.1.example', '10.0.0.1']) t.notOk(isLoopback(host));
});

t.test('a certificate and its key: each mistake says which of the two, and what was expected', t => {
  const [one, other] = [selfSigned(['127.0.0.1']), selfSigned(['127.0.0.1'])];
  const dir = t.testdir({ cert: one.cert, key: one.key, other: other.key, garbage: 'garbage' });
  const [cert, key, otherKey, garbage] = ['cert', 'key', 'other', 'garbage'].map(name => join(dir, name));
  t.equal(tlsFiles('tls', undefined, undefined), undefined);
  t.same(tlsFiles('tls', cert, key), one);
  for (const [[certFile, keyFile], code, message] of [
    [[cert, undefined], 'half-tls', /tls-cert and tls-key belong together/],
    [[garbage, key], 'bad-tls', /^tls-cert: .*garbage: expected a certificate in PEM$/],
    [[cert, garbage], 'bad-tls', /^tls-key: .*garbage: expected a private key in PEM/],
    [[cert, otherKey], 'bad-tls', /^tls-key: .*other: expected the key of the certificate in .*cert/],
    [[join(dir, 'none'), key], 'no-file', /^tls-cert: .*none cannot be read: ENOENT/],
  ] as const)
    t.throws(() => tlsFiles('tls', certFile, keyFile), { code, exit: 2, message }, message.source);
  t.equal(textFile('proxy-ca', garbage!), 'garbage');
  t.throws(() => textFile('proxy-ca', dir), { code: 'no-file', exit: 2, message: /^proxy-ca: / });
  t.end();
});
