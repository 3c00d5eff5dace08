// The peers of a device by slot: a small number that names a peer in the deadline heap and is given again when it is free.

import { wipe } from '../util/bytes.ts';
import { Peer } from './peer/peer.ts';
import type { Shared } from './shared.ts';

export class PeerTable {
  readonly #shared: Shared;
  readonly #maxPeers: number;
  readonly #slots: (Peer | null)[] = [];
  readonly #freeSlots: number[] = [];

  constructor(shared: Shared, maxPeers: number) {
    this.#shared = shared;
    this.#maxPeers = maxPeers;
  }

  at(slot: number): Peer | null | undefined {
    return this.#slots[slot];
  }

  /** A new peer in a free slot, or null when the table is full. */
  create(publicKey: Uint8Array): Peer | null {
    const { peers, noise, blocks, tombstones } = this.#shared;
    if (peers.size >= this.#maxPeers) return null;
    const slot = this.#freeSlots.pop() ?? this.#slots.length;
    const peer = new Peer(slot, publicKey, blocks);
    noise.precompute(peer.handshake);
    const timestamp = tombstones.get(peer.publicKeyHex);
    if (timestamp) {
      peer.handshake.latestTimestamp.set(timestamp);
      tombstones.delete(peer.publicKeyHex);
    }
    this.#slots[slot] = peer;
    peers.set(peer.publicKeyHex, peer);
    return peer;
  }

  /** Takes a peer out of every table and wipes its secrets. */
  remove(peer: Peer): void {
    this.#shared.routes.removeByPeer(peer);
    peer.isAlive = false;
    this.#shared.wipeKeys(peer);
    wipe(peer.presharedKey, peer.handshake.staticStatic);
    peer.handshake.hasStaticStatic = false;
    peer.staged.clear();
    peer.cookie.destroy();
    peer.timers.stopAll();
    this.#shared.arm(peer);
    this.#shared.peers.delete(peer.publicKeyHex);
    this.#slots[peer.slot] = null;
    this.#freeSlots.push(peer.slot);
  }
}
