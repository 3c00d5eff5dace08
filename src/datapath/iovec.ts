// The kernel's struct iovec: an address and a length, each one pointer wide.

import { highHalf, littleEndian, lowHalf } from './inet.ts';

/** What writev needs to know: the address of arena offset 0 and the size of a pointer. */
export interface IovecShape {
  readonly base: number;
  readonly pointerBytes: 4 | 8;
}

/** Writes one entry at offset `iovec` for `bytes` bytes at arena offset `at`; returns the offset of the next entry. */
export function writeIovec(
  view: DataView,
  shape: IovecShape,
  iovec: number,
  at: number,
  bytes: number,
): number {
  const address = shape.base + at;
  if (shape.pointerBytes === 4) {
    view.setUint32(iovec, address, littleEndian);
    view.setUint32(iovec + 4, bytes, littleEndian);
    return iovec + 8;
  }
  const low = address >>> 0; // modulo 2^32
  const high = (address - low) / 0x1_0000_0000;
  view.setUint32(iovec + lowHalf, low, littleEndian);
  view.setUint32(iovec + highHalf, high, littleEndian);
  view.setUint32(iovec + 8 + lowHalf, bytes, littleEndian);
  view.setUint32(iovec + 8 + highHalf, 0, littleEndian);
  return iovec + 16;
}
