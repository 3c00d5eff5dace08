// A real TUN in a private network: opening, refusals, and packets in both directions against the kernel's own stack.

import t from 'tap';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { equalBytes } from '../../src/util/bytes.ts';
import * as c from '../../src/platform/constants.ts';
import { Netlink } from '../../src/platform/net/netlink.ts';
import { openTun, tunFromFd } from '../../src/platform/tun.ts';
import { openUdp, ReceiveSlot } from '../../src/platform/net/udp.ts';
import { Endpoint } from '../../src/wireguard/peer/endpoint.ts';
import { FaultyFfi } from '../fixtures/fakes/faultyffi.ts';
import { enterPrivateNetwork, libcOver, noNetwork } from '../fixtures/native.ts';
import { loadFfi } from '../../src/platform/ffi/load.ts';

const faulty = new FaultyFfi(await loadFfi());
const libc = libcOver(faulty);
const { arena } = libc;
const vnet = 10;
const at = arena.alloc(65546);

t.test('refusals say what to do', async t => {
  t.throws(() => openTun(libc, { name: '', offload: true, device: '/nowhere/tun' }), {
    code: 'tun-missing',
    message: /cannot open \/nowhere\/tun: ENOENT .*; load the tun module/,
  });
  t.throws(() => openTun(libc, { name: 'sixteen-letters!', offload: true }), { code: 'tun-name', exit: 2 });
  const plain = join(mkdtempSync(join(tmpdir(), 'plt-')), 'file');
  writeFileSync(plain, '');
  t.throws(() => openTun(libc, { name: '', offload: true, device: plain }), { code: 'tun-create' });
  const fd = libc.open(plain, c.O_RDWR);
  t.throws(() => tunFromFd(libc, fd), { code: 'tun-fd' });
  libc.close(fd);
  faulty.fail('open', () => c.EACCES);
  t.throws(() => openTun(libc, { name: '', offload: true }), { code: 'tun-denied' });
  faulty.fail('open', () => c.EIO);
  t.throws(() => openTun(libc, { name: '', offload: true }), { code: 'tun-open' });
  faulty.heal();
});

