// node:ffi (Node >= 26.1). Fast only when every parameter and the result are typed 'pointer': 26 ns for three words,
// against about a microsecond when integer types are mixed in, hence bigint words everywhere. A function of one word
// takes 80 ns for reasons of its own; two words are fast, so one-word functions are declared with a spare register.

import { createRequire } from 'node:module';
import type { Ffi, Library, NativeFunction, RawFunction, ResultKind, Word } from './ffi.ts';
import { pointerBytesOf } from './ffi.ts';
import { atEnd } from '../../util/scope.ts';

type NodeLibrary = {
  getSymbol(name: string): bigint;
  getFunction(
    name: string,
    signature: { arguments: string[]; return: string },
  ): (...words: bigint[]) => bigint;
};
type NodeFfi = {
  dlopen(path: string | null, symbols: object): { lib: NodeLibrary };
  getRawPointer(buffer: ArrayBufferLike): bigint;
  toArrayBuffer(address: bigint, bytes: number, copy: boolean): ArrayBuffer;
};

export function openNodeFfi(): Ffi {
  const ffi = loadQuietly();
  const bits = 8 * pointerBytesOf(process.arch);
  const self = new NodeSymbols(ffi.dlopen(null, {}).lib, bits);
  const location = self.symbol('__errno_location', 0, 'pointer');
  if (location === null) throw new Error('libc has no __errno_location');
  // errno stays at one address for the life of the thread, so reading it later is a plain load.
  const errno = new Int32Array(ffi.toArrayBuffer(location.raw() as bigint, 4, false));
  // A result becomes a number by way of memory: `Number(bigint)` is a call into the runtime and leaves garbage behind.
  const whole = new BigInt64Array(1);
  const halves = new Int32Array(whole.buffer);
  return {
    name: 'node:ffi',
    pointerBytes: pointerBytesOf(process.arch),
    address: buffer => Number(ffi.getRawPointer(buffer)),
    word: value => wordOf(value, bits),
    add: (base, offset) => (base as bigint) + BigInt(offset | 0),
    int: word => {
      whole[0] = word as bigint;
      return halves[0]!;
    },
    symbol: (name, parameters, result) => self.symbol(name, parameters, result),
    library: path => openLibrary(ffi, path, bits),
    errno: () => errno[0]!,
  };
}

/** A bigint register; shared with Deno, which is fast with bigint words too. */
export function wordOf(value: number, bits: number): bigint {
  return value < 0 ? BigInt.asUintN(bits, BigInt(value)) : BigInt(value);
}

/** The number form of a function over bigint words. */
export function callable(
  raw: (...words: bigint[]) => bigint | number,
  bits: number,
  result: ResultKind,
): NativeFunction {
  const call = (...words: number[]): number => {
    const value = raw(...words.map(word => wordOf(word, bits)));
    return result === 'int' ? Number(BigInt.asIntN(32, BigInt(value))) : Number(value);
  };
  return Object.assign(call, { raw: raw as RawFunction });
}

class NodeSymbols implements Library {
  readonly #library: NodeLibrary;
  readonly #bits: number;
  readonly #known = new Map<string, NativeFunction>();

  constructor(library: NodeLibrary, bits: number) {
    this.#library = library;
    this.#bits = bits;
  }

  symbol(name: string, parameters: number, result: ResultKind = 'int'): NativeFunction | null {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    try {
      this.#library.getSymbol(name);
    } catch {
      return null;
    }
    const count = parameters === 1 ? 2 : parameters;
    const raw = this.#library.getFunction(name, {
      arguments: new Array<string>(count).fill('pointer'),
      return: 'pointer',
    });
    const padded = parameters === 1 ? (word: Word): bigint => raw(word as bigint, 0n) : raw;
    const made = callable(padded, this.#bits, result);
    this.#known.set(name, made);
    return made;
  }
}

function openLibrary(ffi: NodeFfi, path: string, bits: number): Library | null {
  try {
    return new NodeSymbols(ffi.dlopen(path, {}).lib, bits);
  } catch {
    return null;
  }
}

/** Loads the module without its ExperimentalWarning; every other warning still shows. */
function loadQuietly(): NodeFfi {
  const emit = process.emitWarning;
  process.emitWarning = (warning: string | Error, ...rest: unknown[]): void => {
    const text = typeof warning === 'string' ? warning : warning.message;
    if (text.startsWith('FFI is an experimental feature')) return;
    (emit as (...all: unknown[]) => void).call(process, warning, ...rest);
  };
  using _end = atEnd(() => (process.emitWarning = emit));
  return createRequire(import.meta.url)('node:ffi') as NodeFfi;
}
