// Keys for native ciphers, outside the packet arena: chunks of pinned memory, 32 bytes a key, wiped when given back. A
// table of peers may thus grow without a limit set at start-up.

import type { Ffi, Word } from '../ffi/ffi.ts';

const keyBytes = 32;
const chunkKeys = 256;

export type Key = {
  /** Its address as a register. */
  readonly word: Word;
  readonly bytes: Uint8Array;
};

export class KeyPool {
  readonly #ffi: Ffi;
  #free: Key[] = [];

  constructor(ffi: Ffi) {
    this.#ffi = ffi;
  }

  /** A copy of `secret` at a fixed address. */
  take(secret: Uint8Array): Key {
    if (secret.length !== keyBytes) throw new Error(`a key has ${keyBytes} bytes, not ${secret.length}`);
    if (this.#free.length === 0) this.#grow();
    const key = this.#free.pop()!;
    key.bytes.set(secret);
    return key;
  }

  give(key: Key): void {
    key.bytes.fill(0);
    this.#free.push(key);
  }

  #grow(): void {
    const chunk = new ArrayBuffer(chunkKeys * keyBytes); // the views keep it alive and therefore in place
    const base = this.#ffi.address(chunk);
    for (let i = chunkKeys - 1; i >= 0; i--) {
      const at = i * keyBytes;
      this.#free.push({ word: this.#ffi.word(base + at), bytes: new Uint8Array(chunk, at, keyBytes) });
    }
  }
}
