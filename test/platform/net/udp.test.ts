// UDP sockets on the loopback of a private network: batches, ECN, sticky source, both families, and every fall-back.

import t from 'tap';
import { equalBytes } from '../../../src/util/bytes.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import { Netlink } from '../../../src/platform/net/netlink.ts';
import { Outgoing } from '../../../src/platform/net/outgoing.ts';
import { openTun } from '../../../src/platform/tun.ts';
import { openUdp, openUdpPair, ReceiveSlot } from '../../../src/platform/net/udp.ts';
import * as c from '../../../src/platform/constants.ts';
import { FaultyFfi } from '../../fixtures/fakes/faultyffi.ts';
import { enterPrivateNetwork, libcOver, noNetwork } from '../../fixtures/native.ts';

const faulty = new FaultyFfi(await loadFfi());
const libc = libcOver(faulty);
const { arena } = libc;
const isPrivate = enterPrivateNetwork(libc);
const slot = new ReceiveSlot(libc, new Endpoint());
const data = arena.alloc(65536);
for (let i = 0; i < 65536; i++) arena.u8[data + i] = (i * 31 + (i >> 8)) & 255;

function loopback(family: 4 | 6, port: number): Endpoint {
  const to = new Endpoint();
  to.family = family;
  to.port = port;
  if (family === 4) to.address.set([127, 0, 0, 1]);
  else to.address[15] = 1;
  return to;
}

const skip = (t: { pass(message: string, extra: { skip: string }): unknown }): void =>
  void t.pass('private network', { skip: noNetwork });

/** Everything waiting, in order. */
function drain(socket: { receive(slot: ReceiveSlot): number }): Uint8Array {
  const parts: Uint8Array[] = [];
  while (socket.receive(slot) >= 0) parts.push(arena.u8.slice(slot.at, slot.at + slot.bytes));
  return Buffer.concat(parts);
}

function sent(bytes: number): Uint8Array {
  return arena.u8.slice(data, data + bytes);
}

for (const family of [4, 6] as const) {
  t.test(`IPv${family}: a batch of 45 full packets in one send and one receive`, async t => {
    const udp = openUdp(libc, { family, port: 0 });
    t.ok(udp.maxSegments >= 64, 'segments');
    t.ok(udp.gso && udp.gro, 'offloads');
    const bytes = 44 * 1452 + 100;
    t.equal(udp.send(data, bytes, 1452, loopback(family, udp.port), 0), bytes);
    t.equal(udp.receive(slot), bytes);
    t.equal(slot.segment, 1452);
    t.equal(slot.truncated, false);
    t.ok(equalBytes(arena.u8.slice(slot.at, slot.at + bytes), sent(bytes)));
    t.equal(udp.receive(slot), -c.EAGAIN);
    udp.close();
  });

  t.test(`IPv${family}: a single datagram carries TOS out and ECN in`, async t => {
    const udp = openUdp(libc, { family, port: 0 });
    for (const ecn of [0, 1, 2, 3]) {
      t.equal(udp.send(data, 148, 0, loopback(family, udp.port), 0x88 | ecn), 148);
      t.equal(udp.receive(slot), 148);
      t.equal(slot.ecn, ecn);
      t.equal(slot.segment, 148);
    }
    t.equal(udp.send(data, 64, 64, loopback(family, udp.port), 0), 64, 'one full segment is no batch');
    t.equal(udp.receive(slot), 64);
    udp.close();
  });

  t.test(`IPv${family}: sender and local address, decoded once per change`, async t => {
    const udp = openUdp(libc, { family, port: 0 });
    const other = openUdp(libc, { family, port: 0 });
    other.send(data, 32, 0, loopback(family, udp.port), 0);
    udp.receive(slot);
    t.ok(slot.changed);
    const expected = loopback(family, other.port);
    expected.sourceFamily = family;
    expected.source.set(expected.address);
    expected.sourceInterface = 1;
    t.ok(slot.from.family === family && expected.equals(slot.from as Endpoint));
    other.send(data, 32, 0, loopback(family, udp.port), 0);
    udp.receive(slot);
    t.notOk(slot.changed);
    t.equal(udp.send(data, 40, 0, slot.from, 0), 40, 'the reply goes where it came from');
    t.equal(other.receive(slot), 40);
    t.equal(slot.from.port, udp.port);
    udp.close();
    other.close();
  });
}

