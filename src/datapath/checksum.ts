// The Internet checksum (RFC 1071) over arena ranges, alone or while copying: in WebAssembly with SIMD, scalar WebAssembly, or
// TypeScript, whichever the engine offers. Every TCP byte in the tunnel is summed once in each direction. Sums are kept in network
// order: 16-bit words read big-endian. Knows no header.

import type { Arena } from '../util/arena.ts';
import { hasWebAssembly, type Memory } from '../util/memory.ts';
import {
  assemble,
  type Code,
  Func,
  get,
  i32,
  i32Type,
  i32x4,
  i64,
  i64Type,
  i8x16,
  loopWhile,
  seq,
  set,
  v128,
  v128Type,
  when,
  whenElse,
} from '../util/assembler.ts';

export interface Checksum {
  readonly name: 'simd' | 'wasm' | 'script';
  /**
   * `initial` plus the sum of `bytes` (at most 128 KiB) bytes at `at`, folded to 16 bits but not complemented. An odd last
   * byte counts as the high half of a word. `initial` is any sum below 2^31.
   */
  readonly sum: (at: number, bytes: number, initial: number) => number;
  /** The same while copying to `to`. The two ranges must not overlap. */
  readonly copySum: (to: number, from: number, bytes: number, initial: number) => number;
}

/** Adds the carries of a sum below 2^32 back in: 16 bits remain. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once + (once >>> 16)) & 0xffff;
}

/** The fastest working kind, or the one asked for. `memory` is the arena's own WASM memory, null when it has none. */
export function createChecksum(memory: Memory | null, arena: Arena, kind?: Checksum['name']): Checksum {
  if (memory !== null && memory.buffer !== arena.buffer)
    throw new Error('the arena does not lie in this WASM memory');
  if (memory === null || kind === 'script' || !hasWebAssembly) return scriptChecksum(arena);
  for (const name of ['simd', 'wasm'] as const) {
    if (kind !== undefined && kind !== name) continue;
    const code = checksumModule(name, !(arena.buffer instanceof ArrayBuffer));
    if (!WebAssembly.validate(code)) continue;
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { memory } });
    return {
      name,
      sum: exports['sum'] as Checksum['sum'],
      copySum: exports['copySum'] as Checksum['copySum'],
    };
  }
  return scriptChecksum(arena);
}

/** The WASM module: 0.6 KB. */
export function checksumModule(kind: 'simd' | 'wasm', sharedMemory: boolean): Uint8Array<ArrayBuffer> {
  const kernel = kind === 'simd' ? simdKernel : scalarKernel;
  return assemble([kernel(false), kernel(true)], { sum: 0, copySum: 1 }, sharedMemory);
}

// The kernels: `sum(from, bytes, initial)`; `copySum` has `to` in front of them. WASM memory is little-endian, so the words
// are summed byte-swapped, which RFC 1071 §2(B) allows, and the total is swapped once.

interface Kernel {
  readonly f: Func;
  /** Null when nothing is copied. */
  readonly to: number | null;
  readonly from: number;
  readonly bytes: number;
  readonly initial: number;
  readonly total: number;
}

function kernelOf(copying: boolean): Kernel {
  const from = copying ? 1 : 0;
  const f = new Func(new Array<typeof i32Type>(from + 3).fill(i32Type), [i32Type]);
  const total = f.local(i32Type);
  return { f, to: copying ? 0 : null, from, bytes: from + 1, initial: from + 2, total };
}

function simdKernel(copying: boolean): Func {
  const kernel = kernelOf(copying);
  const { f, to, from, bytes, total } = kernel;
  const [even, odd, piece] = f.locals(3, v128Type) as [number, number, number];
  const count = (into: number, value: Code): Code =>
    set(into, i32x4.add(get(into), i32x4.addPairs16U(value)));
  const step = (offset: number, into: number): Code => {
    const read = v128.load(get(from), offset);
    if (to === null) return count(into, read);
    return seq(set(piece, read), v128.store(get(to), get(piece), offset), count(into, get(piece)));
  };
  // The last 1 to 15 bytes of a longer range: load the 16 bytes that end there (and store them, some for the second time)
  // and shift the ones already counted out of the vector. Nothing outside the range is touched.
  const index = v128.const([0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c]);
  const last = (pointer: number): Code => i32.sub(i32.add(get(pointer), get(bytes)), i32.const(16));
  const shift = i8x16.splat(i32.sub(i32.const(16), get(bytes)));
  const overlapping = seq(
    set(piece, v128.load(last(from))),
    to === null ? [] : v128.store(last(to), get(piece)),
    count(even, i8x16.swizzle(get(piece), i8x16.add(index, shift))),
  );
  return f.body(
    whenElse(
      atLeast(bytes, 16),
      seq(
        loopWhile(
          atLeast(bytes, 64),
          step(0, even),
          step(16, odd),
          step(32, even),
          step(48, odd),
          forward(kernel, 64),
        ),
        loopWhile(atLeast(bytes, 16), step(0, even), forward(kernel, 16)),
        when(get(bytes), overlapping),
      ),
      shortRange(kernel),
    ),
    set(even, i32x4.add(get(even), get(odd))),
    set(
      total,
      [0, 1, 2, 3].reduce((sum, lane) => i32.add(sum, i32x4.lane(get(even), lane)), get(total)),
    ),
    finish(kernel),
  );
}

