// The headers of all packets of one flow towards the tunnel: IP and ports are written once, then copied in front of each segment.

import type { Checksum } from '../../datapath/checksum.ts';
import { headerSum, ip4, ip4Bytes, ip6, ip6Bytes, protocol, pseudoSum, tcp } from '../../datapath/inet.ts';
import type { Arena } from '../../util/arena.ts';

const ttl = 64;

export class PacketHead {
  readonly version: 4 | 6;
  readonly ipBytes: number;
  /** IP header and the ports. */
  readonly bytes: Uint8Array;
  readonly #checksum: Checksum;

  /** The answer's direction: from `source` to `to`. */
  constructor(
    checksum: Checksum,
    source: Uint8Array,
    sourcePort: number,
    to: Uint8Array,
    toPort: number,
    transport: number = protocol.tcp,
  ) {
    this.#checksum = checksum;
    this.version = source.length === 4 ? 4 : 6;
    this.ipBytes = this.version === 4 ? ip4Bytes : ip6Bytes;
    this.bytes = new Uint8Array(this.ipBytes + 4);
    const view = new DataView(this.bytes.buffer);
    if (this.version === 4) {
      view.setUint16(0, 0x4500);
      view.setUint16(ip4.fragment, 0x4000);
      view.setUint16(ip4.ttl, (ttl << 8) | transport);
      this.bytes.set(source, ip4.source);
      this.bytes.set(to, ip4.to);
    } else {
      view.setUint32(0, 0x6000_0000);
      view.setUint16(ip6.next, (transport << 8) | ttl);
      this.bytes.set(source, ip6.source);
      this.bytes.set(to, ip6.to);
    }
    view.setUint16(this.ipBytes, sourcePort);
    view.setUint16(this.ipBytes + 2, toPort);
  }

  /** Completes the TCP segment whose options and payload are in place; returns the packet's bytes. */
  finish(
    arena: Arena,
    at: number,
    tcpBytes: number,
    payloadBytes: number,
    sequence: number,
    acknowledged: number,
    flags: number,
    window: number,
  ): number {
    const { view } = arena;
    const from = at + this.ipBytes;
    this.begin(arena, at, tcpBytes + payloadBytes);
    view.setInt32(from + tcp.sequence, sequence);
    view.setInt32(from + tcp.acknowledge, acknowledged);
    view.setUint8(from + tcp.offset, (tcpBytes / 4) << 4);
    view.setUint8(from + tcp.flags, flags);
    view.setUint16(from + tcp.window, window);
    view.setUint32(from + tcp.checksum, 0);
    view.setUint16(from + tcp.checksum, this.sum(arena, at, protocol.tcp, tcpBytes + payloadBytes));
    return this.ipBytes + tcpBytes + payloadBytes;
  }

  /** Writes IP header and ports in front of `length` bytes of transport. */
  begin({ u8, view }: Arena, at: number, length: number): void {
    u8.set(this.bytes, at);
    if (this.version === 4) {
      view.setUint16(at + ip4.total, ip4Bytes + length);
      view.setUint16(at + ip4.checksum, 0);
      view.setUint16(at + ip4.checksum, ~headerSum(view, at, ip4Bytes));
    } else view.setUint16(at + ip6.payload, length);
  }

  /** The checksum of the transport part, whose own field is 0. */
  sum({ view }: Arena, at: number, transport: number, length: number): number {
    const pseudo = pseudoSum(view, at, this.version, transport, length);
    return ~this.#checksum.sum(at + this.ipBytes, length, pseudo) & 0xffff;
  }
}
