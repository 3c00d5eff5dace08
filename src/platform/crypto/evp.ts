// The 'evp' AEAD back end: OpenSSL's public interface (1.1.1 and 3), for runtimes whose libcrypto hides the primitives.
// One context per key and direction; a packet costs four calls: nonce, update in place, final, tag.

import type { Library, NativeFunction, RawFunction, Word } from '../ffi/ffi.ts';
import type { AeadLike } from './chacha.ts';
import type { Libc } from '../libc.ts';

const EVP_CTRL_AEAD_GET_TAG = 16;
const EVP_CTRL_AEAD_SET_TAG = 17;
const tagBytes = 16;
const high = 2 ** 32;

type EvpSymbols = {
  readonly cipher: NativeFunction;
  readonly create: NativeFunction;
  readonly free: NativeFunction;
  readonly init: NativeFunction;
  readonly update: NativeFunction;
  readonly final: NativeFunction;
  readonly ctrl: NativeFunction;
};

/** Null when the library does not export EVP or has no ChaCha20-Poly1305. */
export function findEvp(libc: Libc, library: Library): Evp | null {
  const cipher = library.symbol('EVP_chacha20_poly1305', 0, 'pointer');
  const create = library.symbol('EVP_CIPHER_CTX_new', 0, 'pointer');
  const free = library.symbol('EVP_CIPHER_CTX_free', 1);
  const init = library.symbol('EVP_CipherInit_ex', 6);
  const update = library.symbol('EVP_CipherUpdate', 5);
  const final = library.symbol('EVP_CipherFinal_ex', 3);
  const ctrl = library.symbol('EVP_CIPHER_CTX_ctrl', 4);
  if (!cipher || !create || !free || !init || !update || !final || !ctrl) return null;
  if (cipher() === 0) return null;
  return new Evp(libc, { cipher, create, free, init, update, final, ctrl });
}

export type Region = { readonly at: number; readonly bytes: number };

export class Evp {
  readonly #libc: Libc;
  readonly #symbols: EvpSymbols;
  readonly #view: DataView;
  readonly #init: RawFunction;
  readonly #update: RawFunction;
  readonly #final: RawFunction;
  readonly #ctrl: RawFunction;
  readonly #base: Word;
  readonly #zero: Word;
  readonly #keep: Word;
  readonly #tagLength: Word;
  readonly #getTag: Word;
  readonly #setTag: Word;
  readonly #iv: number;
  readonly #ivWord: Word;
  readonly #lengthAt: number;
  readonly #length: Word;
  readonly #key: number;

