// Rehearsal: before somebody's packets wait for it, the data plane plays the packet path to itself, so that the code has been
// compiled by then; else every ping of the first minute pays for it, some of them milliseconds. Two devices with keys of the
// moment and a loopback socket each, and a pair of sockets in the place of two TUN devices: what one reads it seals and
// sends, the other opens and writes. Whatever has no memory between turns (arena, ciphers, segmenter, coalescer, batch,
// slot) is the real thing, because the compiler ties its code to those very objects.

import { setFlagsFromString } from 'node:v8';
import { gso, ip4, ip4Bytes, ip6, ip6Bytes, protocol, tcp } from '../datapath/inet.ts';
import { littleEndian, tcpBytes, tcpFlag, udp, vnet, vnetBytes, vnetFlag } from '../datapath/inet.ts';
import type { Libc } from '../platform/libc.ts';
import { Poller } from '../platform/poll.ts';
import { Tun } from '../platform/tun.ts';
import { openUdp, type Udp } from '../platform/udp.ts';
import { wipe } from '../util/bytes.ts';
import { type AllowedIp, Device, type DeviceOptions } from '../wireguard/device.ts';
import { Endpoint } from '../wireguard/endpoint.ts';
import { Counters } from './counters.ts';
import { Loop, type LoopParts } from './loop.ts';
import { DataplaneOutbox } from './outbox.ts';
import { Sockets } from './sockets.ts';

export const turns = 4000;
/** Then nothing is played for a while: the loop around is compiled by the number of its rounds, and that takes more of them. */
const restTurns = 2000;
/** What passes on the devices' clock from turn to turn: the keys grow old on the way. With a fraction, as real time has one. */
const turnMs = 50.1;
/** From time to time they meet for the first time again: handshake, packets that wait for it, and the end of a peer. */
const meetEvery = 500;
/** Calls before V8 compiles a function for good. Its own 3,000 are much for an event that comes a few times a second. */
const compileAfter = '--invocation-count-for-turbofan=500';

const loopback = Uint8Array.of(127, 0, 0, 1);
/** All of IPv4, and the half of IPv6 where multicast is not. */
const inside: readonly AllowedIp[] = [
  { family: 4, address: new Uint8Array(4), prefix: 0 },
  { family: 6, address: new Uint8Array(16), prefix: 1 },
];
const largestPlain = 1300;
/** Of TCP: two times and their padding, which nearly every segment has. */
const optionBytes = 12;

/** Single packets of the usual kinds, with a checksum to fill in or none; super-packets; and one that leads nowhere. */
const pieces = [
  piece(4, protocol.icmp, 84),
  piece(6, protocol.icmp6, 104),
  piece(4, protocol.tcp, 52),
  piece(4, protocol.udp, 300),
  piece(6, protocol.tcp, 72),
  piece(4, protocol.tcp, 65_000, 2),
  piece(4, protocol.icmp, 84, 2),
  piece(6, protocol.icmp6, 48, 0, 0xff),
  piece(6, protocol.udp, 100, 1),
  piece(4, protocol.icmp, 84),
  piece(4, protocol.tcp, 600),
  piece(6, protocol.tcp, 14_000),
  piece(4, protocol.udp, 84),
];

class End {
  readonly device: Device;
  readonly loop: Loop;
  readonly udp: Udp;
  readonly tun: Tun;
  readonly out: DataplaneOutbox;
  readonly #poller: Poller;

  constructor(libc: Libc, udp: Udp, tun: Tun, parts: LoopParts, options: DeviceOptions) {
    this.udp = udp;
    this.tun = tun;
    this.#poller = new Poller(libc); // idle; but V8 compiles for the class Sockets, and that wants one
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
    // As large as they become: past 31 bits V8 keeps a number in another way, and throws away all code that knows a peer.
    for (const peer of this.device.peers()) peer.txBytes = peer.rxBytes = 2 ** 31;
  }

  close(): void {
    this.device.destroy();
    this.#poller.close();
    this.udp.close();
    this.tun.close();
  }
}

