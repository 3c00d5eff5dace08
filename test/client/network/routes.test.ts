import t from 'tap';
import { Interface } from '../../../src/client/network/routes.ts';
import type { Links } from '../../../src/client/network/routes.ts';
import { location } from '../../fixtures/system/client.ts';

const { config } = location();

class FakeLinks implements Links {
  readonly calls: unknown[][] = [];
  fails: { name: string; errno: number } | null = null;
  closed = 0;
  #note(name: string, ...args: unknown[]): number {
    this.calls.push([name, ...args]);
    return this.fails?.name === name ? this.fails.errno : 0;
  }
  linkUp: Links['linkUp'] = name => this.#note('up', name);
  addAddress: Links['addAddress'] = (name, { family, prefix }) => this.#note('address', name, family, prefix);
  addRoute: Links['addRoute'] = ({ family, prefix, table }) => this.#note('route', family, prefix, table);
  deleteAddress: Links['deleteAddress'] = (name, { family, prefix }) =>
    this.#note('unaddress', name, family, prefix);
  deleteRoute: Links['deleteRoute'] = ({ family, prefix, table }) =>
    this.#note('unroute', family, prefix, table);
  addRule: Links['addRule'] = rule => this.#note('rule', rule);
  deleteRule: Links['deleteRule'] = rule => this.#note('unrule', rule);
  close(): void {
    this.closed++;
  }
}

t.test('a split tunnel: addresses and routes that go with the interface', async t => {
  const links = new FakeLinks();
  const network = new Interface('sp-office', links);
  t.equal(network.mark(config), 0);
  await network.configure(config);
  t.strictSame(links.calls, [
    ['up', 'sp-office'],
    ['address', 'sp-office', 4, 32],
    ['route', 4, 24, undefined],
    ['route', 6, 64, undefined],
  ]);
  await network.undo();
  await network.undo();
  t.equal(links.calls.length, 4);
  t.equal(links.closed, 1);
});

const full = { ...config, allowedIps: ['0.0.0.0/0', '::/0', '10.0.0.0/8'] };
const everything = (family: 4 | 6) => [
  { family, table: 254, suppressPrefix: 0, priority: 0x7372 },
  { family, table: 0x7370, mark: 0x7370, invert: true, priority: 0x7373 },
];
const rules = (links: FakeLinks, name: 'rule' | 'unrule') =>
  links.calls.filter(([call]) => call === name).map(([, rule]) => rule);

t.test(
  'a full tunnel: its own table at once, the rules with the session, and all of them taken back',
  async t => {
    const links = new FakeLinks();
    const network = new Interface('sp-office', links);
    t.equal(network.mark(full), 0x7370);
    await network.configure(full);
    t.match(links.calls.slice(2), [
      ['route', 4, 0, 0x7370],
      ['route', 6, 0, 0x7370],
      ['route', 4, 8, undefined],
    ]);
    t.notOk(network.isHolding());
    network.hold([]);
    t.ok(network.isHolding());
    t.strictSame(rules(links, 'rule'), [...everything(4), ...everything(6)]);
    network.release();
    t.notOk(network.isHolding());
    t.strictSame(rules(links, 'unrule'), rules(links, 'rule'));
    network.hold([]);
    await network.undo();
    t.equal(rules(links, 'unrule').length, 8);
  },
);

t.test("what is left aside is the main table's first, and may change with the next login", async t => {
  const links = new FakeLinks();
  const network = new Interface('sp-office', links);
  await network.configure({ ...config, allowedIps: ['0.0.0.0/0'] });
  const aside = (last: number) => ({
    family: 4,
    table: 254,
    to: { family: 4, address: Uint8Array.of(192, 0, 2, last), prefix: 32 },
    priority: 0x7370,
  });
  const hosts = (...names: string[]) => names.map(host => ({ host }));
  network.hold([
    ...hosts('192.0.2.7', '192.0.2.8', '2001:db8::1', 'nonsense'),
    { host: '192.0.2.8', udpPort: 51820 },
  ]);
  const gateway = { ...aside(8), udpPort: 51820, priority: 0x7371 };
  t.strictSame(rules(links, 'rule'), [aside(7), aside(8), gateway, ...everything(4)]);
  links.calls.length = 0;
  links.fails = { name: 'rule', errno: -17 }; // there already
  network.hold(hosts('192.0.2.8', '192.0.2.9'));
  t.strictSame(rules(links, 'rule'), [aside(8), aside(9), ...everything(4)]);
  t.strictSame(rules(links, 'unrule'), [aside(7), gateway]);
});

