// Packets that wait for a session (D3, D4): a ring of 128 per peer, oldest dropped first, in blocks that all
// peers share and that are bounded in total. A peer that never stages owns no memory; a block is reused, not collected.

import { maxStagedPackets } from '../constants.ts';

const blockBytes = 2048;
const none = new Uint8Array(0);

/** The blocks of all peers. Packets larger than a block (jumbo MTU) get memory of their own under the same bound. */
export class StagedBlocks {
  readonly #maxBytes: number;
  readonly #free: Uint8Array[] = [];
  /** Bytes held by staged packets. */
  used = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  take(bytes: number): Uint8Array | null {
    if (bytes === 0) return none;
    const size = Math.max(bytes, blockBytes);
    if (this.used + size > this.#maxBytes) return null;
    this.used += size;
    return size > blockBytes ? new Uint8Array(size) : (this.#free.pop() ?? new Uint8Array(blockBytes));
  }

  give(block: Uint8Array): void {
    this.used -= block.length;
    if (block.length === blockBytes) this.#free.push(block);
  }
}

export class StagedQueue {
  readonly #blocks: StagedBlocks;
  #ring: Uint8Array[] | null = null;
  #lengths: Int32Array | null = null;
  #head = 0;
  size = 0;

  constructor(blocks: StagedBlocks) {
    this.#blocks = blocks;
  }

  /** Copies a packet in; returns how many were dropped for it, itself included when nothing else could go. */
  push(memory: Uint8Array, at: number, bytes: number): number {
    let dropped = 0;
    if (this.size === maxStagedPackets) dropped += this.#dropOldest();
    let block = this.#blocks.take(bytes);
    while (block === null && this.size > 0) {
      dropped += this.#dropOldest();
      block = this.#blocks.take(bytes);
    }
    if (block === null) return dropped + 1;
    this.#ring ??= new Array<Uint8Array>(maxStagedPackets).fill(none);
    this.#lengths ??= new Int32Array(maxStagedPackets);
    copy(block, 0, memory, at, bytes);
    const tail = (this.#head + this.size++) % maxStagedPackets;
    this.#ring[tail] = block;
    this.#lengths[tail] = bytes;
    return dropped;
  }

  /** Length of the oldest packet. */
  get nextBytes(): number {
    return this.#lengths![this.#head]!;
  }

  /** Takes the oldest packet out into `memory` at `at`. */
  shift(memory: Uint8Array, at: number): void {
    copy(memory, at, this.#ring![this.#head]!, 0, this.nextBytes);
    this.#dropOldest();
  }

  clear(): number {
    const dropped = this.size;
    while (this.size > 0) this.#dropOldest();
    this.#ring = this.#lengths = null;
    this.#head = 0;
    return dropped;
  }

  #dropOldest(): number {
    this.#blocks.give(this.#ring![this.#head]!);
    this.#ring![this.#head] = none;
    this.#head = (this.#head + 1) % maxStagedPackets;
    this.size--;
    return 1;
  }
}

// Without subarray: no garbage on the way of a flood.
function copy(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, bytes: number): void {
  for (let i = 0; i < bytes; i++) to[toAt + i] = from[fromAt + i]!;
}
