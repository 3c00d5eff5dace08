// Offsets of both word sizes, against the C definitions computed here: members in order, each at the next multiple of its
// size, the whole rounded up to the largest.

import t from 'tap';
import { cmsgLength, cmsgSpace, ilp32, layoutOf, lp64 } from '../../../src/platform/net/kernelstructs.ts';

/** Offsets of C members of these sizes, and the size of the struct. */
function struct(...sizes: number[]): number[] {
  const offsets: number[] = [];
  let at = 0;
  for (const size of sizes) {
    at = Math.ceil(at / size) * size;
    offsets.push(at);
    at += size;
  }
  const align = Math.max(...sizes);
  return [...offsets, Math.ceil(at / align) * align];
}

for (const layout of [lp64, ilp32]) {
  const word = layout.pointer;
  t.test(`word size ${word}`, async t => {
    t.equal(layoutOf(word), layout);
    const { iovec, msghdr, cmsghdr, timespec, ifreq } = layout;
    t.strictSame([iovec.base, iovec.length, iovec.bytes], struct(word, word));
    // void *name; socklen_t; struct iovec *; size_t; void *control; size_t; int
    t.strictSame(
      [
        msghdr.name,
        msghdr.nameLength,
        msghdr.iov,
        msghdr.iovLength,
        msghdr.control,
        msghdr.controlLength,
        msghdr.flags,
        msghdr.bytes,
      ],
      struct(word, 4, word, word, word, word, 4),
    );
    t.strictSame([cmsghdr.length, cmsghdr.level, cmsghdr.type, cmsghdr.data], struct(word, 4, 4));
    t.equal(cmsghdr.align, word);
    t.strictSame([timespec.seconds, timespec.nanoseconds, timespec.bytes], struct(word, word));
    // name[16], then a union whose largest member is struct ifmap: two longs, a short, three chars.
    t.equal(ifreq.bytes, 16 + struct(word, word, 2, 1, 1, 1).at(-1)!);
  });
}

t.test('control messages', async t => {
  t.strictSame([cmsgLength(lp64, 2), cmsgSpace(lp64, 2)], [18, 24]);
  t.strictSame([cmsgLength(lp64, 20), cmsgSpace(lp64, 20)], [36, 40]);
  t.strictSame([cmsgLength(ilp32, 2), cmsgSpace(ilp32, 2)], [14, 16]);
  t.strictSame([cmsgLength(ilp32, 12), cmsgSpace(ilp32, 12)], [24, 24]);
});
