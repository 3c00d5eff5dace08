// The outgoing msghdr byte by byte, on a 32-bit layout (the kernel itself judges the 64-bit one in udp.test.ts).

import t from 'tap';
import * as c from '../../../src/platform/constants.ts';
import { Outgoing, outgoing } from '../../../src/platform/net/outgoing.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { narrowBase, narrowFfi } from '../../fixtures/fakes/narrowffi.ts';
import { libcOver } from '../../fixtures/native.ts';

const libc = libcOver(narrowFfi());
const { view, u8 } = libc.arena;
const pointer = (at: number): number => view.getUint32(at, true) - narrowBase;

t.test('IPv4 with segment size, source and TOS', async t => {
  const out = new Outgoing(libc, 4);
  const to = new Endpoint();
  to.family = to.sourceFamily = 4;
  to.port = 0x1234;
  to.address.set([1, 2, 3, 4]);
  to.source.set([5, 6, 7, 8]);
  to.sourceInterface = 9;
  const header = out.message(4096, 777, 100, to, 0x8a);
  const name = pointer(header);
  t.equal(view.getUint32(header + 4, true), 16);
  t.strictSame([...u8.subarray(name, name + 8)], [2, 0, 0x12, 0x34, 1, 2, 3, 4]);
  const iovec = pointer(header + 8);
  t.equal(view.getUint32(header + 12, true), 1);
  t.strictSame([pointer(iovec), view.getUint32(iovec + 4, true)], [4096, 777]);
  const control = pointer(header + 16);
  t.equal(view.getUint32(header + 20, true), 16 + 24 + 16);
  const message = (at: number): number[] => [0, 4, 8].map(i => view.getInt32(control + at + i, true));
  t.strictSame(message(0), [14, c.SOL_UDP, c.UDP_SEGMENT]);
  t.equal(view.getUint16(control + 12, true), 100);
  t.strictSame(message(16), [24, c.IPPROTO_IP, c.IP_PKTINFO]);
  t.equal(view.getInt32(control + 28, true), 9);
  t.strictSame([...u8.subarray(control + 32, control + 36)], [5, 6, 7, 8]);
  t.strictSame(message(40), [16, c.IPPROTO_IP, c.IP_TOS]);
  t.equal(view.getInt32(control + 52, true), 0x8a);
});

t.test('IPv6, plain and with source', async t => {
  const out = outgoing(libc, 6);
  t.equal(outgoing(libc, 6), out, 'one per thread and family');
  t.not(outgoing(libc, 4), out);
  const to = new Endpoint();
  to.family = 6;
  to.port = 51820;
  to.scopeId = 3;
  to.address.set([0xfe, 0x80]);
  to.address[15] = 7;
  let header = out.message(4096, 1, 0, to, 0);
  t.equal(view.getUint32(header + 20, true), 0, 'no control messages');
  const name = pointer(header);
  t.strictSame([...u8.subarray(name, name + 10)], [10, 0, 51820 >> 8, 51820 & 255, 0, 0, 0, 0, 0xfe, 0x80]);
  t.equal(u8[name + 23], 7);
  t.equal(view.getUint32(name + 24, true), 3);
  to.sourceFamily = 4;
  t.equal(out.message(4096, 1, 0, to, 0), header, 'a source of the other family does not count');
  to.sourceFamily = 6;
  to.source[15] = 0x42;
  to.sourceInterface = 5;
  header = out.message(4096, 1, 0, to, 0);
  const control = pointer(header + 16);
  t.strictSame(
    [0, 4, 8].map(i => view.getInt32(control + i, true)),
    [32, c.IPPROTO_IPV6, c.IPV6_PKTINFO],
  );
  t.equal(u8[control + 12 + 15], 0x42);
  t.equal(view.getInt32(control + 28, true), 5);
});