t.test('replies come from the address that was asked', async t => {
  const udp = openUdp(libc, { family: 4, port: 0 });
  const other = openUdp(libc, { family: 4, port: 0 });
  const second = loopback(4, udp.port);
  second.address[3] = 77; // all of 127/8 is local
  other.send(data, 10, 0, second, 0);
  udp.receive(slot);
  t.strictSame([...slot.from.source.subarray(0, 4)], [127, 0, 0, 77]);
  udp.send(data, 11, 0, slot.from, 0);
  other.receive(slot);
  t.strictSame([...slot.from.address.subarray(0, 4)], [127, 0, 0, 77]);
  udp.close();
  other.close();
});

t.test('a source that is no longer local is forgotten and the batch sent again', async t => {
  const udp = openUdp(libc, { family: 4, port: 0 });
  const to = loopback(4, udp.port);
  to.sourceFamily = 4;
  to.source.set([192, 0, 2, 9]);
  to.sourceInterface = 1;
  t.equal(udp.send(data, 3000, 1000, to, 0), 3000);
  t.equal(to.sourceFamily, 0);
  t.equal(udp.counters.sourceResets, 1);
  t.equal(udp.counters.gsoRetries, 0);
  t.ok(equalBytes(drain(udp), sent(3000)), 'every byte arrived in order');
  to.sourceFamily = 4;
  to.sourceInterface = 4711; // an interface that is gone
  t.equal(udp.send(data, 500, 0, to, 0), 500);
  t.ok(equalBytes(drain(udp), sent(500)), 'every byte arrived in order');
  udp.close();
});

t.test('EIO turns GSO off for good and the same batch arrives', async t => {
  const udp = openUdp(libc, { family: 4, port: 0 });
  faulty.fail('sendmsg', call => (call === 1 ? c.EIO : 0));
  t.equal(udp.send(data, 5000, 1200, loopback(4, udp.port), 0), 5000);
  t.equal(faulty.calls.get('sendmsg'), 6);
  t.equal(udp.gso, false);
  t.equal(udp.counters.gsoDisabled, 1);
  t.ok(equalBytes(drain(udp), sent(5000)), 'every byte arrived in order');
  t.equal(udp.send(data, 2400, 1200, loopback(4, udp.port), 0), 2400);
  t.equal(faulty.calls.get('sendmsg'), 8, 'singly from now on');
  faulty.heal();
  udp.close();
});

for (const [name, errno] of [
  ['EINVAL', c.EINVAL],
  ['EMSGSIZE', c.EMSGSIZE],
] as const) {
  t.test(`${name} sends the same batch singly, and GSO gets another chance later`, async t => {
    const udp = openUdp(libc, { family: 6, port: 0 });
    faulty.fail('sendmsg', call => (call === 1 ? errno : 0));
    t.equal(udp.send(data, 3500, 1000, loopback(6, udp.port), 0), 3500);
    t.equal(udp.counters.gsoRetries, 1);
    t.ok(equalBytes(drain(udp), sent(3500)), 'every byte arrived in order');
    t.equal(udp.gso, true);
    for (let i = 0; i < 256; i++) {
      udp.send(data, 20, 10, loopback(6, udp.port), 0);
      drain(udp);
    }
    const before = faulty.calls.get('sendmsg')!;
    udp.send(data, 40, 10, loopback(6, udp.port), 0);
    t.equal(faulty.calls.get('sendmsg'), before + 1, 'one call for four segments');
    faulty.heal();
    udp.close();
  });
}

