// Poly1305 (RFC 8439 §2.5) as WebAssembly: five limbs of 26 bits, so that 5 products of 5·2^27·2^26 fit into 64 bits. The
// plain form takes a block a time; the SIMD form takes four, multiplying by r^4 and at the end by (r^4, r^3, r^2, r).

import {
  type Code,
  Func,
  get,
  i32,
  i32Type,
  i32x4,
  i64,
  i64Type,
  i64x2,
  loopWhile,
  seq,
  set,
  v128,
  v128Type,
  when,
} from '../../../util/assembler.ts';

/** Where the state lies: limbs of r and of h (five 64-bit words each), the powers of r by limb (five vectors), the tag. */
export interface PolyLayout {
  readonly r: number;
  readonly h: number;
  readonly powers: number;
  readonly pad: number;
  readonly tag: number;
}

const here = i32.const(0);
const limbs = [0, 1, 2, 3, 4] as const;
const limbMask = 0x3ffffff;
const sum = (add: (a: Code, b: Code) => Code, terms: readonly Code[]): Code => terms.reduce(add);

/**
 * h · r in columns: column k gathers h[i]·r[k−i], and what passes 2^130 comes back five times: h[i]·5r[5+k−i]. `s` are
 * the 5r.
 */
function column(
  k: number,
  h: readonly number[],
  r: readonly number[],
  s: readonly number[],
  mul: (a: Code, b: Code) => Code,
  add: (a: Code, b: Code) => Code,
): Code {
  return sum(
    add,
    limbs.map(i => mul(get(h[i]!), get(k >= i ? r[k - i]! : s[5 + k - i]!))),
  );
}

/** Multiplies h by r in 64-bit locals and carries. `d` are five spare locals. */
function multiply(
  h: readonly number[],
  r: readonly number[],
  s: readonly number[],
  d: readonly number[],
): Code {
  return seq(
    ...limbs.map(k => set(d[k]!, column(k, h, r, s, i64.mul, i64.add))),
    ...limbs.map(k =>
      seq(
        k > 0 ? set(d[k]!, i64.add(get(d[k]!), i64.shrU(get(d[k - 1]!), i64.const(26)))) : [],
        set(h[k]!, i64.and(get(d[k]!), i64.const(limbMask))),
      ),
    ),
    set(h[0]!, i64.add(get(h[0]!), i64.mul(i64.shrU(get(d[4]!), i64.const(26)), i64.const(5)))),
    set(h[1]!, i64.add(get(h[1]!), i64.shrU(get(h[0]!), i64.const(26)))),
    set(h[0]!, i64.and(get(h[0]!), i64.const(limbMask))),
  );
}

const loadLimbs = (locals: readonly number[], from: number): Code =>
  seq(...limbs.map(i => set(locals[i]!, i64.load(here, from + 8 * i))));
const storeLimbs = (locals: readonly number[], to: number): Code =>
  seq(...limbs.map(i => i64.store(here, get(locals[i]!), to + 8 * i)));
const timesFive = (s: readonly number[], r: readonly number[]): Code =>
  seq(...limbs.map(i => set(s[i]!, i64.mul(get(r[i]!), i64.const(5)))));

/** The five limbs of the sixteen bytes at `at`, without the high bit. */
const limbOf = (at: Code, i: number): Code => {
  const word = i64.shrU(i64.loadU32(at, 3 * i), i64.const(2 * i));
  return i === 4 ? word : i64.and(word, i64.const(limbMask));
};

/** begin(): takes the one-time key (32 bytes) from `key`; clamps r, clears h, keeps the pad. */
export function begin(layout: PolyLayout, key: number): Func {
  const clamp = [0x3ffffff, 0x3ffff03, 0x3ffc0ff, 0x3f03fff, 0x00fffff];
  return new Func().body(
    ...limbs.map(i =>
      seq(
        i64.store(here, i64.and(limbOf(i32.const(key), i), i64.const(clamp[i]!)), layout.r + 8 * i),
        i64.store(here, i64.const(0), layout.h + 8 * i),
      ),
    ),
    ...[0, 8].map(at => i64.store(here, i64.load(here, key + 16 + at), layout.pad + at)),
  );
}

