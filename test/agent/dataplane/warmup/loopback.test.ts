import t from 'tap';
import { openEnds, piece } from '../../../../src/agent/dataplane/warmup/loopback.ts';
import { makePathState } from '../../../../src/agent/dataplane/pathstate.ts';
import { portableProviders } from '../../../../src/agent/portableproviders.ts';
import { protocol, vnetBytes } from '../../../../src/datapath/inet.ts';
import { chooseCrypto } from '../../../../src/platform/crypto/choose.ts';
import { loadFfi } from '../../../../src/platform/ffi/load.ts';
import { Libc } from '../../../../src/platform/libc.ts';
import { Arena } from '../../../../src/util/arena.ts';

const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
const arena = new Arena(memory.buffer);
const libc = new Libc(await loadFfi(), arena);
const parts = makePathState(libc, memory, 1420);
const crypto = chooseCrypto(libc, () => portableProviders(arena, memory));
const offloads = { csum: true, tso4: true, tso6: true, uso4: true, uso6: true };
const like = { vnetHeader: true, offloads };
const options = {
  arena,
  crypto,
  random: (bytes: Uint8Array<ArrayBuffer>) => void globalThis.crypto.getRandomValues(bytes),
  wallMs: () => 1_700_000_000_000,
};

t.test('a super-packet goes in at one end and comes out whole at the other', t => {
  const [near, far] = openEnds(libc, like, true, parts, options)!;
  near.meet(100, far);
  far.meet(100, near);
  const { slot } = parts;
  const carry = (packet: Uint8Array): Uint8Array => {
    arena.u8.set(packet, slot.at);
    far.tun.write(slot.at, packet.length);
    near.loop.outbound(100);
    for (let i = 0; i < 2; i++) {
      far.loop.inbound(100, far.udp);
      near.loop.inbound(100, near.udp);
    }
    const bytes = near.tun.read(slot.at, 1 << 16);
    return arena.u8.slice(slot.at, slot.at + bytes);
  };
  const lone = piece(4, protocol.icmp, 84);
  t.same(
    carry(lone).subarray(vnetBytes),
    lone.subarray(vnetBytes),
    'with the handshake that it had to wait for',
  );
  const big = piece(6, protocol.tcp, 40_000, { segment: 1348 });
  const heard = carry(big);
  t.equal(heard.length, big.length);
  // All but the checksum, which is computed on the way.
  const payload = vnetBytes + 40 + 32;
  t.same(heard.subarray(payload), big.subarray(payload));
  near.close();
  far.close();
  t.end();
});

t.test(
  'pieces: headers as large as they come, and a super-packet where there are more bytes than a segment',
  t => {
    const view = (packet: Uint8Array): DataView => new DataView(packet.buffer, vnetBytes);
    const ping = piece(4, protocol.icmp, 84, { ecn: 2 });
    t.equal(view(ping).getUint16(0), 0x4502);
    t.equal(view(ping).getUint16(2), 84);
    t.strictSame([...ping.subarray(0, vnetBytes)], Array(vnetBytes).fill(0), 'nothing to fill in');
    const six = piece(6, protocol.udp, 100, { ecn: 1, to: 0xff });
    t.equal(view(six).getUint16(0), 0x6010);
    t.equal(view(six).getUint8(24), 0xff);
    t.equal(view(six).getUint16(44), 60, "UDP's own length");
    const tcp = piece(4, protocol.tcp, 600);
    t.equal(tcp[0], 1, 'a checksum to fill in');
    t.equal(tcp[1], 0, 'but one packet');
    const large = piece(4, protocol.tcp, 6000, { segment: 1000 });
    t.equal(large[1], 1, 'TCP over IPv4 in segments');
    t.equal(new DataView(large.buffer).getUint16(4, true), 1000);
    t.end();
  },
);