export class Rehearsal {
  /** Reads that brought something at the far end. */
  heard = 0;
  readonly #parts: LoopParts;
  #near: End;
  #far: End;
  #turn = -1;

  private constructor(parts: LoopParts, near: End, far: End) {
    this.#parts = parts;
    this.#near = near;
    this.#far = far;
    parts.batch.maxSegments = near.udp.maxSegments;
  }

  /** Null where there is no loopback interface, or nothing to make sockets of. `offload` is that of the real sockets. */
  static open(
    libc: Libc,
    tun: Tun,
    offload: boolean,
    parts: LoopParts,
    options: DeviceOptions,
  ): Rehearsal | null {
    const udps: Udp[] = [];
    const pair = libc.socketPair();
    if (pair[0] < 0) return null;
    try {
      for (let i = 0; i < 2; i++)
        udps.push(openUdp(libc, { family: 4, port: 0, address: loopback, offload }));
    } catch {
      for (const fd of pair) libc.close(fd);
      for (const udp of udps) udp.close();
      return null;
    }
    if (libc.ffi.name === 'node:ffi') setFlagsFromString(compileAfter); // a Node new enough to know it
    const end = (i: 0 | 1): End =>
      new End(libc, udps[i]!, new Tun(libc, pair[i], '', tun.vnetHeader, tun.offloads), parts, options);
    return new Rehearsal(parts, end(0), end(1));
  }

  /** One packet or super-packet from end to end; the next one goes the other way. False when all is over, and closed. */
  play(): boolean {
    if (++this.#turn >= turns) {
      const goesOn = this.#turn < turns + restTurns;
      if (!goesOn) this.close();
      return goesOn;
    }
    const { arena, slot, tun } = this.#parts;
    const near = this.#near;
    const far = this.#far;
    const now = (this.#turn + 1) * turnMs;
    if (this.#turn % meetEvery < 2) near.meet(now, far);
    const packet = pieces[this.#turn % pieces.length]!;
    const skip = tun.vnetHeader ? 0 : vnetBytes;
    if (tun.vnetHeader || packet.length <= largestPlain) {
      arena.u8.set(packet, slot.at);
      far.tun.write(slot.at + skip, packet.length - skip); // which is where `near` reads
    }
    near.loop.outbound(now);
    far.loop.inbound(now, far.udp);
    near.loop.inbound(now, near.udp); // a handshake is answered
    near.device.poll(now, near.out);
    while (near.tun.read(slot.at, 1 << 16) > 0) this.heard++;
    while (far.tun.read(slot.at, 1 << 16) > 0);
    this.#near = far;
    this.#far = near;
    return true;
  }

  /** For an end before the last turn. */
  close(): void {
    this.#near.close();
    this.#far.close();
  }
}

/**
 * An inner packet behind its virtio_net_hdr; `to` is the first byte of an IPv6 destination. Numbers are as large as they come:
 * addresses whose sums do not fit 31 bits, a TCP sequence that wraps inside a super-packet.
 */
function piece(version: 4 | 6, next: number, bytes: number, ecn = 0, to = 0): Uint8Array {
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
  packet.setUint8(headers + tcp.flags, bytes > largestPlain ? tcpFlag.ack | tcpFlag.psh : tcpFlag.ack);
  head.setUint8(vnet.flags, vnetFlag.needsChecksum);
  head.setUint16(vnet.checksumStart, headers, littleEndian);
  head.setUint16(vnet.checksumOffset, tcp.checksum, littleEndian);
  if (bytes <= largestPlain) return out;
  head.setUint8(vnet.gsoType, version === 4 ? gso.tcp4 : gso.tcp6);
  head.setUint16(vnet.headerBytes, headers + tcpBytes + optionBytes, littleEndian);
  // One has more segments than a batch holds, the other just as many.
  head.setUint16(vnet.gsoBytes, version === 4 ? 500 : 109, littleEndian);
  return out;
}
