import t from 'tap';
import { interfaceIndex, interfaceName, linkFiles } from '../../src/platform/sysfs.ts';

const files = (content: Record<string, string>) => (path: string) => {
  const text = content[path.replace('/sys/class/net/', '')];
  if (text === undefined) throw new Error('ENOENT');
  return text;
};

t.test('up, down, MTU and what kind of tun', async t => {
  const read = files({ 'wg0/mtu': '1420\n', 'wg0/flags': '0x1091\n', 'wg0/tun_flags': '0x1001\n' });
  t.strictSame(linkFiles('wg0', read), { isUp: true, mtu: 1420, tunFlags: 0x1001 });
  const down = files({ 'eth0/mtu': '1500\n', 'eth0/flags': '0x1002\n' });
  t.strictSame(linkFiles('eth0', down), { isUp: false, mtu: 1500, tunFlags: 0 });
  t.equal(linkFiles('wg1', read), null);
  t.equal(linkFiles('wg0', files({ 'wg0/mtu': '1420' })), null);
});

t.test('the number of an interface', async t => {
  t.equal(interfaceIndex('eth0', files({ 'eth0/ifindex': '7\n' })), 7);
  t.equal(interfaceName(7), 'eth0');
  t.equal(interfaceName(8), '8', 'nobody asked');
  t.equal(interfaceIndex('eth1', files({})), 0);
  t.equal(interfaceIndex('lo'), 1);
  t.match(linkFiles('lo'), { mtu: 65536, tunFlags: 0 });
});
