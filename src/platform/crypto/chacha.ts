// The `raw` AEAD back end: ChaCha20-Poly1305 (RFC 8439, empty additional data) from OpenSSL's own ChaCha20 and Poly1305 functions.
// Sealing is one in-place ChaCha20 from block 0 over the 64 bytes before the packet and the packet: they are saved and zeroed, become
// the Poly1305 key, and are put back. No other code may read them meanwhile; each thread has its own buffers.

import type { Library, RawFunction, Word } from '../ffi/ffi.ts';
import type { Key, KeyPool } from './keymemory.ts';
import type { Libc } from '../libc.ts';

const blockBytes = 64;
const tagBytes = 16;
const high = 2 ** 32;

export type AeadLike = {
  seal(at: number, bytes: number, counter: number): void;
  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean;
  destroy(): void;
};

/** Null when the library does not export the functions. */
export function findChacha(libc: Libc, library: Library): Chacha | null {
  const chacha = library.symbol('ChaCha20_ctr32', 5);
  const size = library.symbol('Poly1305_ctx_size', 0);
  const init = library.symbol('Poly1305_Init', 2);
  const update = library.symbol('Poly1305_Update', 3);
  const final = library.symbol('Poly1305_Final', 2);
  if (chacha === null || size === null || init === null || update === null || final === null) return null;
  return new Chacha(libc, size(), chacha.raw, init.raw, update.raw, final.raw);
}

/** A handshake message laid out for one Poly1305 pass. */
export type Box = {
  readonly at: number;
  readonly bytes: number;
  readonly text: number;
  readonly textBytes: number;
};

/** Functions and working memory, shared by all keys of a thread. */
export class Chacha {
  readonly #libc: Libc;
  readonly #view: DataView;
  readonly #u8: Uint8Array;
  readonly #chacha: RawFunction;
  readonly #init: RawFunction;
  readonly #update: RawFunction;
  readonly #final: RawFunction;
  readonly #base: Word;
  readonly #zero: Word;
  readonly #keyLength: Word;
  readonly #context: Word;
  /** ctr[4]: block number, then the nonce: a zero word and the 64-bit counter. */
  readonly #counter: number;
  readonly #counterWord: Word;
  readonly #zeros: Word;
  readonly #polyKey: number;
  readonly #polyKeyWord: Word;
  /** Zero padding and the length block, when they do not fit behind the packet. */
  readonly #tail: number;
  readonly #tag: number;
  readonly #tagWord: Word;
  readonly #saved = new Uint32Array(blockBytes / 4);

