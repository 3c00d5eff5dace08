// Warmup: the data plane plays packets through the packet path after the start, so that V8 has compiled it before it is needed. What
// keeps no state between turns (arena, ciphers, segmenter, coalescer, batch, slot) is the real one, because compiled code is tied to
// those objects. docs/decisions/0019-packet-path-is-warmed-up.md.

import { setFlagsFromString } from 'node:v8';
import { protocol, vnetBytes } from '../../../datapath/inet.ts';
import type { Libc } from '../../../platform/libc.ts';
import type { Tun } from '../../../platform/tun.ts';
import type { DeviceOptions } from '../../../wireguard/device.ts';
import { type End, openEnds, piece } from './loopback.ts';
import type { PathState } from '../loop.ts';

export const turns = 4000;
/** Then nothing is played for a while: the loop around is compiled by the number of its rounds, and that takes more of them. */
const restTurns = 2000;
/** Milliseconds of the devices' clock per turn, so that keys reach their age limits. With a fraction, as real time has. */
const turnMs = 50.1;
/** Every so often both ends begin anew: handshake, packets that wait for it, and the end of a peer. */
const meetEvery = 500;
/** Calls before V8 compiles a function for good. Its own 3,000 are much for an event that comes a few times a second. */
const compileAfter = '--invocation-count-for-turbofan=500';

const largestPlain = 1300;

/** Single packets of the usual kinds, with a checksum to fill in or none; super-packets; and one that leads nowhere. */
const pieces = [
  piece(4, protocol.icmp, 84),
  piece(6, protocol.icmp6, 104),
  piece(4, protocol.tcp, 52),
  piece(4, protocol.udp, 300),
  piece(6, protocol.tcp, 72),
  // One has more segments than a batch holds, the other just as many.
  piece(4, protocol.tcp, 65_000, { ecn: 2, segment: 500 }),
  piece(4, protocol.icmp, 84, { ecn: 2 }),
  piece(6, protocol.icmp6, 48, { to: 0xff }),
  piece(6, protocol.udp, 100, { ecn: 1 }),
  piece(4, protocol.icmp, 84),
  piece(4, protocol.tcp, 600),
  piece(6, protocol.tcp, 14_000, { segment: 109 }),
  piece(4, protocol.udp, 84),
];

export class Warmup {
  /** Reads that brought something at the far end. */
  heard = 0;
  readonly #parts: PathState;
  #near: End;
  #far: End;
  #turn = -1;

  private constructor(parts: PathState, near: End, far: End) {
    this.#parts = parts;
    this.#near = near;
    this.#far = far;
  }

  /** Null where there is no loopback interface, or nothing to make sockets of. `offload` is that of the real sockets. */
  static open(
    libc: Libc,
    tun: Tun,
    offload: boolean,
    parts: PathState,
    options: DeviceOptions,
  ): Warmup | null {
    const ends = openEnds(libc, tun, offload, parts, options);
    if (ends === null) return null;
    if (libc.ffi.name === 'node:ffi') setFlagsFromString(compileAfter); // a Node new enough to know it
    return new Warmup(parts, ...ends);
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