/** absorb(at, blocks): whole blocks of sixteen bytes. */
export function absorb(layout: PolyLayout): Func {
  const f = new Func([i32Type, i32Type]);
  const [at, blocks] = [0, 1];
  const [h, r, s, d] = [0, 1, 2, 3].map(() => f.locals(5, i64Type)) as [
    number[],
    number[],
    number[],
    number[],
  ];
  return f.body(
    loadLimbs(h, layout.h),
    loadLimbs(r, layout.r),
    timesFive(s, r),
    loopWhile(
      get(blocks),
      ...limbs.map(i => set(h[i]!, i64.add(get(h[i]!), limbOf(get(at), i)))),
      set(h[4]!, i64.add(get(h[4]!), i64.const(2 ** 24))), // 2^128
      multiply(h, r, s, d),
      set(at, i32.add(get(at), i32.const(16))),
      set(blocks, i32.sub(get(blocks), i32.const(1))),
    ),
    storeLimbs(h, layout.h),
  );
}

/**
 * absorbFours(at, fours): 4 · fours blocks from the start of a message (h must be zero), fours ≥ 1. Words 0..3 of a vector
 * belong to four successive blocks.
 */
export function absorbFours(layout: PolyLayout): Func {
  const f = new Func([i32Type, i32Type]);
  const [at, fours] = [0, 1];
  const [p, r1, s1, d1] = [0, 1, 2, 3].map(() => f.locals(5, i64Type)) as [
    number[],
    number[],
    number[],
    number[],
  ];
  const [h, r, s, low, high] = [0, 1, 2, 3, 4].map(() => f.locals(5, v128Type)) as [
    number[],
    number[],
    number[],
    number[],
    number[],
  ];
  const [m, w] = [f.locals(4, v128Type), f.locals(4, v128Type)];
  const mask = f.local(v128Type);
  const five = (x: Code): Code => i32x4.add(i32x4.shl(x, i32.const(2)), x);

  /** r^1 goes to word 3 of the powers, r^4 to word 0: the first block has the most multiplications before it. */
  const storePower = (exponent: number): Code =>
    seq(...limbs.map(i => i64.storeU32(here, get(p[i]!), layout.powers + 16 * i + 4 * (4 - exponent))));
  const powers = seq(
    loadLimbs(r1, layout.r),
    timesFive(s1, r1),
    ...limbs.map(i => set(p[i]!, get(r1[i]!))),
    storePower(1),
    ...[2, 3, 4].map(exponent => seq(multiply(p, r1, s1, d1), storePower(exponent))),
  );
  const useFactor = (load: (limb: number) => Code): Code =>
    seq(...limbs.map(i => seq(set(r[i]!, load(layout.powers + 16 * i)), set(s[i]!, five(get(r[i]!))))));

  // Four blocks, turned so that w[i] holds word i of each; then cut into limbs of 26 bits and added to h.
  const load = seq(
    ...m.map((local, i) => set(local, v128.load(get(at), 16 * i))),
    ...(
      [
        [w[0]!, 0, 1, [0, 4, 1, 5]],
        [w[1]!, 2, 3, [0, 4, 1, 5]],
        [w[2]!, 0, 1, [2, 6, 3, 7]],
        [w[3]!, 2, 3, [2, 6, 3, 7]],
      ] as const
    ).map(([to, a, b, lanes]) => set(to, v128.shuffleWords(get(m[a]!), get(m[b]!), lanes))),
    set(m[0]!, v128.shuffleWords(get(w[0]!), get(w[1]!), [0, 1, 4, 5])),
    set(m[1]!, v128.shuffleWords(get(w[0]!), get(w[1]!), [2, 3, 6, 7])),
    set(m[2]!, v128.shuffleWords(get(w[2]!), get(w[3]!), [0, 1, 4, 5])),
    set(m[3]!, v128.shuffleWords(get(w[2]!), get(w[3]!), [2, 3, 6, 7])),
  );
  const cut = (i: number): Code => {
    if (i === 0) return v128.and(get(m[0]!), get(mask));
    if (i === 4)
      return v128.or(i32x4.shrU(get(m[3]!), i32.const(8)), v128.const([2 ** 24, 2 ** 24, 2 ** 24, 2 ** 24]));
    const below = i32x4.shrU(get(m[i - 1]!), i32.const(32 - 6 * i));
    return v128.and(v128.or(below, i32x4.shl(get(m[i]!), i32.const(6 * i))), get(mask));
  };
  const carry = (d: readonly number[]): Code => {
    const mask64 = v128.const([limbMask, 0, limbMask, 0]);
    const up = (from: number): Code => i64x2.shrU(get(d[from]!), i32.const(26));
    const pass = (from: number, to: number): Code =>
      seq(set(d[to]!, i64x2.add(get(d[to]!), up(from))), set(d[from]!, v128.and(get(d[from]!), mask64)));
    return seq(
      // Two chains at once, so that neither waits for the other: 0→1→2→3→4 and 3→4→0→1.
      pass(0, 1),
      pass(3, 4),
      pass(1, 2),
      set(d[0]!, i64x2.add(get(d[0]!), i64x2.add(i64x2.shl(up(4), i32.const(2)), up(4)))),
      set(d[4]!, v128.and(get(d[4]!), mask64)),
      pass(2, 3),
      pass(0, 1),
      pass(3, 4),
    );
  };

  return f.body(
    powers,
    set(mask, v128.const([limbMask, limbMask, limbMask, limbMask])),
    useFactor(address => v128.loadSplat32(here, address)),
    loopWhile(
      get(fours),
      load,
      ...limbs.map(i => set(h[i]!, i32x4.add(get(h[i]!), cut(i)))),
      when(
        i32.eqz(i32.sub(get(fours), i32.const(1))),
        useFactor(address => v128.load(here, address)),
      ),
      ...limbs.map(k => set(low[k]!, column(k, h, r, s, i64x2.mulLow, i64x2.add))),
      ...limbs.map(k => set(high[k]!, column(k, h, r, s, i64x2.mulHigh, i64x2.add))),
      carry(low),
      carry(high),
      ...limbs.map(i => set(h[i]!, v128.shuffleWords(get(low[i]!), get(high[i]!), [0, 2, 4, 6]))),
      set(at, i32.add(get(at), i32.const(64))),
      set(fours, i32.sub(get(fours), i32.const(1))),
    ),
    // The four sums become one; the limbs may pass 26 bits a little, which the next multiplication bears.
    ...limbs.map(i =>
      i64.store(
        here,
        sum(
          i64.add,
          [0, 1, 2, 3].map(lane => i64.fromU32(i32x4.lane(get(h[i]!), lane))),
        ),
        layout.h + 8 * i,
      ),
    ),
  );
}