if (!enterPrivateNetwork(libc)) {
  t.pass('a TUN device', { skip: noNetwork });
} else {
  const netlink = new Netlink(libc);
  const name = 'plt-t0';

  /** A TUN that is up with 10.9.0.1/24. */
  function ready(offload: boolean): ReturnType<typeof openTun> {
    const tun = openTun(libc, { name, offload });
    netlink.addAddress(name, { family: 4, address: Uint8Array.of(10, 9, 0, 1), prefix: 24 });
    t.equal(netlink.linkUp(name), 0);
    return tun;
  }

  /** The next packet to 10.9.0.2: the kernel also sends router solicitations and the like. */
  function nextPacket(tun: ReturnType<typeof openTun>, header: number): number {
    for (;;) {
      const bytes = tun.read(at, 65546);
      if (bytes < 0) return bytes;
      if (arena.u8[at + header]! >> 4 === 4 && arena.u8[at + header + 19] === 2) return bytes;
    }
  }

  t.test('the kernel reads %d, and says what it gave', async t => {
    const tun = openTun(libc, { name: 'plt%d', offload: true });
    t.equal(tun.name, 'plt0');
    t.equal(tun.vnetHeader, true);
    t.strictSame([tun.offloads.csum, tun.offloads.tso4, tun.offloads.tso6], [true, true, true]);
    t.throws(() => openTun(libc, { name: 'plt0', offload: true }), { code: 'tun-busy' });
    t.equal(tun.read(at, 100), -c.EAGAIN, 'nothing to read while down');
    arena.u8.fill(0, at, at + 60);
    arena.u8[at + vnet] = 0x45;
    t.equal(tun.write(at, 60), -c.EIO, 'no writing while down');
    tun.close();
    t.equal(netlink.link('plt0'), null, 'gone with its descriptor');
  });

  t.test('a kernel without USO, or without any offload', async t => {
    // ioctl calls: 1 TUNSETIFF, 2 TUNGETIFF, 3 TCP offloads, 4 USO
    faulty.fail('ioctl', call => (call === 4 ? c.EINVAL : 0));
    const noUso = openTun(libc, { name, offload: true });
    t.strictSame(noUso.offloads, { csum: true, tso4: true, tso6: true, uso4: false, uso6: false });
    noUso.close();
    faulty.fail('ioctl', call => (call >= 3 ? c.EINVAL : 0));
    const none = openTun(libc, { name, offload: true });
    t.strictSame(none.offloads, { csum: false, tso4: false, tso6: false, uso4: false, uso6: false });
    none.close();
    faulty.fail('ioctl', call => (call === 1 ? c.EPERM : 0));
    t.throws(() => openTun(libc, { name, offload: true }), { code: 'tun-denied', message: /CAP_NET_ADMIN/ });
    faulty.heal();
  });

  t.test('a persistent plain device is taken as it is', async t => {
    openTun(libc, { name, offload: false, persist: true }).close();
    faulty.fail('ioctl', call => (call === 1 ? c.EINVAL : 0)); // as kernels do that insist on equal flags
    const tun = openTun(libc, { name, offload: true, persist: false });
    faulty.heal();
    t.equal(tun.vnetHeader, false);
    t.equal(tun.offloads.csum, false);
    tun.close();
    t.equal(netlink.link(name), null);
  });

  t.test('an inherited descriptor', async t => {
    const tun = openTun(libc, { name, offload: true });
    const twin = tunFromFd(libc, tun.fd);
    t.equal(twin.name, name);
    t.equal(twin.vnetHeader, true);
    t.equal(twin.offloads.tso4, true);
    tun.close();
  });

  for (const offload of [false, true]) {
    t.test(`packets from and to the kernel, ${offload ? 'with' : 'without'} header`, async t => {
      const header = offload ? vnet : 0;
      const tun = ready(offload);
      const udp = openUdp(libc, { family: 4, port: 0, offload: false });
      const to = new Endpoint();
      to.family = 4;
      to.port = 4242;
      to.address.set([10, 9, 0, 2]);
      const data = arena.alloc(512);
      arena.u8.fill(0x5a, data, data + 512);
      t.equal(udp.send(data, 300, 0, to, 0), 300);
      t.equal(nextPacket(tun, header), header + 328);
      const packet = arena.u8.slice(at, at + header + 328);
      t.equal(packet[header + 28], 0x5a);

      // Turn it round: addresses and ports swap, so both checksums stay right.
      const reply = Uint8Array.from(packet);
      reply.set(packet.subarray(header + 12, header + 16), header + 16);
      reply.set(packet.subarray(header + 16, header + 20), header + 12);
      reply.set(packet.subarray(header + 20, header + 22), header + 22);
      reply.set(packet.subarray(header + 22, header + 24), header + 20);
      arena.u8.set(reply, at);
      const slot = new ReceiveSlot(libc, new Endpoint(), 2048);
      t.equal(tun.write(at, reply.length), reply.length);
      t.equal(udp.receive(slot), 300);
      t.equal(slot.from.port, 4242);

      const iovecs = arena.alloc(3 * libc.layout.iovec.bytes);
      libc.setIovec(iovecs, at, header + 20);
      libc.setIovec(iovecs + libc.layout.iovec.bytes, at + header + 20, 108);
      libc.setIovec(iovecs + 2 * libc.layout.iovec.bytes, at + header + 128, 200);
      t.equal(tun.writev(iovecs, 3), reply.length, 'in pieces');
      t.equal(udp.receive(slot), 300);

      udp.send(data, 300, 0, to, 0);
      const spill = arena.alloc(1024);
      let bytes: number;
      do bytes = tun.readSplit(at, 100, spill, 1024);
      while (bytes > 0 && arena.u8[at + header]! >> 4 !== 4);
      t.equal(bytes, header + 328);
      const joined = Buffer.concat([
        arena.u8.slice(at, at + 100),
        arena.u8.slice(spill, spill + header + 228),
      ]);
      t.ok(equalBytes(joined.subarray(header + 28), packet.subarray(header + 28)), 'read in two pieces');
      udp.close();
      tun.close();
    });
  }
}