t.test(
  'the configuration of the next login: what is new comes, what is gone goes, the rest is left alone',
  async t => {
    const links = new FakeLinks();
    const network = new Interface('sp-office', links);
    await network.configure(config);
    links.calls.length = 0;
    await network.configure(config);
    t.strictSame(links.calls, []);
    await network.configure({
      ...config,
      addresses: ['10.66.0.2/32', 'fd66::2/128'],
      allowedIps: ['10.66.0.0/24', '10.99.0.0/16'],
    });
    t.strictSame(links.calls, [
      ['address', 'sp-office', 6, 128],
      ['route', 4, 16, undefined],
      ['unroute', 6, 64, undefined],
    ]);
    links.calls.length = 0;
    await network.configure({ ...config, addresses: ['fd66::2/128'], allowedIps: ['0.0.0.0/0'] });
    t.strictSame(links.calls, [
      ['route', 4, 0, 0x7370],
      ['unroute', 4, 24, undefined],
      ['unroute', 4, 16, undefined],
      ['unaddress', 'sp-office', 4, 32],
    ]);
    network.hold([]);
    t.ok(network.isHolding(), 'it has become the way to everywhere');
  },
);

t.test('a network that is taken here is left alone, and said', async t => {
  const links = new FakeLinks();
  links.fails = { name: 'route', errno: -17 };
  t.throws(() => new Interface('sp-office', links).configure(config), {
    code: 'network-taken',
    message: /10\.66\.0\.0\/24 has a route already/,
  });
  links.fails = null;
  const network = new Interface('sp-office', links);
  await network.configure({ ...config, allowedIps: ['10.1.0.0/16'] });
  links.addRoute = ({ prefix }) => (prefix === 20 ? -17 : 0);
  const both = { ...config, allowedIps: ['10.2.0.0/16', '10.3.0.0/20'] };
  for (let i = 0; i < 2; i++)
    t.throws(
      () => network.configure(both),
      { message: /10\.3\.0\.0\/20/ },
      'of ours none is taken for a stranger',
    );
});

t.test('a machine without IPv6 has the IPv4 half', async t => {
  for (const errno of [-13, -95, -97]) {
    const links = new FakeLinks();
    const add = links.addAddress;
    links.addAddress = (name, address) => (address.family === 6 ? errno : add(name, address));
    const network = new Interface('sp-office', links);
    const both = { ...config, addresses: ['10.66.0.2/32', 'fd66::2/128'], allowedIps: ['0.0.0.0/0', '::/0'] };
    await network.configure(both);
    await network.configure(both);
    t.strictSame(links.calls, [
      ['up', 'sp-office'],
      ['address', 'sp-office', 4, 32],
      ['route', 4, 0, 0x7370],
    ]);
    network.hold([]);
    t.strictSame(rules(links, 'rule'), everything(4));
  }
  const links = new FakeLinks();
  links.fails = { name: 'address', errno: -13 };
  t.throws(
    () => new Interface('sp-office', links).configure(config),
    { code: 'network' },
    'of IPv4 it is a refusal',
  );
});

t.test('a split tunnel holds nothing', async t => {
  const links = new FakeLinks();
  const network = new Interface('sp-office', links);
  await network.configure(config);
  network.hold([{ host: '192.0.2.7' }]);
  t.notOk(network.isHolding());
  t.strictSame(rules(links, 'rule'), []);
});

t.test('rules of a client that was killed are taken over, and go with this one', async t => {
  const links = new FakeLinks();
  links.fails = { name: 'rule', errno: -17 };
  const network = new Interface('sp-office', links);
  await network.configure(full);
  network.hold([]);
  await network.undo();
  t.equal(rules(links, 'unrule').length, 4);
});

t.test('what the kernel refuses is said in words, with what to do about rights', async t => {
  const links = new FakeLinks();
  links.fails = { name: 'address', errno: -1 };
  t.throws(() => new Interface('sp-office', links).configure(config), {
    code: 'network',
    message: /sp-office: cannot give it the address 10\.66\.0\.2\/32 .*CAP_NET_ADMIN/,
  });
  links.fails = { name: 'rule', errno: -13 };
  const everywhere = new Interface('sp-office', links);
  await everywhere.configure(full);
  t.throws(() => everywhere.hold([]), { message: /cannot add the rules of a full tunnel .*CAP_NET_ADMIN/ });
  links.fails = { name: 'route', errno: -22 };
  t.throws(() => new Interface('sp-office', links).configure(config), {
    message: /cannot route .*errno 22\)$/,
  });
});
