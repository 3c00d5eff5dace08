// TCP headers as they lie in the arena: reading one into a reused record, and the options that both sides understand (RFC 9293
// §3.1, RFC 7323, RFC 2018).

import { tcp } from '../../datapath/inet.ts';

export const flag = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16 } as const;
export const portOffset = { source: 0, to: 2 } as const;
export const smallestMss = { 4: 536, 6: 1220 } as const;
const largestShift = 14;
const maxBlocks = 4;

/** One segment. The record is reused: what is kept must be copied. */
export class Segment {
  sourcePort = 0;
  toPort = 0;
  sequence = 0;
  acknowledged = 0;
  flags = 0;
  window = 0;
  payloadAt = 0;
  payloadBytes = 0;
  /** 0 when the option is absent; -1 for the shift. */
  mss = 0;
  shift = -1;
  mayAcknowledgeSelectively = false;
  hasTimes = false;
  time = 0;
  echo = 0;
  blocks = 0;
  readonly blockStart: Int32Array = new Int32Array(maxBlocks);
  readonly blockEnd: Int32Array = new Int32Array(maxBlocks);

  /** Reads the `bytes` bytes at `at`, whose checksum was verified. False when the header lies about its length. */
  read(view: DataView, at: number, bytes: number): boolean {
    if (bytes < 20) return false;
    const headerBytes = (view.getUint8(at + tcp.offset) >> 4) * 4;
    if (headerBytes < 20 || headerBytes > bytes) return false;
    this.sourcePort = view.getUint16(at + portOffset.source);
    this.toPort = view.getUint16(at + portOffset.to);
    this.sequence = view.getInt32(at + tcp.sequence);
    this.acknowledged = view.getInt32(at + tcp.acknowledge);
    this.flags = view.getUint8(at + tcp.flags);
    this.window = view.getUint16(at + tcp.window);
    this.payloadAt = at + headerBytes;
    this.payloadBytes = bytes - headerBytes;
    this.mss = this.time = this.echo = this.blocks = 0;
    this.shift = -1;
    this.mayAcknowledgeSelectively = this.hasTimes = false;
    this.#options(view, at + tcp.options, this.payloadAt);
    return true;
  }

  #options(view: DataView, from: number, end: number): void {
    let at = from;
    while (at < end) {
      const kind = view.getUint8(at);
      if (kind === 0) return;
      if (kind === 1) {
        at++;
        continue;
      }
      const bytes = at + 1 < end ? view.getUint8(at + 1) : 0;
      if (bytes < 2 || at + bytes > end) return;
      if (kind === 2 && bytes === 4) this.mss = view.getUint16(at + 2);
      else if (kind === 3 && bytes === 3) this.shift = Math.min(largestShift, view.getUint8(at + 2));
      else if (kind === 4 && bytes === 2) this.mayAcknowledgeSelectively = true;
      else if (kind === 8 && bytes === 10) {
        this.hasTimes = true;
        this.time = view.getInt32(at + 2);
        this.echo = view.getInt32(at + 6);
      } else if (kind === 5) this.#blocks(view, at + 2, at + bytes);
      at += bytes;
    }
  }

  #blocks(view: DataView, from: number, end: number): void {
    for (let at = from; at + 8 <= end && this.blocks < maxBlocks; at += 8) {
      this.blockStart[this.blocks] = view.getInt32(at);
      this.blockEnd[this.blocks] = view.getInt32(at + 4);
      this.blocks++;
    }
  }
}