  constructor(libc: Libc, symbols: EvpSymbols) {
    const { arena, ffi } = libc;
    this.#libc = libc;
    this.#symbols = symbols;
    this.#view = arena.view;
    this.#init = symbols.init.raw;
    this.#update = symbols.update.raw;
    this.#final = symbols.final.raw;
    this.#ctrl = symbols.ctrl.raw;
    this.#base = libc.baseWord;
    this.#zero = ffi.word(0);
    this.#keep = ffi.word(-1);
    this.#tagLength = ffi.word(tagBytes);
    this.#getTag = ffi.word(EVP_CTRL_AEAD_GET_TAG);
    this.#setTag = ffi.word(EVP_CTRL_AEAD_SET_TAG);
    this.#iv = arena.alloc(16, 16);
    this.#ivWord = ffi.word(libc.base + this.#iv);
    this.#lengthAt = arena.alloc(8, 8);
    this.#length = ffi.word(libc.base + this.#lengthAt);
    this.#key = arena.alloc(32);
    arena.u8.fill(0, this.#iv, this.#iv + 16);
  }

  /** A context address for one key and direction. */
  context(secret: Uint8Array, encrypt: boolean): number {
    const { arena, base } = this.#libc;
    if (secret.length !== 32) throw new Error(`a key has 32 bytes, not ${secret.length}`);
    const context = this.#symbols.create();
    if (context === 0) throw new Error('OpenSSL cannot allocate a cipher context');
    arena.u8.set(secret, this.#key);
    const ok = this.#symbols.init(context, this.#symbols.cipher(), 0, base + this.#key, 0, encrypt ? 1 : 0);
    arena.u8.fill(0, this.#key, this.#key + 32);
    if (ok === 1) return context;
    this.#symbols.free(context);
    throw new Error('OpenSSL refuses ChaCha20-Poly1305');
  }

  /** Also wipes the key inside. */
  release(context: number): void {
    this.#symbols.free(context);
  }

  seal(context: Word, at: number, bytes: number, low: number, hi: number): void {
    const { ffi } = this.#libc;
    this.#setCounter(low, hi);
    const start = ffi.add(this.#base, at);
    const end = ffi.add(this.#base, at + bytes);
    this.#init(context, this.#zero, this.#zero, this.#zero, this.#ivWord, this.#keep);
    this.#update(context, start, this.#length, start, ffi.add(this.#zero, bytes));
    this.#final(context, end, this.#length);
    const ok = ffi.int(this.#ctrl(context, this.#getTag, this.#tagLength, end));
    if (ok !== 1) throw new Error('OpenSSL failed to seal'); // a bug of ours: nothing else can fail here
  }

  open(context: Word, at: number, bytes: number, low: number, hi: number): boolean {
    const { ffi } = this.#libc;
    this.#setCounter(low, hi);
    const start = ffi.add(this.#base, at);
    const end = ffi.add(this.#base, at + bytes);
    this.#init(context, this.#zero, this.#zero, this.#zero, this.#ivWord, this.#keep);
    this.#ctrl(context, this.#setTag, this.#tagLength, end);
    this.#update(context, start, this.#length, start, ffi.add(this.#zero, bytes));
    if (ffi.int(this.#final(context, end, this.#length)) === 1) return true;
    // Update has already decrypted: leave nothing unauthenticated behind.
    this.#libc.arena.u8.fill(0, at, at + bytes);
    return false;
  }

  /** A handshake message with zero nonce: `additional` and `text` are arena regions, the tag follows the text. */
  handshake(secret: Uint8Array, encrypt: boolean, additional: Region, text: Region): boolean {
    const { init, update, final, ctrl } = this.#symbols;
    const { base } = this.#libc;
    const context = this.context(secret, encrypt);
    const start = base + text.at;
    const end = start + text.bytes;
    const length = base + this.#lengthAt;
    this.#setCounter(0, 0);
    init(context, 0, 0, 0, base + this.#iv, -1);
    if (!encrypt) ctrl(context, EVP_CTRL_AEAD_SET_TAG, tagBytes, end);
    if (additional.bytes > 0) update(context, 0, length, base + additional.at, additional.bytes);
    if (text.bytes > 0) update(context, start, length, start, text.bytes);
    let ok = final(context, end, length) === 1;
    if (ok && encrypt) ok = ctrl(context, EVP_CTRL_AEAD_GET_TAG, tagBytes, end) === 1;
    this.release(context);
    return ok;
  }

  #setCounter(low: number, hi: number): void {
    this.#view.setUint32(this.#iv + 4, low, true);
    this.#view.setUint32(this.#iv + 8, hi, true);
  }
}

export class EvpAead implements AeadLike {
  readonly #evp: Evp;
  readonly #secret: Uint8Array;
  // Made at first use: a transport key seals or opens, hardly ever both.
  #sealing = 0;
  #opening = 0;
  #sealWord: Word = 0;
  #openWord: Word = 0;
  #alive = true;
  readonly #word: (value: number) => Word;

  constructor(evp: Evp, secret: Uint8Array, word: (value: number) => Word) {
    this.#evp = evp;
    this.#secret = Uint8Array.from(secret);
    this.#word = word;
  }

  seal(at: number, bytes: number, counter: number): void {
    if (!this.#alive) throw new Error('sealing with a destroyed key');
    if (this.#sealing === 0) {
      this.#sealing = this.#evp.context(this.#secret, true);
      this.#sealWord = this.#word(this.#sealing);
    }
    this.#evp.seal(this.#sealWord, at, bytes, counter >>> 0, (counter / high) >>> 0);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    if (!this.#alive || bytes < tagBytes) return false;
    if (this.#opening === 0) {
      this.#opening = this.#evp.context(this.#secret, false);
      this.#openWord = this.#word(this.#opening);
    }
    return this.#evp.open(this.#openWord, at, bytes - tagBytes, counterLow, counterHigh);
  }

  destroy(): void {
    if (this.#sealing !== 0) this.#evp.release(this.#sealing);
    if (this.#opening !== 0) this.#evp.release(this.#opening);
    this.#sealing = this.#opening = 0;
    this.#alive = false;
    this.#secret.fill(0);
  }
}