/** finish(): tag = (h mod 2^130 − 5) + pad mod 2^128. */
export function finish(layout: PolyLayout): Func {
  const f = new Func();
  const [h, g] = [f.locals(5, i64Type), f.locals(5, i64Type)];
  const [keep, word] = f.locals(2, i64Type) as [number, number];
  const pass = (x: readonly number[], from: number, to: number, times: number): Code =>
    seq(
      set(x[to]!, i64.add(get(x[to]!), i64.mul(i64.shrU(get(x[from]!), i64.const(26)), i64.const(times)))),
      set(x[from]!, i64.and(get(x[from]!), i64.const(limbMask))),
    );
  const chain = (x: readonly number[]): Code => seq(...[0, 1, 2, 3].map(i => pass(x, i, i + 1, 1)));
  return f.body(
    loadLimbs(h, layout.h),
    chain(h),
    pass(h, 4, 0, 5),
    chain(h),
    pass(h, 4, 0, 5),
    pass(h, 0, 1, 1),
    // g = h + 5 − 2^130; negative means that h was already reduced.
    ...limbs.map(i => set(g[i]!, get(h[i]!))),
    set(g[0]!, i64.add(get(g[0]!), i64.const(5))),
    chain(g),
    set(g[4]!, i64.add(get(g[4]!), i64.const(-(2 ** 26)))),
    set(keep, i64.shrS(get(g[4]!), i64.const(63))),
    ...limbs.map(i =>
      set(
        h[i]!,
        i64.or(i64.and(get(h[i]!), get(keep)), i64.and(get(g[i]!), i64.xor(get(keep), i64.const(-1)))),
      ),
    ),
    set(word, i64.const(0)),
    ...[0, 1, 2, 3].map(i => {
      const low = i64.shrU(get(h[i]!), i64.const(6 * i));
      const high = i64.shl(get(h[i + 1]!), i64.const(26 - 6 * i));
      const both = i64.and(i64.or(low, high), i64.const(0xffffffff));
      return seq(
        set(
          word,
          i64.add(i64.shrU(get(word), i64.const(32)), i64.add(both, i64.loadU32(here, layout.pad + 4 * i))),
        ),
        i64.storeU32(here, get(word), layout.tag + 4 * i),
      );
    }),
  );
}
