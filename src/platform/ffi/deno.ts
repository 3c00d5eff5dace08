// Deno.dlopen. Fast with bigint words typed usize (9 ns for three words; 230 with numbers), so words are bigints here as
// well. The empty path is the process itself, which saves naming a libc. Needs --allow-ffi.

import type { Ffi, Library, NativeFunction, ResultKind } from './ffi.ts';
import { pointerBytesOf } from './ffi.ts';
import { callable, wordOf } from './node.ts';

type DenoCall = (...words: bigint[]) => bigint | number;
type Opaque = { readonly opaque: never };
type DenoRuntime = {
  dlopen(
    path: string,
    symbols: Record<string, { parameters: string[]; result: string }>,
  ): { symbols: Record<string, DenoCall> };
  UnsafePointer: {
    of(bytes: Uint8Array): Opaque;
    value(pointer: Opaque): bigint;
    create(address: bigint): Opaque;
  };
  UnsafePointerView: { getArrayBuffer(pointer: Opaque, bytes: number): ArrayBuffer };
};

export function openDenoFfi(): Ffi {
  const deno = (globalThis as { Deno?: DenoRuntime }).Deno;
  if (deno === undefined) throw new Error('not running under Deno');
  const bits = 8 * pointerBytesOf(process.arch);
  const self = symbols(deno, '', bits);
  const location = self.symbol('__errno_location', 0, 'pointer');
  if (location === null) throw new Error('libc has no __errno_location');
  const pointer = deno.UnsafePointer.create(BigInt(location()));
  const errno = new Int32Array(deno.UnsafePointerView.getArrayBuffer(pointer, 4));
  return {
    name: 'deno',
    pointerBytes: pointerBytesOf(process.arch),
    address: buffer => Number(deno.UnsafePointer.value(deno.UnsafePointer.of(new Uint8Array(buffer)))),
    word: value => wordOf(value, bits),
    add: (base, offset) => (base as bigint) + BigInt(offset | 0),
    int: word => Number(word),
    symbol: self.symbol,
    library: path => {
      try {
        deno.dlopen(path, {});
      } catch {
        return null;
      }
      return symbols(deno, path, bits);
    },
    errno: () => errno[0]!,
  };
}

function symbols(deno: DenoRuntime, path: string, bits: number): Library {
  const known = new Map<string, NativeFunction>();
  return {
    symbol(name, parameters, result: ResultKind = 'int') {
      const before = known.get(name);
      if (before !== undefined) return before;
      let raw: DenoCall;
      try {
        const shape = {
          parameters: new Array<string>(parameters).fill('usize'),
          result: result === 'int' ? 'i32' : 'usize',
        };
        raw = deno.dlopen(path, { [name]: shape }).symbols[name]!;
      } catch {
        return null;
      }
      const made = callable(raw, bits, result);
      known.set(name, made);
      return made;
    },
  };
}
