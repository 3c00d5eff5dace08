// The Internet checksum (RFC 1071): one's-complement sums over arena ranges, alone or while copying. Every TCP byte that
// passes the tunnel goes through here once in each direction, so the sum runs in WASM SIMD where the engine has it, in
// scalar WASM where it has only that, and in plain TypeScript otherwise; all three are tested against each other.
//
// Sums are kept in network order: 16-bit words read big-endian. Knows no header.

import type { Arena } from '../util/arena.ts';
import type { Code, WasmFunction } from './assembler.ts';
import {
  assemble,
  i32,
  i64,
  i32type,
  i64type,
  put,
  repeatWhile,
  take,
  v128,
  v128type,
  when,
} from './assembler.ts';

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
export function createChecksum(
  memory: WebAssembly.Memory | null,
  arena: Arena,
  kind?: Checksum['name'],
): Checksum {
  if (memory !== null && memory.buffer !== arena.buffer)
    throw new Error('the arena does not lie in this WASM memory');
  if (memory === null || kind === 'script' || typeof WebAssembly !== 'object') return scriptChecksum(arena);
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
  return assemble([kernel(false), kernel(true)], sharedMemory);
}

// The kernels. Locals of `sum(from, bytes, initial)`; `copySum` has `to` in front of them. WASM memory is little-endian, so
// the words are summed byte-swapped, which RFC 1071 §2(B) allows, and the total is swapped once.

function simdKernel(copying: boolean): WasmFunction {
  const base = copying ? 1 : 0;
  const [to, from, bytes, initial] = [0, base, base + 1, base + 2] as const;
  const [total, even, odd, piece] = [base + 3, base + 4, base + 5, base + 6] as const;
  const step = (offset: number, into: number): Code =>
    copying
      ? [take(from), v128.load(offset), put(piece), take(to), take(piece), v128.store(offset)].concat([
          [take(into), take(piece), v128.pairs16, v128.add32, put(into)],
        ])
      : [take(into), take(from), v128.load(offset), v128.pairs16, v128.add32, put(into)];
  const forward = advance(copying ? [to, from] : [from], bytes);
  // The last 1 to 15 bytes of a longer range: load the 16 bytes that end there (and store them, some for the second time)
  // and shift the ones already counted out of the vector. Nothing outside the range is touched.
  const index = v128.const(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const last = (pointer: number): Code => [take(pointer), take(bytes), i32.add, i32.const(16), i32.sub];
  const overlapping: Code = [
    [last(from), v128.load(), put(piece)],
    copying ? [last(to), take(piece), v128.store()] : [],
    [take(piece), index, i32.const(16), take(bytes), i32.sub, v128.splat8, v128.add8, v128.swizzle],
    [v128.pairs16, take(even), v128.add32, put(even)],
  ];
  return {
    name: copying ? 'copySum' : 'sum',
    parameters: base + 3,
    locals: [i32type, v128type, v128type, v128type],
    body: [
      when(
        [take(bytes), i32.const(16), i32.geU],
        [
          repeatWhile(
            [take(bytes), i32.const(64), i32.geU],
            [step(0, even), step(16, odd), step(32, even), step(48, odd), forward(64)],
          ),
          repeatWhile([take(bytes), i32.const(16), i32.geU], [step(0, even), forward(16)]),
          when([take(bytes)], overlapping, []),
        ],
        shortRange(copying, to, from, bytes, total),
      ),
      [take(even), take(odd), v128.add32, put(even), take(total)],
      [0, 1, 2, 3].map(lane => [take(even), v128.lane32(lane), i32.add]),
      [put(total), finish(total, initial)],
    ],
  };
}

function scalarKernel(copying: boolean): WasmFunction {
  const base = copying ? 1 : 0;
  const [to, from, bytes, initial] = [0, base, base + 1, base + 2] as const;
  const [total, wide, piece] = [base + 3, base + 4, base + 5] as const;
  const step = (offset: number): Code => [
    [take(from), i64.load(offset), put(piece)],
    copying ? [take(to), take(piece), i64.store(offset)] : [],
    [take(wide), take(piece), i64.const(32), i64.shrU, i64.add],
    [take(piece), i32.wrap, i64.extend, i64.add, put(wide)],
  ];
  const forward = advance(copying ? [to, from] : [from], bytes);
  // (x & (2^bits - 1)) + (x >> bits)
  const narrow = (bits: number): Code => [
    [take(wide), i64.const(-1), i64.const(64 - bits), i64.shrU, i64.and],
    [take(wide), i64.const(bits), i64.shrU, i64.add, put(wide)],
  ];
  return {
    name: copying ? 'copySum' : 'sum',
    parameters: base + 3,
    locals: [i32type, i64type, i64type],
    body: [
      repeatWhile([take(bytes), i32.const(32), i32.geU], [step(0), step(8), step(16), step(24), forward(32)]),
      repeatWhile([take(bytes), i32.const(8), i32.geU], [step(0), forward(8)]),
      shortRange(copying, to, from, bytes, total),
      [narrow(32), narrow(16), take(total), take(wide), i32.wrap, i32.add, put(total)],
      finish(total, initial),
    ],
  };
}

/** Two bytes at a time, then an odd one: for fewer than 16 bytes. */
function shortRange(copying: boolean, to: number, from: number, bytes: number, total: number): Code {
  const forward = advance(copying ? [to, from] : [from], bytes);
  return [
    repeatWhile(
      [take(bytes), i32.const(2), i32.geU],
      copying ? [take(to), take(from), i32.load16(), i32.store16()] : [],
      [take(total), take(from), i32.load16(), i32.add, put(total), forward(2)],
    ),
    when(
      [take(bytes)],
      [
        copying ? [take(to), take(from), i32.load8(), i32.store8()] : [],
        [take(total), take(from), i32.load8(), i32.add, put(total)],
      ],
      [],
    ),
  ];
}

/** Folds `total`, swaps it into network order, adds `initial` and leaves the folded result on the stack. */
function finish(total: number, initial: number): Code {
  const folded = (local: number): Code => [
    [take(local), i32.const(0xffff), i32.and, take(local), i32.const(16), i32.shrU, i32.add, put(local)],
  ];
  return [
    [folded(total), folded(total)],
    [
      take(total),
      i32.const(8),
      i32.shl,
      i32.const(0xff00),
      i32.and,
      take(total),
      i32.const(8),
      i32.shrU,
      i32.or,
    ],
    [folded(initial), take(initial), i32.add, put(total), folded(total), folded(total), take(total)],
  ];
}

/** Moves the pointers forward and the count back. */
function advance(pointers: readonly number[], bytes: number): (by: number) => Code {
  return by => [
    pointers.map(p => [take(p), i32.const(by), i32.add, put(p)]),
    [take(bytes), i32.const(by), i32.sub, put(bytes)],
  ];
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
