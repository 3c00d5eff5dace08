// Crypto providers on OpenSSL by FFI: the process's own when it exports one, else a shared libcrypto. CryptoLike has the
// shape of wireguard's CryptoProvider; nothing here knows the protocol. `choose.ts` decides whether they may be used.

import { equalBytes } from '../../util/bytes.ts';
import type { Ffi, Library } from '../ffi/ffi.ts';
import type { Libc } from '../libc.ts';
import type { AeadLike, Chacha } from './chacha.ts';
import { ChachaAead, findChacha } from './chacha.ts';
import type { Curve } from './curve.ts';
import { findCurve } from './curve.ts';
import type { Evp } from './evp.ts';
import { EvpAead, findEvp } from './evp.ts';
import { KeyPool } from './keymemory.ts';

/** The shape of wireguard's CryptoProvider. */
export interface CryptoLike {
  readonly name: string;
  sharedSecret(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean;
  publicKey(out: Uint8Array, privateKey: Uint8Array): void;
  aead(key: Uint8Array): AeadLike;
  seal(out: Uint8Array, key: Uint8Array, plain: Uint8Array, additional: Uint8Array): void;
  open(out: Uint8Array, key: Uint8Array, sealed: Uint8Array, additional: Uint8Array): boolean;
}

/** Tried after the process itself. */
export const libraryNames: readonly string[] = ['libcrypto.so.3', 'libcrypto.so.1.1', 'libcrypto.so'];

const tagBytes = 16;
/** Room for a handshake field with additional data, padding and lengths; a handshake's longest is 32 + 32 bytes. */
const boxBytes = 2048;

/** Every OpenSSL provider this process can have, the likely best first. Untested: see `choose.ts`. */
export function opensslProviders(libc: Libc): CryptoLike[] {
  for (const library of libraries(libc.ffi)) {
    const curve = findCurve(libc, library);
    if (curve === null) continue;
    const found: CryptoLike[] = [];
    const chacha = findChacha(libc, library);
    if (chacha !== null) found.push(new RawProvider(libc, curve, chacha));
    const evp = findEvp(libc, library);
    if (evp !== null) found.push(new EvpProvider(libc, curve, evp));
    if (found.length > 0) return found;
  }
  return [];
}

function* libraries(ffi: Ffi): Generator<Library> {
  yield ffi;
  for (const name of libraryNames) {
    const library = ffi.library(name);
    if (library !== null) yield library;
  }
}

/** Key agreement, and a box in the arena for handshake fields: the same for both ways to the cipher. */
class Base {
  protected readonly libc: Libc;
  protected readonly box: number;
  readonly #curve: Curve;

  constructor(libc: Libc, curve: Curve) {
    this.libc = libc;
    this.box = libc.arena.alloc(boxBytes);
    this.#curve = curve;
  }

  sharedSecret(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean {
    return this.#curve.sharedSecret(out, privateKey, publicKey);
  }

  publicKey(out: Uint8Array, privateKey: Uint8Array): void {
    this.#curve.publicKey(out, privateKey);
  }

  protected forget(): void {
    this.libc.arena.u8.fill(0, this.box, this.box + boxBytes);
  }
}

class RawProvider extends Base implements CryptoLike {
  readonly name = 'openssl-raw';
  readonly #chacha: Chacha;
  readonly #pool: KeyPool;

  constructor(libc: Libc, curve: Curve, chacha: Chacha) {
    super(libc, curve);
    this.#chacha = chacha;
    this.#pool = new KeyPool(libc.ffi);
  }

  aead(key: Uint8Array): AeadLike {
    return new ChachaAead(this.#chacha, this.#pool, key);
  }

  seal(out: Uint8Array, key: Uint8Array, plain: Uint8Array, additional: Uint8Array): void {
    const text = this.#run(key, plain, additional, true);
    out.set(this.libc.arena.u8.subarray(text, text + plain.length));
    out.set(this.#chacha.tag, plain.length);
    this.forget();
  }

  open(out: Uint8Array, key: Uint8Array, sealed: Uint8Array, additional: Uint8Array): boolean {
    const bytes = sealed.length - tagBytes;
    if (bytes < 0) return false;
    const text = this.#run(key, sealed.subarray(0, bytes), additional, false);
    const ok = equalBytes(this.#chacha.tag, sealed.subarray(bytes));
    if (ok) out.set(this.libc.arena.u8.subarray(text, text + bytes));
    else out.fill(0);
    this.forget();
    return ok;
  }

  #run(secret: Uint8Array, input: Uint8Array, additional: Uint8Array, encrypt: boolean): number {
    const { u8, view } = this.libc.arena;
    const at = this.box;
    const text = at + padded(additional.length);
    const lengths = text + padded(input.length);
    if (lengths + tagBytes > at + boxBytes) throw new Error('too long for a handshake field');
    u8.fill(0, at, lengths + tagBytes);
    u8.set(additional, at);
    u8.set(input, text);
    view.setUint32(lengths, additional.length, true);
    view.setUint32(lengths + 8, input.length, true);
    const key = this.#pool.take(secret);
    const bytes = lengths + tagBytes - at;
    this.#chacha.handshake(key.word, { at, bytes, text, textBytes: input.length }, encrypt);
    this.#pool.give(key);
    return text;
  }

  protected override forget(): void {
    super.forget();
    this.#chacha.wipe();
  }
}

class EvpProvider extends Base implements CryptoLike {
  readonly name = 'openssl-evp';
  readonly #evp: Evp;

  constructor(libc: Libc, curve: Curve, evp: Evp) {
    super(libc, curve);
    this.#evp = evp;
  }

  aead(key: Uint8Array): AeadLike {
    return new EvpAead(this.#evp, key, value => this.libc.ffi.word(value));
  }

  seal(out: Uint8Array, key: Uint8Array, plain: Uint8Array, additional: Uint8Array): void {
    const text = this.#load(plain, additional);
    const region = { at: text, bytes: plain.length };
    if (!this.#evp.handshake(key, true, { at: this.box, bytes: additional.length }, region))
      throw new Error('OpenSSL failed to seal');
    out.set(this.libc.arena.u8.subarray(text, text + plain.length + tagBytes));
    this.forget();
  }

  open(out: Uint8Array, key: Uint8Array, sealed: Uint8Array, additional: Uint8Array): boolean {
    const bytes = sealed.length - tagBytes;
    if (bytes < 0) return false;
    const text = this.#load(sealed, additional);
    const ok = this.#evp.handshake(
      key,
      false,
      { at: this.box, bytes: additional.length },
      { at: text, bytes },
    );
    if (ok) out.set(this.libc.arena.u8.subarray(text, text + bytes));
    else out.fill(0);
    this.forget();
    return ok;
  }

  /** Additional data at the start of the box, the text behind it. */
  #load(input: Uint8Array, additional: Uint8Array): number {
    const { u8 } = this.libc.arena;
    const text = this.box + padded(additional.length);
    if (text + input.length + tagBytes > this.box + boxBytes)
      throw new Error('too long for a handshake field');
    u8.set(additional, this.box);
    u8.set(input, text);
    return text;
  }
}

function padded(bytes: number): number {
  return (bytes + 15) & ~15;
}