t.test('ENOBUFS is a counted drop', async t => {
  const udp = openUdp(libc, { family: 4, port: 0 });
  faulty.fail('sendmsg', () => c.ENOBUFS);
  t.equal(udp.send(data, 3500, 1000, loopback(4, udp.port), 0), -c.ENOBUFS);
  t.equal(udp.send(data, 100, 0, loopback(4, udp.port), 0), -c.ENOBUFS);
  t.equal(udp.counters.sendDrops, 5);
  faulty.heal();
  udp.close();
});

t.test('a GSO send above the path MTU arrives in fragments', async t => {
  if (!isPrivate) return skip(t);
  const netlink = new Netlink(libc);
  t.equal(netlink.setMtu('lo', 1300), 0);
  const udp = openUdp(libc, { family: 4, port: 0 });
  t.equal(udp.send(data, 14_520, 1452, loopback(4, udp.port), 0), 14_520);
  t.equal(udp.counters.gsoRetries, 1);
  t.ok(equalBytes(drain(udp), sent(14_520)), 'every byte arrived in order');
  netlink.setMtu('lo', 65536);
  netlink.close();
  udp.close();
});

t.test('a datagram longer than the slot is marked', async t => {
  const udp = openUdp(libc, { family: 4, port: 0, offload: false });
  t.equal(udp.gso || udp.gro, false);
  const small = new ReceiveSlot(libc, new Endpoint(), 512);
  udp.send(data, 600, 0, loopback(4, udp.port), 0);
  udp.receive(small);
  t.ok(small.truncated);
  udp.send(data, 300, 100, loopback(4, udp.port), 0);
  t.equal(udp.receive(slot), 100, 'without offload a batch goes singly');
  udp.close();
});

t.test('a full receive queue is counted', async t => {
  const udp = openUdp(libc, { family: 4, port: 0, receiveBuffer: 4096 });
  for (let i = 0; i < 100; i++) udp.send(data, 1000, 0, loopback(4, udp.port), 0);
  drain(udp);
  udp.send(data, 1000, 0, loopback(4, udp.port), 0);
  drain(udp);
  t.ok(udp.counters.receiveOverflow > 0);
  udp.close();
});

t.test('both families share one port', async t => {
  const pair = openUdpPair(libc, { port: 0 });
  t.equal(pair.v4?.port, pair.port);
  t.equal(pair.v6?.port, pair.port);
  t.throws(() => openUdpPair(libc, { port: pair.port }), { code: 'port-in-use', exit: 1 });
  pair.v4?.close();
  pair.v6?.close();
});

t.test('a port the other family holds is tried again', async t => {
  faulty.fail('bind', call => (call === 2 || call === 4 ? c.EADDRINUSE : 0));
  const pair = openUdpPair(libc, { port: 0 });
  t.equal(pair.v6?.port, pair.v4?.port);
  t.ok(faulty.calls.get('bind')! >= 6);
  pair.v4?.close();
  pair.v6?.close();
  faulty.fail('bind', call => (call % 2 === 0 ? c.EADDRINUSE : 0));
  t.throws(() => openUdpPair(libc, { port: 0 }), { code: 'port-in-use' });
  t.equal(faulty.calls.get('bind'), 202, 'a hundred times, not for ever');
  faulty.heal();
});

t.test('a host without IPv6, or without IPv4, gets the other', async t => {
  faulty.fail('socket', call => (call === 2 ? c.EAFNOSUPPORT : 0));
  const four = openUdpPair(libc, { port: 0 });
  t.ok(four.v4 !== null && four.v6 === null);
  four.v4?.close();
  faulty.fail('socket', call => (call === 1 ? c.EAFNOSUPPORT : 0));
  const six = openUdpPair(libc, { port: 0 });
  t.ok(six.v4 === null && six.v6 !== null);
  six.v6?.close();
  faulty.fail('socket', () => c.EAFNOSUPPORT);
  t.throws(() => openUdpPair(libc, { port: 0 }), { code: 'udp-open' });
  faulty.heal();
});