  constructor(
    libc: Libc,
    contextBytes: number,
    chacha: RawFunction,
    init: RawFunction,
    update: RawFunction,
    final: RawFunction,
  ) {
    const { arena, ffi } = libc;
    const word = (at: number): Word => ffi.word(libc.base + at);
    this.#libc = libc;
    this.#view = arena.view;
    this.#u8 = arena.u8;
    this.#chacha = chacha;
    this.#init = init;
    this.#update = update;
    this.#final = final;
    this.#base = libc.baseWord;
    this.#zero = ffi.word(0);
    this.#keyLength = ffi.word(32);
    this.#context = word(arena.alloc(contextBytes));
    this.#counter = arena.alloc(16, 16);
    this.#counterWord = word(this.#counter);
    const zeros = arena.alloc(blockBytes);
    arena.u8.fill(0, zeros, zeros + blockBytes);
    this.#zeros = word(zeros);
    this.#polyKey = arena.alloc(blockBytes);
    this.#polyKeyWord = word(this.#polyKey);
    this.#tail = arena.alloc(2 * tagBytes, 16);
    arena.u8.fill(0, this.#tail, this.#tail + 2 * tagBytes);
    this.#tag = arena.alloc(tagBytes, 16);
    this.#tagWord = word(this.#tag);
    arena.u8.fill(0, this.#counter, this.#counter + 16);
  }

  seal(key: Word, at: number, bytes: number, low: number, hi: number): void {
    const { ffi } = this.#libc;
    const view = this.#view;
    this.#setCounter(0, low, hi);
    if (at >= blockBytes) {
      const saved = this.#saved;
      const front = at - blockBytes;
      for (let i = 0; i < 16; i++) {
        saved[i] = view.getUint32(front + 4 * i, true);
        view.setUint32(front + 4 * i, 0, true);
      }
      const start = ffi.add(this.#base, front);
      this.#chacha(start, start, ffi.add(this.#zero, bytes + blockBytes), key, this.#counterWord);
      this.#init(this.#context, start);
      for (let i = 0; i < 16; i++) view.setUint32(front + 4 * i, saved[i]!, true);
    } else {
      this.#chacha(this.#polyKeyWord, this.#zeros, this.#keyLength, key, this.#counterWord);
      this.#init(this.#context, this.#polyKeyWord);
      this.#setCounter(1, low, hi);
      const start = ffi.add(this.#base, at);
      this.#chacha(start, start, ffi.add(this.#zero, bytes), key, this.#counterWord);
    }
    this.#absorb(at, bytes);
    this.#final(this.#context, ffi.add(this.#base, at + bytes));
  }

  /** `bytes` of ciphertext with the tag behind them. */
  open(key: Word, at: number, bytes: number, low: number, hi: number): boolean {
    const { ffi } = this.#libc;
    const view = this.#view;
    this.#setCounter(0, low, hi);
    this.#chacha(this.#polyKeyWord, this.#zeros, this.#keyLength, key, this.#counterWord);
    this.#init(this.#context, this.#polyKeyWord);
    const end = at + bytes;
    const t0 = view.getUint32(end, true);
    const t1 = view.getUint32(end + 4, true);
    const t2 = view.getUint32(end + 8, true);
    const t3 = view.getUint32(end + 12, true);
    this.#absorb(at, bytes);
    this.#final(this.#context, this.#tagWord);
    const difference =
      (t0 ^ view.getUint32(this.#tag, true)) |
      (t1 ^ view.getUint32(this.#tag + 4, true)) |
      (t2 ^ view.getUint32(this.#tag + 8, true)) |
      (t3 ^ view.getUint32(this.#tag + 12, true));
    if (difference !== 0) return false;
    this.#setCounter(1, low, hi);
    const start = ffi.add(this.#base, at);
    this.#chacha(start, start, ffi.add(this.#zero, bytes), key, this.#counterWord);
    return true;
  }

  /**
   * The general form, with additional data and zero nonce, for the few bytes of a handshake: `box` holds additional data,
   * padding, text, padding, lengths. Makes the tag in `tag` and turns the text over, in the order `encrypt` asks for.
   */
  handshake(key: Word, box: Box, encrypt: boolean): void {
    const { ffi, base } = this.#libc;
    const text = ffi.word(base + box.text);
    const textBytes = ffi.word(box.textBytes);
    this.#setCounter(1, 0, 0);
    if (encrypt) this.#chacha(text, text, textBytes, key, this.#counterWord);
    this.#view.setUint32(this.#counter, 0, true);
    this.#chacha(this.#polyKeyWord, this.#zeros, this.#keyLength, key, this.#counterWord);
    this.#init(this.#context, this.#polyKeyWord);
    this.#update(this.#context, ffi.word(base + box.at), ffi.word(box.bytes));
    this.#final(this.#context, this.#tagWord);
    this.#view.setUint32(this.#counter, 1, true);
    if (!encrypt) this.#chacha(text, text, textBytes, key, this.#counterWord);
  }

  /** The tag of the last `handshake`. */
  get tag(): Uint8Array {
    return this.#u8.subarray(this.#tag, this.#tag + tagBytes);
  }

  /** Overwrites what the last operations left in working memory. */
  wipe(): void {
    this.#u8.fill(0, this.#polyKey, this.#polyKey + blockBytes);
    this.#init(this.#context, this.#zeros);
  }

  #setCounter(block: number, low: number, hi: number): void {
    this.#view.setUint32(this.#counter, block, true);
    this.#view.setUint32(this.#counter + 8, low, true);
    this.#view.setUint32(this.#counter + 12, hi, true);
  }

  /** Ciphertext, padding, and the lengths (0 additional, `bytes`). The tag's place behind the packet serves as scratch. */
  #absorb(at: number, bytes: number): void {
    const { ffi } = this.#libc;
    const view = this.#view;
    const over = bytes & 15;
    if (over === 0) {
      const end = at + bytes;
      view.setUint32(end, 0, true);
      view.setUint32(end + 4, 0, true);
      view.setUint32(end + 8, bytes, true);
      view.setUint32(end + 12, 0, true);
      this.#update(this.#context, ffi.add(this.#base, at), ffi.add(this.#zero, bytes + tagBytes));
      return;
    }
    view.setUint32(this.#tail + tagBytes + 8, bytes, true);
    this.#update(this.#context, ffi.add(this.#base, at), ffi.add(this.#zero, bytes));
    this.#update(this.#context, ffi.add(this.#base, this.#tail + over), ffi.add(this.#zero, 32 - over));
  }
}

export class ChachaAead implements AeadLike {
  readonly #chacha: Chacha;
  readonly #pool: KeyPool;
  #key: Key | null;
  #word: Word;

  constructor(chacha: Chacha, pool: KeyPool, secret: Uint8Array) {
    this.#chacha = chacha;
    this.#pool = pool;
    this.#key = pool.take(secret);
    this.#word = this.#key.word;
  }

  seal(at: number, bytes: number, counter: number): void {
    if (this.#key === null) throw new Error('sealing with a destroyed key');
    this.#chacha.seal(this.#word, at, bytes, counter >>> 0, (counter / high) >>> 0);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    if (this.#key === null || bytes < tagBytes) return false;
    return this.#chacha.open(this.#word, at, bytes - tagBytes, counterLow, counterHigh);
  }

  destroy(): void {
    if (this.#key === null) return;
    this.#pool.give(this.#key);
    this.#key = null;
    this.#chacha.wipe();
  }
}
