// A batch of outgoing transport messages to one peer and destination, in one run of memory: header, padded packet, tag, and so
// on. Messages of equal length stand one stride apart, as UDP_SEGMENT requires, so a group leaves in one system call without a
// copy (whitepaper §5.4.6; the group rule is wireguard-go's coalesceMessages). Knows no socket and no key.

import type { Arena } from '../util/arena.ts';
import { vnetBytes } from './inet.ts';

/** Type, reserved, receiver index and counter in front of each packet; the Poly1305 tag behind it. */
export const headBytes = 16;
export const tagBytes = 16;
const dataMessage = 4;
/** Room before the first message for ciphers that borrow the bytes in front of a payload. */
const marginBytes = 64;

export interface BatchSize {
  /** Room for messages; at least one packet of 64 KiB. */
  readonly bytes?: number;
  readonly packets?: number;
}

export class SendBatch {
  readonly at: number;
  readonly bytes: number;
  /** Message i starts (with its header) at `packetAt[i]` and carries `packetBytes[i]` bytes of padded plaintext. */
  readonly packetAt: Int32Array;
  readonly packetBytes: Int32Array;
  count = 0;
  /** Group g: `groupBytes[g]` bytes at `groupAt[g]`, messages of `groupSegment[g]` bytes of which the last may be shorter. */
  readonly groupAt: Int32Array;
  readonly groupBytes: Int32Array;
  readonly groupSegment: Int32Array;
  readonly groupCount: Int32Array;
  /** Inner ECN bits of the group, all equal. */
  readonly groupEcn: Int32Array;
  groups = 0;
  /** Messages in one send: what the kernel was found to accept, or 1 to turn segmentation off. */
  maxSegments = 64;
  /** Bytes in one send: 65535 less the IPv4 and UDP headers, which IPv6 also keeps to. */
  maxGroupBytes = 65507;
  #arena: Arena;
  #end: number;
  #open = false;

  constructor(arena: Arena, size: BatchSize = {}) {
    const packets = size.packets ?? 128;
    this.bytes = size.bytes ?? 3 << 16;
    if (this.bytes < 65536 + headBytes + tagBytes + 16)
      throw new Error('a batch must hold a packet of 64 KiB');
    this.#arena = arena;
    this.at = arena.alloc(marginBytes + this.bytes) + marginBytes;
    this.#end = this.at;
    this.packetAt = arena.int32(packets);
    this.packetBytes = arena.int32(packets);
    this.groupAt = arena.int32(packets);
    this.groupBytes = arena.int32(packets);
    this.groupSegment = arena.int32(packets);
    this.groupCount = arena.int32(packets);
    this.groupEcn = arena.int32(packets);
  }

  /** Forgets all messages. */
  reset(): void {
    this.count = this.groups = 0;
    this.#end = this.at;
    this.#open = false;
  }

  /** Where a TUN read may put a virtio_net_hdr so that the packet behind it lies where its message will be sealed. */
  get readAt(): number {
    return this.#end + headBytes - vnetBytes;
  }

  /** True when a packet of `bytes` bytes (padded) still finds room. */
  fits(bytes: number): boolean {
    return (
      this.count < this.packetAt.length && this.#end + headBytes + bytes + tagBytes <= this.at + this.bytes
    );
  }

  /** True when `at` lies in the batch's memory. */
  holds(at: number): boolean {
    return at >= this.at && at < this.at + this.bytes;
  }

  /** Appends a message of `bytes` bytes of padded plaintext: returns where the plaintext goes, or -1 when the batch is full. */
  append(bytes: number, ecn: number): number {
    if (!this.fits(bytes)) return -1;
    const at = this.#end;
    const wire = headBytes + bytes + tagBytes;
    const group = this.groups - 1;
    if (
      this.#open &&
      wire <= this.groupSegment[group]! &&
      ecn === this.groupEcn[group]! &&
      this.groupCount[group]! < this.maxSegments &&
      this.groupBytes[group]! + wire <= this.maxGroupBytes
    ) {
      this.groupBytes[group] = this.groupBytes[group]! + wire;
      this.groupCount[group] = this.groupCount[group]! + 1;
      this.#open = wire === this.groupSegment[group]!; // a shorter message ends its group
    } else {
      this.groupAt[this.groups] = at;
      this.groupBytes[this.groups] = wire;
      this.groupSegment[this.groups] = wire;
      this.groupCount[this.groups] = 1;
      this.groupEcn[this.groups] = ecn;
      this.groups++;
      this.#open = true;
    }
    this.packetAt[this.count] = at;
    this.packetBytes[this.count] = bytes;
    this.count++;
    this.#end = at + wire;
    return at + headBytes;
  }

  /** Writes the header of every message; the first gets `counter`, the next one more. */
  stamp(receiver: number, counter: number): void {
    const { view } = this.#arena;
    for (let i = 0; i < this.count; i++) {
      const at = this.packetAt[i]!;
      const low = (counter + i) >>> 0;
      view.setUint32(at, dataMessage, true);
      view.setInt32(at + 4, receiver, true);
      view.setUint32(at + 8, low, true);
      view.setUint32(at + 12, (counter + i - low) / 0x1_0000_0000, true);
    }
  }
}
