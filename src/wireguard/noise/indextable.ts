// Session indices (whitepaper §5.4.1; H12, H13): random 32-bit numbers by which the other side names our half of a handshake or a
// key pair. Both share one name space, so an index never means two things. Keys are int32, as DataView.getInt32 reads them: small
// integers to the engine, where uint32 would be boxed.

import type { Keypair } from './keypair.ts';
import type { Handshake } from './handshakeslot.ts';

export class IndexTable<P> {
  readonly #random: (out: Uint8Array) => void;
  readonly #handshakes = new Map<number, Handshake<P>>();
  readonly #keypairs = new Map<number, Keypair<P>>();
  readonly #draw = new Int32Array(1);
  readonly #drawBytes = new Uint8Array(this.#draw.buffer);

  constructor(random: (out: Uint8Array) => void) {
    this.#random = random;
  }

  get size(): number {
    return this.#handshakes.size + this.#keypairs.size;
  }

  /** A fresh index for a handshake. */
  insert(handshake: Handshake<P>): number {
    let index: number;
    do {
      this.#random(this.#drawBytes);
      index = this.#draw[0]!;
    } while (this.#handshakes.has(index) || this.#keypairs.has(index));
    this.#handshakes.set(index, handshake);
    return index;
  }

  /** The session begins: the same index, now a keypair's. */
  replace(index: number, keypair: Keypair<P>): void {
    this.#handshakes.delete(index);
    this.#keypairs.set(index, keypair);
  }

  removeHandshake(handshake: Handshake<P>): void {
    if (this.#handshakes.get(handshake.localIndex) === handshake)
      this.#handshakes.delete(handshake.localIndex);
  }

  removeKeypair(keypair: Keypair<P>): void {
    this.#keypairs.delete(keypair.localIndex);
  }

  handshake(index: number): Handshake<P> | null {
    return this.#handshakes.get(index) ?? null;
  }

  keypair(index: number): Keypair<P> | null {
    return this.#keypairs.get(index) ?? null;
  }
}
