// Reading what recvmsg left, on a 32-bit layout and with hostile control messages (udp.test.ts has the kernel's own).

import t from 'tap';
import * as c from '../../../src/platform/constants.ts';
import { ReceiveSlot } from '../../../src/platform/net/receiveslot.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { narrowBase, narrowFfi } from '../../fixtures/fakes/narrowffi.ts';
import { libcOver } from '../../fixtures/native.ts';

const libc = libcOver(narrowFfi());
const { view, u8 } = libc.arena;
const slot = new ReceiveSlot(libc, new Endpoint(), 2048);
const pointer = (at: number): number => view.getUint32(at, true) - narrowBase;
const name = pointer(slot.header);
const control = pointer(slot.header + 16);

/** Puts control messages and their total length as the kernel would. */
function controls(...messages: [level: number, type: number, ...data: number[]][]): void {
  let at = control;
  for (const [level, type, ...data] of messages) {
    view.setUint32(at, 12 + data.length, true);
    view.setInt32(at + 4, level, true);
    view.setInt32(at + 8, type, true);
    u8.set(data, at + 12);
    at += (12 + data.length + 3) & ~3;
  }
  view.setUint32(slot.header + 20, at - control, true);
}

t.test('a batch with everything', async t => {
  slot.arm();
  t.equal(view.getUint32(slot.header + 4, true), 28);
  t.ok(view.getUint32(slot.header + 20, true) >= 128);
  u8.set([2, 0, 0x30, 0x39, 192, 0, 2, 1], name);
  controls(
    [c.SOL_SOCKET, c.SO_RXQ_OVFL, 6, 0, 0, 0],
    [c.IPPROTO_IP, c.IP_TOS, 0x8b],
    [c.IPPROTO_IP, c.IP_PKTINFO, 4, 0, 0, 0, 198, 51, 100, 2, 198, 51, 100, 255],
    [c.SOL_UDP, c.UDP_GRO, 0xac, 5, 0, 0],
    [c.SOL_SOCKET, 29, 1, 2, 3, 4], // a timestamp nobody asked for
  );
  slot.read(3000);
  t.match(slot, { bytes: 3000, segment: 1452, ecn: 3, truncated: false, overflow: 6, changed: true });
  t.match(slot.from, { family: 4, port: 12345, sourceFamily: 4, sourceInterface: 4 });
  t.strictSame([...slot.from.address.subarray(0, 4)], [192, 0, 2, 1]);
  t.strictSame([...slot.from.source.subarray(0, 4)], [198, 51, 100, 2], 'the local, not the header address');
  slot.read(100);
  t.match(slot, { changed: false });
});

t.test('IPv6', async t => {
  const address = Array.from({ length: 16 }, (_, i) => i + 1);
  u8.set([10, 0, 0, 53, 0, 0, 0, 0, ...address, 8, 0, 0, 0], name);
  controls(
    [c.IPPROTO_IPV6, c.IPV6_TCLASS, 1, 0, 0, 0],
    [c.IPPROTO_IPV6, c.IPV6_PKTINFO, ...address.toReversed(), 8, 0, 0, 0],
  );
  slot.read(60);
  t.match(slot, { segment: 60, ecn: 1, overflow: 0, changed: true });
  t.match(slot.from, { family: 6, port: 53, scopeId: 8, sourceFamily: 6, sourceInterface: 8 });
  t.strictSame([...slot.from.address], address);
  t.strictSame([...slot.from.source], address.toReversed());
});

t.test('control messages that lie about their length end the reading', async t => {
  for (const length of [0, 11, 300, 0xffff_ffff]) {
    controls([c.SOL_UDP, c.UDP_GRO, 100, 0, 0, 0]);
    view.setUint32(control, length, true);
    slot.read(500);
    t.equal(slot.segment, 500, `${length}`);
  }
});

t.test('truncation', async t => {
  view.setUint32(slot.header + 24, c.MSG_TRUNC, true);
  slot.read(2048);
  t.ok(slot.truncated);
});
