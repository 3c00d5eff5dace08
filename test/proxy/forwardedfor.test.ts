import t from 'tap';
import { clientAddress, readTrusted } from '../../src/proxy/forwardedfor.ts';

const trust = (...texts: string[]): NonNullable<ReturnType<typeof readTrusted>>[] =>
  texts.map(text => readTrusted(text)!);

t.test('the rightmost hop that is not trusted', async t => {
  const two = trust('198.51.100.2', '10.1.0.0/16', '2001:db8:1::/48');
  const table: readonly (readonly [near: string, header: string, wanted: string])[] = [
    ['203.0.113.9', '192.0.2.1', '203.0.113.9'],
    ['198.51.100.2', '192.0.2.1', '192.0.2.1'],
    ['198.51.100.2', '192.0.2.1, 10.1.1.1', '192.0.2.1'],
    ['198.51.100.2', '192.0.2.66, 192.0.2.1, 10.1.1.1,10.1.255.255', '192.0.2.1'],
    ['::ffff:198.51.100.2', '192.0.2.66, ::ffff:192.0.2.1, ::ffff:10.1.1.1', '192.0.2.1'],
    ['2001:db8:1::7', '2001:db8:2::1', '2001:db8:2::1'],
    ['198.51.100.2', '', '198.51.100.2'],
    ['198.51.100.2', '192.0.2.1, 10.1.1.1, unknown', '198.51.100.2'],
    ['198.51.100.2', '192.0.2.1, nonsense, 10.1.1.1', '10.1.1.1'],
    ['198.51.100.2', '10.1.1.2, 10.1.1.1', '10.1.1.2'],
  ];
  for (const [near, header, wanted] of table)
    t.equal(clientAddress(near, header, two), wanted, `${near} with "${header}"`);
  t.equal(clientAddress('198.51.100.2', '192.0.2.1', []), '198.51.100.2');
});

t.test('an address or a prefix, and nothing else', async t => {
  for (const text of ['192.0.2.1', '192.0.2.0/24', '::1', '2001:db8::/32', '0.0.0.0/0'])
    t.ok(readTrusted(text), text);
  for (const text of ['banana', '', '192.0.2.1/24', '192.0.2.0/33', '192.0.2', 'fe80::1%eth0', '10.0.0.1:80'])
    t.equal(readTrusted(text), null, text);
});
