// ChaCha20-Poly1305 in WebAssembly for arena memory, with SIMD when the engine has it: the provider for runtimes that cannot call
// OpenSSL. In place on packets; in a scratch area of its own, wiped after each use, for handshake fields. Key agreement is an
// argument. Figures: docs/decisions/0008-portable-crypto.md.

import type { Arena } from '../../../util/arena.ts';
import type { Memory } from '../../../util/memory.ts';
import { tagBytes } from '../crypto.ts';
import type { Aead, CryptoProvider } from '../provider.ts';
import { buildModule, hasSimd, scratchBytes } from './module.ts';

/** Room for a handshake field with its additional data, 32 + 32 + 16 bytes, and plenty for tests. */
const boxBytes = 1024;

interface Exports {
  readonly seal: (at: number, bytes: number, additional: number) => void;
  readonly open: (at: number, bytes: number, additional: number) => number;
}

const inputAt = 16; // behind ChaCha20's constants: the key, the block counter, the nonce

/** The cipher on one arena, for one thread. */
export class ChachaPoly {
  readonly #arena: Arena;
  readonly #exports: Exports;
  readonly #scratch: number;

  /** `memory` must be the memory the arena lies on. */
  constructor(arena: Arena, memory: Memory, simd: boolean) {
    if (memory.buffer !== arena.buffer) throw new Error('the arena does not lie on this WebAssembly memory');
    this.#arena = arena;
    this.#scratch = arena.alloc(scratchBytes + boxBytes, 64);
    const shared = typeof SharedArrayBuffer === 'function' && memory.buffer instanceof SharedArrayBuffer;
    const module = new WebAssembly.Module(buildModule(this.#scratch, simd, shared));
    this.#exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
    const constants = Uint8Array.from('expand 32-byte k', c => c.charCodeAt(0));
    arena.u8.set(constants, this.#scratch);
    this.#forget();
  }

  aead(key: Uint8Array): Aead {
    return new WasmAead(this.#arena, this.#exports, this.#scratch, key);
  }

  /** `out` is `plain.length + 16` long, the nonce 12 bytes. Any of the arrays may be the same, or lie in the arena. */
  seal(out: Uint8Array, key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, additional: Uint8Array): void {
    const at = this.#load(key, nonce, plain, additional);
    this.#exports.seal(at, plain.length, additional.length);
    out.set(this.#arena.u8.subarray(at, at + plain.length + tagBytes));
    this.#forget();
  }

  /** The reverse; false leaves `out` untouched. */
  open(
    out: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    additional: Uint8Array,
  ): boolean {
    const bytes = sealed.length - tagBytes;
    if (bytes < 0) return false;
    const at = this.#load(key, nonce, sealed, additional);
    const ok = this.#exports.open(at, bytes, additional.length) === 1;
    if (ok) out.set(this.#arena.u8.subarray(at, at + bytes));
    this.#forget();
    return ok;
  }

  /** Where the text is: in the box, behind the additional data. */
  #load(key: Uint8Array, nonce: Uint8Array, text: Uint8Array, additional: Uint8Array): number {
    const { u8, view } = this.#arena;
    const box = this.#scratch + scratchBytes;
    const at = box + ((additional.length + 15) & ~15);
    if (at + text.length + tagBytes > box + boxBytes) throw new Error('too long for a handshake field');
    const input = this.#scratch + inputAt;
    u8.set(key, input);
    view.setUint32(input + 32, 0, true);
    u8.set(nonce, input + 36);
    u8.set(additional, box); // the rest of its last block was wiped
    u8.set(text, at);
    return at;
  }

  #forget(): void {
    this.#arena.u8.fill(0, this.#scratch + inputAt, this.#scratch + scratchBytes + boxBytes);
  }
}

const zeroNonce = new Uint8Array(12);

/** The portable provider. Falls back to plain instructions when `simd` is false. */
export function wasmProvider(
  arena: Arena,
  memory: Memory,
  curve: Pick<CryptoProvider, 'sharedSecret' | 'publicKey'>,
  simd: boolean = hasSimd(),
): CryptoProvider {
  const cipher = new ChachaPoly(arena, memory, simd);
  return {
    name: simd ? 'wasm-simd' : 'wasm',
    sharedSecret: curve.sharedSecret,
    publicKey: curve.publicKey,
    aead: key => cipher.aead(key),
    seal: (out, key, plain, additional) => cipher.seal(out, key, zeroNonce, plain, additional),
    open(out, key, sealed, additional) {
      if (cipher.open(out, key, zeroNonce, sealed, additional)) return true;
      out.fill(0);
      return false;
    },
  };
}

class WasmAead implements Aead {
  readonly #memory: Uint32Array;
  readonly #exports: Exports;
  readonly #input: number; // in words
  readonly #key: Uint32Array = new Uint32Array(8);

  constructor(arena: Arena, exports: Exports, input: number, key: Uint8Array) {
    this.#memory = arena.u32;
    this.#exports = exports;
    this.#input = input / 4;
    new Uint8Array(this.#key.buffer).set(key);
  }

  seal(at: number, bytes: number, counter: number): void {
    this.#prepare(counter, counter / 0x1_0000_0000);
    this.#exports.seal(at, bytes, 0);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    if (bytes < tagBytes) return false;
    this.#prepare(counterLow, counterHigh);
    return this.#exports.open(at, bytes - tagBytes, 0) === 1;
  }

  destroy(): void {
    this.#key.fill(0);
    this.#memory.fill(0, this.#input + 4, this.#input + scratchBytes / 4);
  }

  /** Key, block counter 0 and nonce as the input words of ChaCha20. */
  #prepare(counterLow: number, counterHigh: number): void {
    const memory = this.#memory;
    const key = this.#key;
    const at = this.#input + 4;
    for (let i = 0; i < 8; i++) memory[at + i] = key[i]!;
    memory[at + 8] = 0;
    memory[at + 9] = 0;
    memory[at + 10] = counterLow;
    memory[at + 11] = counterHigh;
  }
}
