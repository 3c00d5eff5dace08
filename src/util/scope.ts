// What must happen when a scope ends, however it ends: `using _wiped = wipeAtEnd(key)`. For secrets, descriptors and locks outside
// the packet path, where an object for each would be garbage.

import { wipe } from './bytes.ts';

/** Zeros the arrays. */
export function wipeAtEnd(...secrets: readonly Uint8Array[]): Disposable {
  return atEnd(() => wipe(...secrets));
}

export function atEnd(action: () => void): Disposable {
  return { [Symbol.dispose]: action };
}
