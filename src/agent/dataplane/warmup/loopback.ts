// Two ends of a tunnel in one thread, for the warm-up and the bench: two devices with fresh keys and a loopback socket each, and a
// pair of sockets in place of two TUN devices. One end reads, seals and sends; the other opens and writes. Arena, ciphers,
// segmenter, coalescer, batch and slot are the caller's.

import { gso, ip4, ip4Bytes, ip6, ip6Bytes, protocol, tcp } from '../../../datapath/inet.ts';
import { littleEndian, tcpBytes, tcpFlag, udp, vnet, vnetBytes, vnetFlag } from '../../../datapath/inet.ts';
import type { Libc } from '../../../platform/libc.ts';
import { Poller } from '../../../platform/poll.ts';
import { Tun } from '../../../platform/tun.ts';
import { openUdp, type Udp } from '../../../platform/net/udp.ts';
import { wipe } from '../../../util/bytes.ts';
import { type AllowedIp, Device, type DeviceOptions } from '../../../wireguard/device.ts';
import { Endpoint } from '../../../wireguard/peer/endpoint.ts';
import { Counters } from '../counters.ts';
import { Loop } from '../loop.ts';
import { DataplaneOutbox } from '../outbox.ts';
import type { SharedParts } from '../pathstate.ts';
import { Sockets } from '../sockets.ts';

const loopback = Uint8Array.of(127, 0, 0, 1);
/** All of IPv4, and the half of IPv6 where multicast is not. */
const inside: readonly AllowedIp[] = [
  { family: 4, address: new Uint8Array(4), prefix: 0 },
  { family: 6, address: new Uint8Array(16), prefix: 1 },
];
/** Of TCP: two times and their padding, which nearly every segment has. */
const optionBytes = 12;

export class End {
  readonly device: Device;
  readonly loop: Loop;
  readonly udp: Udp;
  readonly tun: Tun;
  readonly out: DataplaneOutbox;
  readonly #poller: Poller;

  constructor(libc: Libc, udp: Udp, tun: Tun, parts: SharedParts, options: DeviceOptions) {
    this.udp = udp;
    this.tun = tun;
    this.#poller = new Poller(libc); // idle; but V8 compiles for the class Sockets, which takes one
    const sockets = new Sockets(libc, this.#poller, true);
    sockets.v4 = udp;
    const counters = new Counters();
    this.out = new DataplaneOutbox(sockets, counters);
    this.device = new Device(options);
    const { device, out } = this;
    this.loop = new Loop({ ...parts, device, tun, sockets, counters, out });
    out.writePacket = (at, bytes) => this.loop.writePlain(at, bytes);
    const key = new Uint8Array(32);
    options.random(key);
    device.setPrivateKey(0, key, out);
    wipe(key);
    device.up(0, out);
  }

  meet(now: number, other: End): void {
    const key = other.device.publicKey!;
    const endpoint = new Endpoint();
    endpoint.family = 4;
    endpoint.address.set(loopback);
    endpoint.port = other.udp.port;
    this.device.removePeer(now, key);
    this.device.setPeer(now, key, { endpoint, allowedIps: inside }, this.out);
    // As large as counters become: past 31 bits V8 stores a number in another form and discards code compiled for a peer.
    for (const peer of this.device.peers()) peer.txBytes = peer.rxBytes = 2 ** 31;
  }

  close(): void {
    this.device.destroy();
    this.#poller.close();
    this.udp.close();
    this.tun.close();
  }
}

/**
 * Two ends that do not know each other yet, as if their TUN devices were like `like`. Null where there is no loopback interface,
 * or nothing to make sockets of.
 */
export function openEnds(
  libc: Libc,
  like: Pick<Tun, 'vnetHeader' | 'offloads'>,
  offload: boolean,
  parts: SharedParts,
  options: DeviceOptions,
): [End, End] | null {
  const udps: Udp[] = [];
  const pair = libc.socketPair();
  if (pair[0] < 0) return null;
  try {
    for (let i = 0; i < 2; i++) udps.push(openUdp(libc, { family: 4, port: 0, address: loopback, offload }));
  } catch {
    for (const fd of pair) libc.close(fd);
    for (const udp of udps) udp.close();
    return null;
  }
  parts.batch.maxSegments = udps[0]!.maxSegments;
  const end = (i: 0 | 1): End =>
    new End(libc, udps[i]!, new Tun(libc, pair[i], '', like.vnetHeader, like.offloads), parts, options);
  return [end(0), end(1)];
}

/**
 * An inner packet behind its virtio_net_hdr, a super-packet of TCP when it has more bytes than `segment`; `to` is the first byte of an
 * IPv6 destination. Numbers are as large as they come: addresses whose sums do not fit 31 bits, a TCP sequence that wraps inside.
 */
export function piece(
  version: 4 | 6,
  next: number,
  bytes: number,
  more: { ecn?: number; to?: number; segment?: number } = {},
): Uint8Array {
  const { ecn = 0, to = 0, segment = bytes } = more;
  const headers = version === 4 ? ip4Bytes : ip6Bytes;
  const out = new Uint8Array(vnetBytes + bytes);
  const head = new DataView(out.buffer);
  const packet = new DataView(out.buffer, vnetBytes);
  out.fill(0xe1, vnetBytes + (version === 4 ? ip4.source : ip6.source), vnetBytes + headers);
  if (version === 4) {
    packet.setUint16(0, 0x4500 + ecn);
    packet.setUint16(ip4.total, bytes);
    packet.setUint8(ip4.protocol, next);
  } else {
    packet.setUint16(0, 0x6000 + (ecn << 4));
    packet.setUint16(ip6.payload, bytes - ip6Bytes);
    packet.setUint8(ip6.next, next);
    packet.setUint8(ip6.source, 0);
    packet.setUint8(ip6.to, to);
  }
  if (next === protocol.udp) packet.setUint16(headers + udp.length, bytes - headers);
  if (next !== protocol.tcp) return out;
  packet.setUint32(headers + tcp.sequence, 0xffff_f000);
  packet.setUint8(headers + tcp.offset, (tcpBytes + optionBytes) << 2);
  packet.setUint8(headers + tcp.flags, bytes > segment ? tcpFlag.ack | tcpFlag.psh : tcpFlag.ack);
  head.setUint8(vnet.flags, vnetFlag.needsChecksum);
  head.setUint16(vnet.checksumStart, headers, littleEndian);
  head.setUint16(vnet.checksumOffset, tcp.checksum, littleEndian);
  if (bytes <= segment) return out;
  head.setUint8(vnet.gsoType, version === 4 ? gso.tcp4 : gso.tcp6);
  head.setUint16(vnet.headerBytes, headers + tcpBytes + optionBytes, littleEndian);
  head.setUint16(vnet.gsoBytes, segment, littleEndian);
  return out;
}
