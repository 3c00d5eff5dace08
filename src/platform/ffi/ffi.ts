// The interface to native code: three back ends (node:ffi, koffi, Deno) behind a machine-word calling convention. Every argument and
// result is one register; structures are bytes in the arena. Knows no function by name. Each thread opens its own Ffi: errno and the
// bindings of all three back ends are per thread.

/** A prepared register: bigint for node:ffi and Deno, number for koffi. Make one with `word`, never by hand. */
export type Word = number | bigint;
/** Takes words, gives a word; the hot path calls this and reads the result with `ffi.int`. */
export type RawFunction = (...words: Word[]) => Word;

export interface NativeFunction {
  /** The convenient form: numbers in, a number out. Converts every word, so not for the packet path. */
  (...words: number[]): number;
  readonly raw: RawFunction;
}

/** `int`: low 32 bits, signed (every count and status we use fits). `pointer`: the whole register. */
export type ResultKind = 'int' | 'pointer';

export interface Library {
  /** Null when the library does not export `name`. */
  symbol(name: string, parameters: number, result?: ResultKind): NativeFunction | null;
}

/** Symbols of the process itself (libc, and OpenSSL when the runtime exports it), and of libraries by path. */
export interface Ffi extends Library {
  readonly name: FfiName;
  readonly pointerBytes: 4 | 8;
  /** Base address of a pinned buffer that never grows. */
  address(buffer: ArrayBufferLike): number;
  /** A register holding `value`; negative values are sign-extended. */
  word(value: number): Word;
  /** Pointer arithmetic on a prepared word: about 2 ns, against 40 for converting an address. `offset` is an int32. */
  add(base: Word, offset: number): Word;
  /** The result of `raw` as a signed 32-bit number. */
  int(word: Word): number;
  library(path: string): Library | null;
  /** errno of this thread: read it directly after the call that failed. */
  errno(): number;
}

export type FfiName = 'node:ffi' | 'koffi' | 'deno';
/** In the order of trying: what the runtime has inside comes before a native module. */
export const ffiNames: readonly FfiName[] = ['deno', 'node:ffi', 'koffi'];

export function pointerBytesOf(arch: string): 4 | 8 {
  return ['arm', 'ia32', 'mips', 'mipsel', 'ppc', 's390'].includes(arch) ? 4 : 8;
}
