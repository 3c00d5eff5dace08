import t from 'tap';
import {
  addressAt,
  contains,
  formatAddress,
  formatEndpoint,
  formatPrefix,
  network,
  parseAddress,
  parseEndpoint,
  parsePrefix,
  parsePrefixOrAddress,
  sourceNetwork,
} from '../../src/util/inet.ts';

const round = (text: string): string | null => {
  const ip = parseAddress(text);
  return ip && formatAddress(ip.address);
};

t.test('addresses', async t => {
  for (const text of [
    '0.0.0.0',
    '1.2.3.4',
    '255.255.255.255',
    '::',
    '::1',
    '1::',
    '2001:db8::1',
    'fe80::1:0:0:1',
  ])
    t.equal(round(text), text);
  t.equal(round('FD00::A'), 'fd00::a');
  t.equal(round('2001:0DB8:0:0:1:0:0:1'), '2001:db8::1:0:0:1', 'the first of two equal runs is shortened');
  t.equal(round('1:0:2:3:4:5:6:7'), '1:0:2:3:4:5:6:7', 'a single zero word is not');
  t.equal(round('1:2:3:4:5:6:7::'), '1:2:3:4:5:6:7:0');
  t.equal(round('::ffff:1.2.3.4'), '::ffff:1.2.3.4');
  t.equal(round('64:ff9b::1.2.3.4'), '64:ff9b::102:304');
});

t.test('what is not an address', async t => {
  for (const text of [
    '',
    '1',
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '1.2.3.256',
    '1.2.3.+4',
    '1.2.3.04',
    '1.2.3.4/8',
    ' 1.2.3.4',
    '1.2.3.4\n',
    ':',
    ':::',
    '1:2:3',
    '1.2.3.4::',
    `${'1:'.repeat(40)}1`,
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'g::',
    '::1.2.3',
    '::1.2.3.04',
    '::1%eth0',
    ':1::',
    '1:::',
    '0'.repeat(60) + '::',
  ])
    t.equal(parseAddress(text), null, JSON.stringify(text));
});

t.test('prefixes, and prefixes whose length may be left out', async t => {
  for (const text of ['10.1.2.3/8', '0.0.0.0/0', '::/0', '::ffff:1.2.3.4/96', '2001:db8::1:0:0:1/64']) {
    t.equal(formatPrefix(parsePrefix(text)!), text, 'host bits are kept');
    t.same(parsePrefixOrAddress(text), parsePrefix(text));
  }
  for (const [text, whole] of [
    ['10.77.0.2', '10.77.0.2/32'],
    ['fd00::1', 'fd00::1/128'],
    ['1::', '1::/128'],
  ] as const) {
    t.equal(parsePrefix(text), null, text);
    t.equal(formatPrefix(parsePrefixOrAddress(text)!), whole);
  }
  for (const text of [
    '',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/+8',
    '::/129',
    '::1%a/64',
    '/8',
    '10.0.0.0/8/8',
  ]) {
    t.equal(parsePrefix(text), null, text);
    t.equal(parsePrefixOrAddress(text), null, text);
  }
});

t.test('networks and addresses in them', async t => {
  const format = (text: string): string => formatPrefix(network(parsePrefix(text)!));
  t.equal(format('10.1.2.3/8'), '10.0.0.0/8');
  t.equal(format('10.1.2.3/32'), '10.1.2.3/32');
  t.equal(format('10.1.2.3/0'), '0.0.0.0/0');
  t.equal(format('10.77.1.9/23'), '10.77.0.0/23');
  t.equal(format('192.168.255.255/17'), '192.168.128.0/17');
  t.equal(format('2001:db8:ffff::1/33'), '2001:db8:8000::/33');
  const own = parsePrefix('10.77.1.9/16')!;
  network(own).address.fill(0);
  t.equal(formatPrefix(own), '10.77.1.9/16', 'the argument is left alone');
  t.equal(formatAddress(addressAt(own, 65_537)), '10.78.0.1');
  t.equal(formatAddress(addressAt(parsePrefix('fd00::/64')!, 2)), 'fd00::2');
});

t.test('endpoints', async t => {
  for (const text of ['1.2.3.4:5', '[2001:db8::1]:65535', '[fe80::1%eth0]:1', '0.0.0.0:0'])
    t.equal(formatEndpoint(parseEndpoint(text)!), text);
  for (const text of [
    '1.2.3.4',
    '1.2.3.4:',
    '1.2.3.4:65536',
    '1.2.3.4:-1',
    '[1.2.3.4]:5',
    '::1:5',
    '[::1]',
    '[::1%]:5',
    'host:5',
    ':5',
    '1.2.3.4%a:5',
  ])
    t.equal(parseEndpoint(text), null, text);
});

t.test('ranges', async t => {
  const within = (outer: string, inner: string): boolean =>
    contains(parsePrefix(outer)!, parsePrefix(inner)!);
  t.ok(within('10.0.0.0/8', '10.9.0.0/16'));
  t.ok(within('10.0.0.0/8', '10.0.0.0/8'));
  t.notOk(within('10.9.0.0/16', '10.0.0.0/8'));
  t.notOk(within('10.0.0.0/8', '11.0.0.0/32'));
  t.notOk(within('10.0.0.0/9', '10.128.0.0/16'));
  t.notOk(within('0.0.0.0/0', '::/0'));
  t.ok(within('fd00::/7', 'fdff::/16'));
  t.ok(within('10.9.9.9/8', '10.77.0.2/32'), 'host bits of the outer one do not matter');
});

t.test('sources', async t => {
  t.equal(sourceNetwork('192.0.2.7'), '192.0.2.7');
  t.equal(sourceNetwork('::ffff:192.0.2.7'), '192.0.2.7');
  t.equal(sourceNetwork('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  t.equal(sourceNetwork('fe80::1%eth0'), 'fe80::/64');
  t.equal(sourceNetwork('unknown'), 'unknown');
});
