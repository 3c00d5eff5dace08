import t from 'tap';
import { Interface } from '../../src/client/network.ts';
import type { Links } from '../../src/client/network.ts';
import { location } from '../fixtures/client.ts';

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

t.test('a full tunnel: its own table, and rules that are taken back', async t => {
  const links = new FakeLinks();
  const network = new Interface('sp-office', links);
  const full = { ...config, allowedIps: ['0.0.0.0/0'] };
  t.equal(network.mark(full), 0x7370);
  await network.configure(full);
  t.match(links.calls.slice(2), [
    ['route', 4, 0, 0x7370],
    ['rule', { family: 4, table: 254, suppressPrefix: 0, priority: 0x7370 }],
    ['rule', { family: 4, table: 0x7370, mark: 0x7370, invert: true, priority: 0x7371 }],
  ]);
  await network.undo();
  t.equal(links.calls.filter(([name]) => name === 'unrule').length, 2);

  const leftovers = new FakeLinks();
  leftovers.fails = { name: 'rule', errno: -17 };
  const again = new Interface('sp-office', leftovers);
  await again.configure(full);
  await again.undo();
  t.equal(
    leftovers.calls.filter(([name]) => name === 'unrule').length,
    2,
    'those of a killed client go, too',
  );
});

t.test('what the kernel refuses is said in words, with what to do about rights', async t => {
  const links = new FakeLinks();
  links.fails = { name: 'address', errno: -1 };
  t.throws(() => new Interface('sp-office', links).configure(config), {
    code: 'network',
    message: /sp-office: cannot give it the address 10\.66\.0\.2\/32 .*CAP_NET_ADMIN/,
  });
  links.fails = { name: 'route', errno: -22 };
  t.throws(() => new Interface('sp-office', links).configure(config), {
    message: /cannot route .*errno 22\)$/,
  });
});
