import t from 'tap';
import {
  addressAt,
  contains,
  formatAddress,
  formatPrefix,
  network,
  parseAddress,
  parsePrefix,
  prefixText,
  sourceNetwork,
} from '../../src/control/prefix.ts';
import { check } from '../../src/control/validate.ts';

t.test('reads and writes what people write', async t => {
  const table: readonly (readonly [string, string])[] = [
    ['10.77.0.2', '10.77.0.2/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00::1', 'fd00::1/128'],
    ['::/0', '::/0'],
    ['2001:db8:0:0:1:0:0:1/64', '2001:db8::1:0:0:1/64'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7/128'],
    ['::ffff:1.2.3.4', '::ffff:102:304/128'],
    ['FD00::A/8', 'fd00::a/8'],
    ['1::', '1::/128'],
  ];
  for (const [text, canonical] of table) t.equal(formatPrefix(parsePrefix(text)!), canonical, text);
});

t.test('refuses what is not quite an address', async t => {
  const bad = [
    '',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.04',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/08',
    '1.2.3.4/',
    ' 1.2.3.4',
    ':::',
    '1:2:3',
  ];
  bad.push(
    '1::2::3',
    '::1/129',
    '12345::',
    '1:2:3:4:5:6:7:8:9',
    '1.2.3.4::',
    '::1.2.3',
    'fe80::1%eth0',
    `${'1:'.repeat(40)}1`,
  );
  for (const text of bad) {
    t.equal(parsePrefix(text), null, text);
    t.equal(check(prefixText, text).ok, false);
  }
  t.equal(parseAddress('1.2.3.4/8'), null);
});

t.test('containment and networks', async t => {
  const p = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => parsePrefix(text)!;
  t.ok(contains(p('10.0.0.0/8'), p('10.77.0.2/32')));
  t.notOk(contains(p('10.77.0.2/32'), p('10.0.0.0/8')));
  t.notOk(contains(p('10.0.0.0/9'), p('10.128.0.0/16')));
  t.notOk(contains(p('0.0.0.0/0'), p('::/0')));
  t.ok(contains(p('fd00::/7'), p('fdff::/16')));
  t.equal(formatPrefix(network(p('10.77.1.9/23'))), '10.77.0.0/23');
  t.equal(formatAddress(addressAt(p('10.77.0.9/16'), 65_537)), '10.78.0.1');
  t.equal(formatAddress(addressAt(p('fd00::/64'), 2)), 'fd00::2');
});

t.test('sources', async t => {
  t.equal(sourceNetwork('192.0.2.7'), '192.0.2.7');
  t.equal(sourceNetwork('::ffff:192.0.2.7'), '192.0.2.7');
  t.equal(sourceNetwork('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  t.equal(sourceNetwork('fe80::1%eth0'), 'fe80::/64');
  t.equal(sourceNetwork('unknown'), 'unknown');
});
