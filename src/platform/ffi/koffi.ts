// koffi (Node 20 to 25), a native module that may be absent; words are numbers typed intptr_t, its cheapest type. Searched in order:
// $SALLYPORT_KOFFI, `koffi-linux-<arch>.node` or `koffi-linux-<arch>-musl.node` beside the bundle (loaded as an addon, without koffi's
// own JavaScript), the npm package `koffi`.

import { createRequire } from 'node:module';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Ffi, Library, NativeFunction, RawFunction, ResultKind } from './ffi.ts';
import { pointerBytesOf } from './ffi.ts';

type KoffiCall = (...words: number[]) => number;
type KoffiLibrary = { func(name: string, result: string, parameters: string[]): KoffiCall };
type Koffi = {
  load(path: string | null): KoffiLibrary;
  address(value: unknown): bigint | number;
  view(address: bigint | number, bytes: number): ArrayBuffer;
};

export async function openKoffi(): Promise<Ffi> {
  const koffi = await findKoffi();
  const self = symbols(koffi.load(null));
  const location = self.symbol('__errno_location', 0, 'pointer');
  if (location === null) throw new Error('libc has no __errno_location');
  // A view of errno itself: one load, where koffi.errno() is a call of 32 ns. koffi restores errno after its own work.
  const errno = new Int32Array(koffi.view(BigInt(location()), 4));
  return {
    name: 'koffi',
    pointerBytes: pointerBytesOf(process.arch),
    // A typed array over it: koffi on Node 20 does not take a SharedArrayBuffer.
    address: buffer => Number(koffi.address(new Uint8Array(buffer))),
    word: value => value,
    add: (base, offset) => (base as number) + offset,
    int: word => word as number,
    symbol: self.symbol,
    library: path => {
      try {
        return symbols(koffi.load(path));
      } catch {
        return null;
      }
    },
    errno: () => errno[0]!,
  };
}

function symbols(library: KoffiLibrary): Library {
  const known = new Map<string, NativeFunction>();
  return {
    symbol(name, parameters, result: ResultKind = 'int') {
      const before = known.get(name);
      if (before !== undefined) return before;
      let call: KoffiCall;
      try {
        const words = new Array<string>(parameters).fill('intptr_t');
        call = library.func(name, result === 'int' ? 'int' : 'uintptr_t', words);
      } catch {
        return null;
      }
      const made: NativeFunction = Object.assign((...words: number[]) => Number(call(...words)), {
        raw: call as RawFunction,
      });
      known.set(name, made);
      return made;
    },
  };
}

async function findKoffi(): Promise<Koffi> {
  const require = createRequire(import.meta.url);
  for (const path of candidates()) {
    if (existsSync(path)) return require(path) as Koffi;
  }
  // The name is a variable so that a bundler leaves the optional package alone.
  const name = 'koffi';
  const module = (await import(name)) as Koffi & { default?: Koffi };
  return module.default ?? module;
}

function candidates(): string[] {
  const named = process.env['SALLYPORT_KOFFI'];
  if (named !== undefined && named !== '') return [named];
  const file = `koffi-linux-${process.arch}${isMusl() ? '-musl' : ''}.node`;
  return [fileURLToPath(new URL(file, import.meta.url))];
}

/** musl's loader is a file of its own name; a cheaper sign than the process report. */
function isMusl(): boolean {
  try {
    return readdirSync('/lib').some(name => name.startsWith('ld-musl-'));
  } catch {
    return false;
  }
}
