import t from 'tap';
import { formatPrefix, type IpPrefix, parsePrefix } from '../../src/util/inet.ts';
import { type Kernel, Network } from '../../src/agent/routes.ts';
import { hostAddress } from '../../src/agent/config/optiontypes.ts';
import { createLog } from '../../src/control/log.ts';

function setup(fail: (what: string) => number = () => 0): {
  network: Network;
  did: string[];
  lines: string[];
} {
  const did: string[] = [];
  const lines: string[] = [];
  const act = (what: string): number => {
    did.push(what);
    return fail(what);
  };
  const kernel: Kernel = {
    addAddress: (_, ip) => act(`+addr ${formatPrefix(ip)}`),
    deleteAddress: (_, ip) => act(`-addr ${formatPrefix(ip)}`),
    addRoute: ip => act(`+route ${formatPrefix(ip)} ${ip.interface}`),
    deleteRoute: ip => act(`-route ${formatPrefix(ip)} ${ip.interface}`),
    setMtu: (_, mtu) => act(`mtu ${mtu}`),
    linkUp: name => act(`up ${name}`),
  };
  return {
    network: new Network(kernel, 'wg0', createLog({ level: 'error', write: line => lines.push(line) })),
    did,
    lines,
  };
}

const addresses = (...texts: string[]): IpPrefix[] =>
  texts.map(text => {
    const parsed = hostAddress.text(text);
    if (!parsed.ok) throw new Error(text);
    return parsed.value;
  });
const routes = (...texts: string[]): IpPrefix[] => texts.map(text => parsePrefix(text)!);

t.test('only differences are made', async t => {
  const { network, did } = setup();
  network.up();
  network.apply(addresses('10.77.0.1/24', 'fd00::1/64'), routes('10.78.0.0/16'));
  t.strictSame(did.splice(0), [
    'up wg0',
    '+addr 10.77.0.1/24',
    '+addr fd00::1/64',
    '+route 10.78.0.0/16 wg0',
  ]);
  network.apply(addresses('10.77.0.1/24', 'fd00::1/64'), routes('10.78.0.0/16'));
  t.strictSame(did.splice(0), []);
  network.apply(addresses('10.79.0.1/24'), routes('10.80.0.0/16'));
  t.strictSame(did.splice(0), [
    '-route 10.78.0.0/16 wg0',
    '-addr 10.77.0.1/24',
    '-addr fd00::1/64',
    '+addr 10.79.0.1/24',
    '+route 10.80.0.0/16 wg0',
  ]);
  network.setMtu(1300);
  t.strictSame(did, ['mtu 1300']);
});

t.test('what an address brings along needs no route', async t => {
  const { network, did } = setup();
  network.apply(addresses('10.77.0.1/16'), routes('10.77.5.0/24', '10.77.0.0/16', '10.0.0.0/8'));
  t.strictSame(did, ['+addr 10.77.0.1/16', '+route 10.0.0.0/8 wg0']);
});

t.test('a refusal is told and tried again the next time', async t => {
  let errno = -1;
  const { network, did, lines } = setup(what => (what.startsWith('+') ? errno : 0));
  network.apply(addresses('10.77.0.1/24'), routes('10.78.0.0/16'));
  t.match(lines.join(), /cannot set address 10\.77\.0\.1\/24.*CAP_NET_ADMIN/);
  t.match(lines.join(), /cannot set route 10\.78\.0\.0\/16/);
  errno = -101;
  did.length = 0;
  network.apply(addresses('10.77.0.1/24'), []);
  t.strictSame(did, ['+addr 10.77.0.1/24'], 'and what never was is not removed');
  t.match(lines.at(-1), /errno 101/);
});