function scalarKernel(copying: boolean): Func {
  const kernel = kernelOf(copying);
  const { f, to, from, bytes, total } = kernel;
  const [wide, piece] = f.locals(2, i64Type) as [number, number];
  const step = (offset: number): Code =>
    seq(
      set(piece, i64.load(get(from), offset)),
      to === null ? [] : i64.store(get(to), get(piece), offset),
      set(
        wide,
        i64.add(
          i64.add(get(wide), i64.shrU(get(piece), i64.const(32))),
          i64.fromU32(i32.fromI64(get(piece))),
        ),
      ),
    );
  const narrow = (bits: number): Code =>
    set(wide, i64.add(i64.and(get(wide), i64.const(2 ** bits - 1)), i64.shrU(get(wide), i64.const(bits))));
  return f.body(
    loopWhile(atLeast(bytes, 32), step(0), step(8), step(16), step(24), forward(kernel, 32)),
    loopWhile(atLeast(bytes, 8), step(0), forward(kernel, 8)),
    shortRange(kernel),
    narrow(32),
    narrow(16),
    set(total, i32.add(get(total), i32.fromI64(get(wide)))),
    finish(kernel),
  );
}

const atLeast = (local: number, value: number): Code => i32.geU(get(local), i32.const(value));

/** Two bytes at a time, then an odd one: for fewer than 16 bytes. */
function shortRange(kernel: Kernel): Code {
  const { to, from, bytes, total } = kernel;
  return seq(
    loopWhile(
      atLeast(bytes, 2),
      to === null ? [] : i32.store16(get(to), i32.load16U(get(from))),
      set(total, i32.add(get(total), i32.load16U(get(from)))),
      forward(kernel, 2),
    ),
    when(
      get(bytes),
      to === null ? [] : i32.store8(get(to), i32.load8U(get(from))),
      set(total, i32.add(get(total), i32.load8U(get(from)))),
    ),
  );
}

/** Folds `total`, swaps it into network order, adds `initial` and leaves the folded result on the stack. */
function finish({ total, initial }: Kernel): Code {
  const folded = (local: number): Code =>
    set(local, i32.add(i32.and(get(local), i32.const(0xffff)), i32.shrU(get(local), i32.const(16))));
  const swapped = i32.or(
    i32.and(i32.shl(get(total), i32.const(8)), i32.const(0xff00)),
    i32.shrU(get(total), i32.const(8)),
  );
  return seq(
    folded(total),
    folded(total),
    folded(initial),
    set(total, i32.add(swapped, get(initial))),
    folded(total),
    folded(total),
    get(total),
  );
}

/** Moves the pointers forward and the count back. */
function forward({ to, from, bytes }: Kernel, by: number): Code {
  const pointers = to === null ? [from] : [to, from];
  return seq(
    ...pointers.map(p => set(p, i32.add(get(p), i32.const(by)))),
    set(bytes, i32.sub(get(bytes), i32.const(by))),
  );
}

/** The twin without WASM: two 16-bit words per read. */
function scriptChecksum(arena: Arena): Checksum {
  const { u8, view } = arena;
  const sum = (at: number, bytes: number, initial: number): number => {
    let even = 0; // each stays below 2^31 for 128 KiB
    let odd = 0;
    const end = at + bytes;
    let from = at;
    for (; from + 4 <= end; from += 4) {
      const word = view.getUint32(from);
      even += word >>> 16;
      odd += word & 0xffff;
    }
    if (from + 2 <= end) {
      odd += view.getUint16(from);
      from += 2;
    }
    if (from < end) even += u8[from]! << 8;
    return fold(fold(even) + fold(odd) + fold(initial));
  };
  const copySum = (to: number, from: number, bytes: number, initial: number): number => {
    u8.copyWithin(to, from, from + bytes);
    return sum(to, bytes, initial);
  };
  return { name: 'script', sum, copySum };
}
