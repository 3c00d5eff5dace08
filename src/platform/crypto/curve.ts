// X25519 by OpenSSL: its own function where the library exports it (official Node binaries do), otherwise EVP_PKEY. About
// 40 µs, against 1 ms in plain TypeScript, so that a responder can answer thousands of handshakes a second.

import type { Library, NativeFunction } from '../ffi/ffi.ts';
import type { Libc } from '../libc.ts';

const EVP_PKEY_X25519 = 1034;
const keyBytes = 32;

export interface Curve {
  /** False when the shared secret is all zero (low-order point) or anything else failed. */
  sharedSecret(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean;
  publicKey(out: Uint8Array, privateKey: Uint8Array): void;
}

export function findCurve(libc: Libc, library: Library): Curve | null {
  return direct(libc, library) ?? viaPkey(libc, library);
}

/** Three keys side by side in the arena, wiped after each operation. */
class Workspace {
  readonly a: number;
  readonly b: number;
  readonly out: number;
  readonly length: number;
  readonly #u8: Uint8Array;
  readonly #view: DataView;

  constructor(libc: Libc) {
    this.a = libc.arena.alloc(3 * keyBytes + 8);
    this.b = this.a + keyBytes;
    this.out = this.b + keyBytes;
    this.length = this.out + keyBytes;
    this.#u8 = libc.arena.u8;
    this.#view = libc.arena.view;
  }

  load(a: Uint8Array, b: Uint8Array | null): void {
    if (a.length !== keyBytes || (b !== null && b.length !== keyBytes))
      throw new Error('an X25519 key has 32 bytes');
    this.#u8.set(a, this.a);
    if (b !== null) this.#u8.set(b, this.b);
    this.#u8.fill(0, this.out, this.out + keyBytes);
    this.#view.setUint32(this.length, keyBytes, true);
    this.#view.setUint32(this.length + 4, 0, true);
  }

  /** Copies the result, wipes, and says whether the result was not all zero. */
  finish(out: Uint8Array): boolean {
    let any = 0;
    for (let i = 0; i < keyBytes; i++) any |= out[i] = this.#u8[this.out + i]!;
    this.#u8.fill(0, this.a, this.length);
    return any !== 0;
  }
}

function direct(libc: Libc, library: Library): Curve | null {
  const multiply = library.symbol('ossl_x25519', 3) ?? library.symbol('X25519', 3);
  const base =
    library.symbol('ossl_x25519_public_from_private', 2) ?? library.symbol('X25519_public_from_private', 2);
  if (multiply === null || base === null) return null;
  const work = new Workspace(libc);
  const at = (offset: number): number => libc.base + offset;
  return {
    sharedSecret(out, privateKey, publicKey) {
      work.load(privateKey, publicKey);
      const ok = multiply(at(work.out), at(work.a), at(work.b)) !== 0;
      return work.finish(out) && ok;
    },
    publicKey(out, privateKey) {
      work.load(privateKey, null);
      base(at(work.out), at(work.a));
      work.finish(out);
    },
  };
}

function viaPkey(libc: Libc, library: Library): Curve | null {
  const names = {
    privateFrom: library.symbol('EVP_PKEY_new_raw_private_key', 4, 'pointer'),
    publicFrom: library.symbol('EVP_PKEY_new_raw_public_key', 4, 'pointer'),
    rawPublic: library.symbol('EVP_PKEY_get_raw_public_key', 3),
    free: library.symbol('EVP_PKEY_free', 1),
    context: library.symbol('EVP_PKEY_CTX_new', 2, 'pointer'),
    freeContext: library.symbol('EVP_PKEY_CTX_free', 1),
    init: library.symbol('EVP_PKEY_derive_init', 1),
    setPeer: library.symbol('EVP_PKEY_derive_set_peer', 2),
    derive: library.symbol('EVP_PKEY_derive', 3),
    clearErrors: library.symbol('ERR_clear_error', 0),
  };
  if (Object.values(names).includes(null)) return null;
  const evp = names as { [K in keyof typeof names]: NativeFunction };
  const work = new Workspace(libc);
  const at = (offset: number): number => libc.base + offset;
  return {
    sharedSecret(out, privateKey, publicKey) {
      work.load(privateKey, publicKey);
      const ours = evp.privateFrom(EVP_PKEY_X25519, 0, at(work.a), keyBytes);
      const theirs = evp.publicFrom(EVP_PKEY_X25519, 0, at(work.b), keyBytes);
      const context = ours === 0 ? 0 : evp.context(ours, 0);
      const ok =
        context !== 0 &&
        theirs !== 0 &&
        evp.init(context) === 1 &&
        evp.setPeer(context, theirs) === 1 &&
        evp.derive(context, at(work.out), at(work.length)) === 1;
      // All three frees take null. A refused point leaves an error that would confuse node:crypto later.
      evp.freeContext(context);
      evp.free(theirs);
      evp.free(ours);
      if (!ok) evp.clearErrors();
      return work.finish(out) && ok;
    },
    publicKey(out, privateKey) {
      work.load(privateKey, null);
      const ours = evp.privateFrom(EVP_PKEY_X25519, 0, at(work.a), keyBytes);
      const ok = ours !== 0 && evp.rawPublic(ours, at(work.out), at(work.length)) === 1;
      evp.free(ours);
      work.finish(out);
      if (!ok) throw new Error('OpenSSL cannot derive an X25519 public key');
    },
  };
}