t.test('offloads that cannot be read back are off', async t => {
  faulty.fail('getsockopt', () => c.ENOPROTOOPT);
  const udp = openUdp(libc, { family: 4, port: 0 });
  t.notOk(udp.gso || udp.gro);
  t.equal(udp.maxSegments, 1);
  faulty.heal();
  udp.close();
});

t.test('the firewall mark', async t => {
  if (!isPrivate) return skip(t);
  const udp = openUdp(libc, { family: 4, port: 0, mark: 7 });
  t.equal(libc.option(udp.fd, c.SOL_SOCKET, c.SO_MARK), 7);
  t.equal(udp.setMark(9), 0);
  t.equal(libc.option(udp.fd, c.SOL_SOCKET, c.SO_MARK), 9);
  udp.close();
});

t.test('an outgoing header has the eight forms', async t => {
  const out = new Outgoing(libc, 6);
  const to = loopback(6, 7);
  const seen = new Set<number>();
  for (const segment of [0, 9])
    for (const tos of [0, 3])
      for (const family of [0, 6]) {
        to.sourceFamily = family;
        seen.add(out.message(data, 10, segment, to, tos));
      }
  t.equal(seen.size, 8);
});

t.test('outer headers on the wire are the kernel WireGuard ones', async t => {
  if (!isPrivate) return skip(t);
  const name = 'plt-u0';
  const netlink = new Netlink(libc);
  const tun = openTun(libc, { name, offload: false });
  const prefix6 = new Uint8Array(16);
  prefix6.set([0xfd, 9]);
  prefix6[15] = 1;
  netlink.addAddress(name, { family: 4, address: Uint8Array.of(10, 6, 0, 1), prefix: 24 });
  netlink.addAddress(name, { family: 6, address: prefix6, prefix: 64 });
  netlink.setMtu(name, 1280);
  netlink.linkUp(name);
  const packet = arena.alloc(2048);
  /** The next UDP packet or fragment the tunnel's far end would get. */
  const next = (version: number, protocolAt: number, protocols: number[]): Uint8Array | null => {
    for (;;) {
      const bytes = tun.read(packet, 2048);
      if (bytes < 0) return null;
      const found = arena.u8.slice(packet, packet + bytes);
      if (found[0]! >> 4 === version && protocols.includes(found[protocolAt]!)) return found;
    }
  };
  const to = new Endpoint();
  to.family = 4;
  to.port = 51820;
  to.address.set([10, 6, 0, 2]);
  const v4 = openUdp(libc, { family: 4, port: 0 });
  v4.send(data, 148, 0, to, 0x88);
  const small = next(4, 9, [17])!;
  t.equal(small[1], 0x88, 'AF41');
  t.equal(small[6]! & 0x40, 0, 'may be fragmented (D13)');
  t.not((small[26]! << 8) | small[27]!, 0, 'UDP checksum');
  v4.send(data, 1452, 0, to, 0);
  t.equal(next(4, 9, [17])![6]! & 0x20, 0x20, 'more fragments');
  t.equal(next(4, 9, [17])!.length, 224);

  to.family = 6;
  to.address.fill(0);
  to.address.set([0xfd, 9]);
  to.address[15] = 2;
  const v6 = openUdp(libc, { family: 6, port: 0 });
  v6.send(data, 148, 0, to, 0x8a);
  const six = next(6, 6, [17])!;
  t.equal(((six[0]! & 15) << 4) | (six[1]! >> 4), 0x8a, 'traffic class');
  t.equal(((six[1]! & 15) << 16) | (six[2]! << 8) | six[3]!, 0, 'flow label 0 (D11)');
  v6.send(data, 1452, 0, to, 0);
  t.equal(next(6, 6, [44])?.length, 1280, 'a fragment header');
  v4.close();
  v6.close();
  tun.close();
  netlink.close();
});
