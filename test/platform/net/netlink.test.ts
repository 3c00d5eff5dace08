// rtnetlink against the kernel, in a private network; `ip` is not needed.

import t from 'tap';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import * as c from '../../../src/platform/constants.ts';
import { Netlink } from '../../../src/platform/net/netlink.ts';
import { Poller } from '../../../src/platform/poll.ts';
import { openTun } from '../../../src/platform/tun.ts';
import { FaultyFfi } from '../../fixtures/fakes/faultyffi.ts';
import { enterPrivateNetwork, libcOver, noNetwork } from '../../fixtures/native.ts';

const faulty = new FaultyFfi(await loadFfi());
const libc = libcOver(faulty);
const name = 'plt-l0';
const four = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const six = (first: number, second: number, last: number): Uint8Array => {
  const address = new Uint8Array(16);
  address[0] = first;
  address[1] = second;
  address[15] = last;
  return address;
};
const anywhere = { family: 4, address: four(0, 0, 0, 0), prefix: 0 } as const;

t.test('errors of the socket', async t => {
  faulty.fail('socket', () => c.EAFNOSUPPORT);
  t.throws(() => new Netlink(libc), /netlink socket/);
  faulty.heal();
  faulty.fail('bind', () => c.EPERM);
  t.throws(() => new Netlink(libc), /netlink bind: EPERM/);
  faulty.heal();
  const netlink = new Netlink(libc);
  faulty.fail('write', () => c.ENOBUFS);
  t.equal(netlink.link('lo'), null);
  faulty.heal();
  faulty.fail('read', () => c.EINTR);
  t.equal(netlink.interfaceIndex('lo'), 0);
  faulty.heal();
  t.equal(netlink.interfaceIndex('lo'), 1, 'the late answer of a request given up is passed over');
  netlink.close();
});

