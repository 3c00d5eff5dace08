// A transport cipher that remembers its key, so that a batch can be sealed or opened by another thread (`pipelinedloop.ts`). Only
// a data plane with two threads uses it. Destroying the key first waits for batches that are out under it.

import { wipe } from '../../../util/bytes.ts';
import type { Aead, CryptoProvider } from '../../../wireguard/primitives/provider.ts';

export class LentAead implements Aead {
  readonly key: Uint8Array;
  readonly #inner: Aead;
  readonly #settle: () => void;

  constructor(inner: Aead, key: Uint8Array, settle: () => void) {
    this.#inner = inner;
    this.key = new Uint8Array(new ArrayBuffer(key.length)); // beside the heap, where no collector makes copies of it
    this.key.set(key);
    this.#settle = settle;
  }

  seal(at: number, bytes: number, counter: number): void {
    this.#inner.seal(at, bytes, counter);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    return this.#inner.open(at, bytes, counterLow, counterHigh);
  }

  destroy(): void {
    this.#settle();
    this.#inner.destroy();
    wipe(this.key);
  }
}

/** The same provider with ciphers that remember their key; `settle` must not return while a batch is out under one. */
export function lending(crypto: CryptoProvider, settle: () => void): CryptoProvider {
  return {
    name: crypto.name,
    sharedSecret: (out, privateKey, publicKey) => crypto.sharedSecret(out, privateKey, publicKey),
    publicKey: (out, privateKey) => crypto.publicKey(out, privateKey),
    aead: key => new LentAead(crypto.aead(key), key, settle),
    seal: (out, key, plain, additional) => crypto.seal(out, key, plain, additional),
    open: (out, key, sealed, additional) => crypto.open(out, key, sealed, additional),
  };
}
