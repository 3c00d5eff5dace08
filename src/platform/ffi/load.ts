// Load: which of the back ends opens the interface of ffi.ts in this runtime.

import { errorText, PlainError } from '../../util/errors.ts';
import { type Ffi, type FfiName, ffiNames } from './ffi.ts';

/** Opens the preferred back end, or the first that works. Says what each lacked when none does. */
export async function loadFfi(preference: FfiName | 'auto' = 'auto'): Promise<Ffi> {
  const missing: string[] = [];
  for (const name of preference === 'auto' ? ffiNames : [preference]) {
    try {
      return await open(name);
    } catch (error) {
      missing.push(`${name}: ${errorText(error)}`);
    }
  }
  throw new PlainError(
    'no-ffi',
    `no way to call libc from this runtime (${missing.join('; ')}); use Node 26 or newer, Deno 2, or put koffi beside the bundle`,
  );
}

async function open(name: FfiName): Promise<Ffi> {
  switch (name) {
    case 'node:ffi':
      return (await import('./node.ts')).openNodeFfi();
    case 'koffi':
      return (await import('./koffi.ts')).openKoffi();
    case 'deno':
      return (await import('./deno.ts')).openDenoFfi();
    default:
      throw new Error(`unknown FFI back end ${String(name satisfies never)}`);
  }
}