if (!enterPrivateNetwork(libc)) {
  t.pass('links, addresses and routes', { skip: noNetwork });
} else {
  const netlink = new Netlink(libc);
  const tun = openTun(libc, { name, offload: true });
  const address4 = { family: 4, address: four(10, 7, 0, 1), prefix: 24 } as const;
  const address6 = { family: 6, address: six(0xfd, 1, 1), prefix: 64 } as const;

  t.test('links', async t => {
    t.match(netlink.link(name), { name, mtu: 1500, isUp: false });
    t.equal(netlink.link('nothing'), null);
    t.equal(netlink.linkUp('nothing'), -c.ENODEV);
    t.equal(netlink.setMtu(name, 1380), 0);
    t.equal(netlink.linkUp(name), 0);
    t.match(netlink.link(name), { mtu: 1380, isUp: true });
    t.equal(netlink.setMtu(name, 1), -c.EINVAL);
    t.equal(netlink.interfaceIndex(name), netlink.link(name)?.index);
  });

  t.test('addresses', async t => {
    t.equal(netlink.addAddress(name, address4), 0);
    t.equal(netlink.addAddress(name, address4), 0, 'again is no error');
    t.equal(netlink.addAddress(name, address6), 0);
    t.strictSame(netlink.route(4, four(10, 7, 0, 9))?.source, four(10, 7, 0, 1));
    t.equal(netlink.addAddress('nothing', address4), -c.ENODEV);
  });

  t.test('routes', async t => {
    const index = netlink.interfaceIndex(name);
    const net = { family: 4, address: four(10, 8, 0, 0), prefix: 16, interface: name } as const;
    t.equal(netlink.addRoute(net), 0);
    t.equal(netlink.addRoute(net), 0, 'again is no error');
    t.match(netlink.route(4, four(10, 8, 1, 1)), { interfaceIndex: index, gateway: null });
    t.equal(netlink.route(4, four(9, 9, 9, 9)), null);
    t.equal(netlink.addRoute({ ...anywhere, interface: name, gateway: four(10, 7, 0, 9), metric: 50 }), 0);
    t.strictSame(netlink.route(4, four(9, 9, 9, 9))?.gateway, four(10, 7, 0, 9));
    t.equal(netlink.deleteRoute({ ...anywhere, interface: name }), 0);
    t.equal(netlink.deleteRoute({ ...anywhere, interface: name }), -c.ESRCH);
    t.equal(netlink.route(4, four(9, 9, 9, 9)), null);
    const net6 = { family: 6, address: six(0xfd, 2, 0), prefix: 32, interface: name } as const;
    t.equal(netlink.addRoute(net6), 0);
    t.equal(netlink.route(6, six(0xfd, 2, 5))?.interfaceIndex, index);
    t.equal(netlink.deleteRoute(net6), 0);
    t.equal(netlink.addRoute({ ...net, interface: 'nothing' }), -c.ENODEV);
  });

  t.test('rules choose a table by mark, as wg-quick has it', async t => {
    const rule = { family: 4, table: 51820, mark: 51820, invert: true, priority: 101 } as const;
    const quiet = { family: 4, table: 254, suppressPrefix: 0, priority: 100 } as const;
    t.equal(netlink.addRoute({ ...anywhere, interface: name, table: 51820 }), 0);
    t.equal(netlink.addRule(rule), 0);
    t.equal(netlink.addRule(rule), -c.EEXIST);
    t.equal(netlink.addRule(quiet), 0);
    t.not(netlink.route(4, four(9, 9, 9, 9)), null, 'everything goes to the tunnel');
    t.equal(netlink.route(4, four(9, 9, 9, 9), 51820), null, 'but what the tunnel itself sends');
    const aside = {
      family: 4,
      table: 254,
      priority: 99,
      to: { family: 4, address: four(9, 9, 9, 8), prefix: 31 },
    } as const;
    t.equal(netlink.addRoute({ ...anywhere, interface: name, table: 254, metric: 5 }), 0);
    const through = (last: number) => netlink.route(4, four(9, 9, 9, last));
    t.equal(netlink.addRule(aside), 0);
    t.not(through(9), null);
    t.equal(netlink.deleteRule(aside), 0);
    const datagrams = { ...aside, udpPort: 51820, priority: 98 };
    t.equal(netlink.addRule(datagrams), 0);
    t.equal(netlink.addRule(aside), 0, 'another rule');
    t.equal(netlink.deleteRule(aside), 0);
    t.equal(netlink.deleteRule(datagrams), 0);
    t.equal(netlink.deleteRoute({ ...anywhere, interface: name, metric: 5 }), 0);
    t.equal(netlink.deleteRule(rule), 0);
    t.equal(netlink.deleteRule(quiet), 0);
    t.equal(netlink.route(4, four(9, 9, 9, 9)), null);
  });

  t.test('changes of a link wake the poller', async t => {
    const poller = new Poller(libc);
    netlink.drainLinks();
    const bit = poller.add(netlink.watchLinks());
    t.equal(netlink.watchLinks(), netlink.watchLinks());
    t.equal(poller.wait(0), 0);
    netlink.linkDown(name);
    t.equal(poller.wait(1000), 1 << bit);
    netlink.drainLinks();
    t.equal(poller.wait(0), 0);
    t.match(netlink.link(name), { isUp: false });

    const routes = poller.add(netlink.watchRoutes());
    netlink.linkUp(name);
    netlink.drainLinks();
    netlink.drainRoutes();
    t.equal(poller.wait(0), 0);
    netlink.addRoute({ family: 4, address: four(10, 99, 0, 0), prefix: 16, interface: name });
    t.equal(poller.wait(1000), 1 << routes, 'a route is no link');
    netlink.drainRoutes();
    t.equal(poller.wait(0), 0);
    netlink.linkDown(name);
    netlink.drainLinks();
    netlink.drainRoutes();
    netlink.deleteAddress(name, address6);
    tun.close();
    t.ok(poller.wait(1000) & (1 << bit));
    t.equal(netlink.link(name), null);
    t.equal(netlink.deleteAddress(name, address4), -c.ENODEV);
    netlink.close();
  });
}
