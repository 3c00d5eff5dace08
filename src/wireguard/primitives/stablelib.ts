// The provider that works everywhere: StableLib, in JavaScript alone, for runtimes that have neither OpenSSL nor WebAssembly
// (`node --jitless`, hosts that forbid memory to be writable and executable). Last in the order of choice: see
// docs/decisions/0034-stablelib-is-the-last-provider.md for what it costs. The tests hold the others against it.

import { BLAKE2s } from '@stablelib/blake2s';
import { ChaCha20Poly1305 } from '@stablelib/chacha20poly1305';
import { scalarMult, scalarMultBase } from '@stablelib/x25519';
import type { Arena } from '../../util/arena.ts';
import { isZero, wipe } from '../../util/bytes.ts';
import type { Fallback } from './fallback.ts';
import type { Aead, CryptoProvider } from './provider.ts';

const hashBytes = 32;
const macBytes = 16;
const blockBytes = 64;
const zeroNonce = new Uint8Array(12);

/** `arena` is where its transport ciphers work. */
export function stablelibProvider(arena: Arena): CryptoProvider {
  return {
    name: 'stablelib',
    sharedSecret(out, privateKey, publicKey) {
      const shared = scalarMult(privateKey, publicKey);
      out.set(shared);
      wipe(shared);
      return !isZero(out.subarray(0, 32));
    },
    publicKey: (out, privateKey) => out.set(scalarMultBase(privateKey)),
    aead: key => new StablelibAead(arena, key),
    seal: (out, key, plain, additional) => seal(out, key, zeroNonce, plain, additional),
    open(out, key, sealed, additional) {
      if (open(out, key, zeroNonce, sealed, additional)) return true;
      out.fill(0);
      return false;
    },
  };
}

/** Hashes and cookies without WebAssembly. */
export const stablelibFallback: Fallback = {
  hash: (out, a, b) => digest(out, new BLAKE2s(hashBytes), a, b),
  mac(out, key, input) {
    digest(out, new BLAKE2s(macBytes, key.length > 0 ? { key } : undefined), input, null);
  },
  hmac(out, key, a, b) {
    const pad = new Uint8Array(blockBytes);
    pad.set(key);
    for (let i = 0; i < blockBytes; i++) pad[i]! ^= 0x36;
    const inner = new Uint8Array(hashBytes);
    digest(inner, new BLAKE2s(hashBytes).update(pad), a, b);
    for (let i = 0; i < blockBytes; i++) pad[i]! ^= 0x36 ^ 0x5c;
    digest(out, new BLAKE2s(hashBytes).update(pad), inner, null);
    wipe(pad, inner);
  },
  seal,
  open,
};

function digest(out: Uint8Array, state: BLAKE2s, a: Uint8Array, b: Uint8Array | null): void {
  state.update(a);
  if (b !== null) state.update(b);
  out.set(state.digest());
  state.clean();
}

function seal(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  additional: Uint8Array,
): void {
  const cipher = new ChaCha20Poly1305(key);
  out.set(cipher.seal(nonce, plain, additional));
  cipher.clean();
}

function open(
  out: Uint8Array,
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  additional: Uint8Array,
): boolean {
  const cipher = new ChaCha20Poly1305(key);
  const plain = cipher.open(nonce, sealed, additional);
  cipher.clean();
  if (plain === null) return false;
  out.set(plain);
  wipe(plain);
  return true;
}

class StablelibAead implements Aead {
  readonly #arena: Arena;
  readonly #cipher: ChaCha20Poly1305;
  readonly #nonce = new Uint8Array(12);
  readonly #nonceView = new DataView(this.#nonce.buffer);

  constructor(arena: Arena, key: Uint8Array) {
    this.#arena = arena;
    this.#cipher = new ChaCha20Poly1305(key);
  }

  seal(at: number, bytes: number, counter: number): void {
    this.#nonceView.setUint32(4, counter, true);
    this.#nonceView.setUint32(8, counter / 0x1_0000_0000, true);
    const memory = this.#arena.u8;
    memory.set(this.#cipher.seal(this.#nonce, memory.subarray(at, at + bytes)), at);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    this.#nonceView.setUint32(4, counterLow, true);
    this.#nonceView.setUint32(8, counterHigh, true);
    const memory = this.#arena.u8;
    const plain = this.#cipher.open(this.#nonce, memory.subarray(at, at + bytes));
    if (plain === null) return false;
    memory.set(plain, at);
    return true;
  }

  destroy(): void {
    this.#cipher.clean();
  }
}
