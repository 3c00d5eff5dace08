import t from 'tap';
import { AllowedIps, type AllowedIp } from '../../../src/wireguard/peer/allowedips.ts';
import { seeded, seedOf, type Rng } from '../../fixtures/rng.ts';
import { SlowRouter } from '../../fixtures/twins/slow-router.ts';

/** '10.0.0.0/8' or 'fd00:0:…/64' with all eight groups written out ('' for zero). */
function ip(text: string): AllowedIp {
  const [address, prefix] = text.split('/') as [string, string?];
  if (address.includes('.')) {
    const bytes = Uint8Array.from(address.split('.'), Number);
    return { family: 4, address: bytes, prefix: Number(prefix ?? 32) };
  }
  const [head = '', tail = ''] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === '' ? [] : tail.split(':');
  const groups = [...left, ...Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const bytes = new Uint8Array(16);
  groups.forEach((group, i) => new DataView(bytes.buffer).setUint16(2 * i, Number.parseInt(group, 16)));
  return { family: 6, address: bytes, prefix: Number(prefix ?? 128) };
}

const show = ({ address, prefix }: AllowedIp): string => `${[...address].join('.')}/${prefix}`;

class Name {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}
const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'].map(n => new Name(n)) as [Name, Name, Name, Name, Name];

function find(table: AllowedIps<Name>, text: string): string | undefined {
  const { family, address } = ip(text);
  const memory = new Uint8Array(40).fill(0xa5); // an odd offset, as in a packet
  memory.set(address, 13);
  return (family === 4 ? table.find4(memory, 13) : table.find6(memory, 13))?.name;
}

t.test('A1 the longest prefix wins, v4', async t => {
  const table = new AllowedIps<Name>();
  t.equal(find(table, '1.2.3.4'), undefined, 'empty table');
  for (const [text, peer] of [
    ['192.168.4.0/24', a],
    ['192.168.4.4/32', b],
    ['192.168.0.0/16', c],
    ['192.95.5.64/27', d],
    ['192.95.5.65/27', c], // same prefix: moves
    ['0.0.0.0/0', e],
    ['64.15.112.0/20', b],
    ['64.15.123.211/25', d],
    ['10.0.0.0/25', a],
    ['10.0.0.128/25', b],
    ['10.1.0.0/30', a],
    ['10.1.0.4/30', b],
    ['10.1.0.8/29', c],
    ['10.1.0.16/29', d],
  ] as const)
    table.insert(ip(text), peer);
  for (const [address, peer] of [
    ['192.168.4.20', a],
    ['192.168.4.4', b],
    ['192.168.200.182', c],
    ['192.95.5.68', c],
    ['192.95.5.96', e],
    ['64.15.116.26', b],
    ['64.15.123.128', d],
    ['64.15.123.1', b],
    ['10.0.0.127', a],
    ['10.0.0.128', b],
    ['10.1.0.3', a],
    ['10.1.0.4', b],
    ['10.1.0.15', c],
    ['10.1.0.29', e],
    ['255.255.255.255', e],
    ['0.0.0.0', e],
  ] as const)
    t.equal(find(table, address), peer.name, address);
});

t.test('A1 the longest prefix wins, v6', async t => {
  const table = new AllowedIps<Name>();
  for (const [text, peer] of [
    ['2607:5300:6006:6b00::c05f:543/128', d],
    ['2607:5300:6006:6b00::/64', c],
    ['::/0', e],
    ['::/0', b],
    ['2404:6800::/32', a],
    ['2404:6800:4004:800:dead:beef:dead:beef/64', d],
    ['2404:6800:4004:800:c0ff:ee01:2345:6789/128', c],
    ['2404:6800:4004:806:ffff::/96', e],
  ] as const)
    table.insert(ip(text), peer);
  for (const [address, peer] of [
    ['2607:5300:6006:6b00::c05f:543', d],
    ['2607:5300:6006:6b00::c02e:1ee', c],
    ['2607:5300:6006:6b01::', b],
    ['2404:6800:4004:806::1006', a],
    ['2404:6800:4004:806:ffff::1006', e],
    ['2404:6800:4004:806:fffe::1006', a],
    ['2404:6800:4004:800::1', d],
    ['2404:6800:4004:800:c0ff:ee01:2345:6789', c],
    ['2404:6800:4004:800:c0ff:ee01:2345:6788', d],
    ['::', b],
  ] as const)
    t.equal(find(table, address), peer.name, address);
});

t.test('A1 host bits are masked, /0 and every length are valid', async t => {
  for (const [bits, text] of [
    [32, '171.205.255.1'],
    [128, 'abcd:ef01:ffff:8000:ffff:7fff:1:8001'],
  ] as const) {
    for (let prefix = 0; prefix <= bits; prefix++) {
      const table = new AllowedIps<Name>();
      table.insert({ ...ip(text), prefix }, a);
      t.equal(find(table, text), 'a');
      const stored = table.of(a)[0]!;
      const slow = new SlowRouter<Name>();
      slow.insert({ ...ip(text), prefix }, a);
      t.equal(show(stored), show(slow.of(a)[0]!), `/${prefix}`);
      // Flip the last bit that counts: no longer inside. Flip the first that does not: still inside.
      const { family, address } = ip(text);
      const lookup = (bit: number): Name | null => {
        const other = address.slice();
        other[bit >> 3]! ^= 0x80 >> (bit & 7);
        return family === 4 ? table.find4(other, 0) : table.find6(other, 0);
      };
      if (prefix > 0) t.equal(lookup(prefix - 1), null);
      if (prefix < bits) t.equal(lookup(prefix), a);
    }
  }
});

t.test('A1 a wrong length or family is a bug of the caller', async t => {
  const table = new AllowedIps<Name>();
  t.throws(() => table.insert({ family: 4, address: new Uint8Array(16), prefix: 8 }, a), /not IPv4/);
  t.throws(() => table.insert({ family: 4, address: new Uint8Array(4), prefix: 33 }, a), /prefix 33/);
  t.throws(() => table.insert({ family: 6, address: new Uint8Array(16), prefix: -1 }, a), /prefix -1/);
  t.throws(() => table.insert({ family: 6, address: new Uint8Array(16), prefix: NaN }, a), /prefix NaN/);
});

t.test('A2 the same prefix for another peer moves', async t => {
  const table = new AllowedIps<Name>();
  table.insert(ip('10.0.0.0/24'), a);
  table.insert(ip('10.0.0.77/24'), b);
  t.equal(find(table, '10.0.0.1'), 'b');
  t.same(table.of(a), []);
  t.equal(table.size, 1);
});

t.test('A3 remove by peer, and replace is remove then add', async t => {
  const table = new AllowedIps<Name>();
  for (const text of ['1.0.0.0/32', '4.0.0.0/32', '192.0.0.0/24', 'fd00::1', 'fd00::/8'])
    table.insert(ip(text), a);
  for (const text of ['0.0.0.0/0', '192.0.0.128/25', '::/0']) table.insert(ip(text), b);
  table.removeByPeer(a);
  t.equal(find(table, '1.0.0.0'), 'b');
  t.equal(find(table, '192.0.0.1'), 'b');
  t.equal(find(table, 'fd00::1'), 'b');
  t.same(table.of(a), []);
  t.equal(table.size, 3);
  table.removeByPeer(a);
  table.removeByPeer(b);
  t.equal(find(table, '1.0.0.0'), undefined);
  t.equal(table.size, 0);
  table.insert(ip('1.0.0.0/32'), a);
  t.equal(find(table, '1.0.0.0'), 'a', 'works after being empty');
});

t.test('A4 a prefix is removed only from its owner', async t => {
  const table = new AllowedIps<Name>();
  table.insert(ip('10.0.0.0/8'), a);
  table.insert(ip('10.1.0.0/16'), b);
  t.equal(table.remove(ip('10.1.0.0/16'), a), false, 'owned by another');
  t.equal(table.remove(ip('10.0.0.0/9'), a), false, 'not in the table');
  t.equal(table.remove(ip('10.2.0.0/16'), a), false, 'not in the table');
  t.equal(find(table, '10.1.2.3'), 'b');
  t.equal(table.remove(ip('10.1.99.99/16'), b), true, 'host bits are masked here too');
  t.equal(find(table, '10.1.2.3'), 'a');
  t.equal(table.remove(ip('10.0.0.0/8'), a), true);
  t.equal(table.size, 0);
  // A branch without owner is not a route.
  table.insert(ip('10.0.0.0/9'), a);
  table.insert(ip('10.128.0.0/9'), b);
  t.equal(table.remove(ip('10.0.0.0/8'), a), false);
});

t.test('A5 a peer lists its prefixes in insertion order', async t => {
  const table = new AllowedIps<Name>();
  const order = ['10.9.0.0/16', 'fd00::/64', '10.1.0.0/16', '0.0.0.0/0', 'fd00::7/128', '10.5.0.0/16'];
  for (const text of order) table.insert(ip(text), a);
  t.same(table.of(a).map(show), order.map(ip).map(show));
  t.same(
    table.of(a).map(entry => entry.family),
    [4, 6, 4, 4, 6, 4],
  );
  table.insert(ip('10.1.0.0/16'), a); // set again: to the end, as in the kernel
  table.remove(ip('fd00::/64'), a);
  const now = ['10.9.0.0/16', '0.0.0.0/0', 'fd00::7/128', '10.5.0.0/16', '10.1.0.0/16'];
  t.same(table.of(a).map(show), now.map(ip).map(show));
  t.equal(table.size, 5);
  t.same(table.of(b), []);
});

t.test('A5 65280 prefixes of one peer', async t => {
  const table = new AllowedIps<Name>();
  const count = 255 * 256;
  for (let i = 0; i < count; i++)
    table.insert({ family: 4, address: Uint8Array.of(10, i >> 8, i & 255, 0), prefix: 24 }, a);
  const list = table.of(a);
  t.equal(list.length, count);
  t.ok(list.every(({ address }, i) => address[1] === i >> 8 && address[2] === (i & 255)));
  table.removeByPeer(a);
  t.equal(table.size, 0);
  t.equal(find(table, '10.1.1.1'), undefined);
});

const seed = seedOf(7);
t.test(`A6 agrees with the slow twin (seed ${seed})`, async t => {
  const rng = seeded(seed);
  for (let round = 0; round < 12; round++) {
    const error = compare(rng, round % 2 === 0 ? 4 : 6, round < 6);
    if (error !== '') return void t.fail(`round ${round}: ${error}`);
  }
  t.pass('12 rounds');
});

/** Random inserts, moves, removals and searches on both tables; the first difference as text. */
function compare(rng: Rng, family: 4 | 6, nested: boolean): string {
  const fast = new AllowedIps<Name>();
  const slow = new SlowRouter<Name>();
  const peers = Array.from({ length: 20 }, (_, i) => new Name(`p${i}`));
  const size = family === 4 ? 4 : 16;
  // Addresses cluster around a few, so that prefixes nest and share long runs of bits.
  const hubs = Array.from({ length: nested ? 3 : 40 }, () => rng.bytes(size));
  const address = (): Uint8Array => {
    const bytes = rng.pick(hubs).slice();
    for (let n = rng.below(4); n > 0; n--) bytes[rng.below(size)]! ^= 1 << rng.below(8);
    return bytes;
  };
  for (let step = 0; step < 600; step++) {
    const peer = rng.pick(peers);
    const known = slow.of(peer);
    const roll = rng.below(100);
    if (roll < 60) {
      const entry: AllowedIp = { family, address: address(), prefix: rng.below(8 * size + 1) };
      fast.insert(entry, peer);
      slow.insert(entry, peer);
    } else if (roll < 90) {
      const entry =
        known.length > 0 && rng.chance(0.8)
          ? rng.pick(known)
          : { family, address: address(), prefix: rng.below(8 * size + 1) };
      if (fast.remove(entry, peer) !== slow.remove(entry, peer)) return `step ${step}: remove ${show(entry)}`;
    } else if (roll < 92) {
      fast.removeByPeer(peer);
      slow.removeByPeer(peer);
    }
    if (fast.size !== slow.size) return `step ${step}: size ${fast.size}, not ${slow.size}`;
    for (let i = 0; i < 6; i++) {
      const wanted = address();
      const got = family === 4 ? fast.find4(wanted, 0) : fast.find6(wanted, 0);
      const want = slow.find(wanted);
      if (got !== want) return `step ${step}: ${wanted.join('.')} goes to ${got?.name}, not ${want?.name}`;
    }
  }
  for (const peer of peers)
    if (fast.of(peer).map(show).join() !== slow.of(peer).map(show).join()) return `list of ${peer.name}`;
  for (const peer of peers) fast.removeByPeer(peer);
  return fast.size === 0 ? '' : 'not empty at the end';
}
