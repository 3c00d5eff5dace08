// ChaCha20 (RFC 8439 §2.3) as WebAssembly. With SIMD each of the sixteen words is a vector and each lane of it another
// block, so four blocks come out of one pass; without, the same rounds run on plain words, a block at a time.

import {
  type Code,
  Func,
  get,
  i32,
  i32Type,
  i32x4,
  loopWhile,
  seq,
  set,
  type Type,
  v128,
  v128Type,
  when,
} from '../../../util/assembler.ts';

/** Where the input words (64 bytes) and the key stream (256 bytes) lie. */
export interface ChachaLayout {
  readonly input: number;
  readonly stream: number;
}

const here = i32.const(0); // addresses are constants and go into the offset of the instruction
const counterWord = 12;

/** The two forms of a word: one, or one of each of four blocks. */
interface Words {
  readonly type: Type;
  readonly add: (a: Code, b: Code) => Code;
  readonly xor: (a: Code, b: Code) => Code;
  /** local = local rotated left. */
  readonly rotate: (local: number, bits: number) => Code;
}

const single: Words = {
  type: i32Type,
  add: i32.add,
  xor: i32.xor,
  rotate: (local, bits) => set(local, i32.rotl(get(local), i32.const(bits))),
};

const four: Words = {
  type: v128Type,
  add: i32x4.add,
  xor: v128.xor,
  rotate(local, bits) {
    // Whole bytes are moved by one shuffle.
    if (bits % 8 === 0) {
      const bytes = Array.from({ length: 16 }, (_, i) => (i & 12) | ((i - bits / 8) & 3));
      return set(local, v128.shuffleBytes(get(local), get(local), bytes));
    }
    return set(
      local,
      v128.or(i32x4.shl(get(local), i32.const(bits)), i32x4.shrU(get(local), i32.const(32 - bits))),
    );
  },
};

/** The twenty rounds on sixteen locals. */
function rounds(x: readonly number[], turns: number, words: Words): Code {
  const quarter = (a: number, b: number, c: number, d: number): Code => {
    const half = (left: number, right: number): Code =>
      seq(
        set(x[a]!, words.add(get(x[a]!), get(x[b]!))),
        set(x[d]!, words.xor(get(x[d]!), get(x[a]!))),
        words.rotate(x[d]!, left),
        set(x[c]!, words.add(get(x[c]!), get(x[d]!))),
        set(x[b]!, words.xor(get(x[b]!), get(x[c]!))),
        words.rotate(x[b]!, right),
      );
    return seq(half(16, 12), half(8, 7));
  };
  return seq(
    set(turns, i32.const(10)),
    loopWhile(
      get(turns),
      ...[0, 1, 2, 3].map(i => quarter(i, 4 + i, 8 + i, 12 + i)),
      ...[0, 1, 2, 3].map(i => quarter(i, 4 + ((i + 1) & 3), 8 + ((i + 2) & 3), 12 + ((i + 3) & 3))),
      set(turns, i32.sub(get(turns), i32.const(1))),
    ),
  );
}

const advance = (layout: ChachaLayout, blocks: Code): Code =>
  i32.store(
    here,
    i32.add(i32.load(here, layout.input + 4 * counterWord), blocks),
    layout.input + 4 * counterWord,
  );

/** keystream(blocks): the next 1..4 blocks to `stream`; the counter moves on by four. */
export function keystreamScalar(layout: ChachaLayout): Func {
  const f = new Func([i32Type]);
  const blocks = 0;
  const [turns, out] = f.locals(2, i32Type) as [number, number];
  const x = f.locals(16, i32Type);
  const input = (i: number): Code => i32.load(here, layout.input + 4 * i);
  return f.body(
    set(out, i32.const(layout.stream)),
    set(blocks, i32.add(get(out), i32.shl(get(blocks), i32.const(6)))),
    loopWhile(
      i32.ltU(get(out), get(blocks)),
      ...x.map((word, i) => set(word, input(i))),
      rounds(x, turns, single),
      ...x.map((word, i) => i32.store(get(out), i32.add(get(word), input(i)), 4 * i)),
      advance(layout, i32.const(1)),
      set(out, i32.add(get(out), i32.const(64))),
    ),
    // The caller counts in fours.
    i32.store(
      here,
      i32.and(i32.add(input(counterWord), i32.const(3)), i32.const(-4)),
      layout.input + 4 * counterWord,
    ),
  );
}

/** keystream(blocks): always all four blocks. */
export function keystreamSimd(layout: ChachaLayout): Func {
  const f = new Func([i32Type]);
  const turns = f.local(i32Type);
  const x = f.locals(16, v128Type);
  const t = f.locals(4, v128Type);
  const input = (i: number): Code => {
    const same = v128.loadSplat32(here, layout.input + 4 * i);
    return i === counterWord ? i32x4.add(same, v128.const([0, 1, 2, 3])) : same;
  };
  /** Words 4g..4g+3 of all blocks, turned round so that each block's sixteen bytes lie together. */
  const emit = (g: number): Code => {
    const row = [0, 1, 2, 3].map(i => x[4 * g + i]!) as [number, number, number, number];
    const [a, b, c, d] = row.map(get) as [Code, Code, Code, Code];
    const to = (block: number): number => layout.stream + 64 * block + 16 * g;
    return seq(
      ...row.map((word, i) => set(word, i32x4.add(get(word), input(4 * g + i)))),
      set(t[0]!, v128.shuffleWords(a, b, [0, 4, 1, 5])),
      set(t[1]!, v128.shuffleWords(a, b, [2, 6, 3, 7])),
      set(t[2]!, v128.shuffleWords(c, d, [0, 4, 1, 5])),
      set(t[3]!, v128.shuffleWords(c, d, [2, 6, 3, 7])),
      v128.store(here, v128.shuffleWords(get(t[0]!), get(t[2]!), [0, 1, 4, 5]), to(0)),
      v128.store(here, v128.shuffleWords(get(t[0]!), get(t[2]!), [2, 3, 6, 7]), to(1)),
      v128.store(here, v128.shuffleWords(get(t[1]!), get(t[3]!), [0, 1, 4, 5]), to(2)),
      v128.store(here, v128.shuffleWords(get(t[1]!), get(t[3]!), [2, 3, 6, 7]), to(3)),
    );
  };
  return f.body(
    ...x.map((word, i) => set(word, input(i))),
    rounds(x, turns, four),
    ...[0, 1, 2, 3].map(emit),
    advance(layout, i32.const(4)),
  );
}

/**
 * crypt(at, bytes): XORs the key stream onto memory, beginning with the 192 bytes that follow the Poly1305 key in the stream.
 * `keystream` is the number of that function.
 */
export function crypt(layout: ChachaLayout, keystream: (blocks: Code) => Code, wide: boolean): Func {
  const f = new Func([i32Type, i32Type]);
  const [at, bytes] = [0, 1];
  const [stream, end, wideEnd, blocks] = f.locals(4, i32Type) as [number, number, number, number];
  const step = 16;
  const xorStep = wide
    ? v128.store(get(at), v128.xor(v128.load(get(at)), v128.load(get(stream))))
    : seq(
        ...[0, 4, 8, 12].map(offset =>
          i32.store(get(at), i32.xor(i32.load(get(at), offset), i32.load(get(stream), offset)), offset),
        ),
      );
  const forward = (by: number): Code =>
    seq(set(at, i32.add(get(at), i32.const(by))), set(stream, i32.add(get(stream), i32.const(by))));
  return f.body(
    set(stream, i32.const(layout.stream + 64)),
    loopWhile(
      get(bytes),
      // How far this stretch of the stream reaches.
      set(end, i32.minU(get(bytes), i32.sub(i32.const(layout.stream + 256), get(stream)))),
      set(bytes, i32.sub(get(bytes), get(end))),
      set(wideEnd, i32.add(get(stream), i32.and(get(end), i32.const(-step)))),
      set(end, i32.add(get(stream), get(end))),
      loopWhile(i32.ltU(get(stream), get(wideEnd)), xorStep, forward(step)),
      loopWhile(
        i32.ltU(get(stream), get(end)),
        i32.store8(get(at), i32.xor(i32.load8U(get(at)), i32.load8U(get(stream)))),
        forward(1),
      ),
      set(blocks, i32.shrU(i32.add(get(bytes), i32.const(63)), i32.const(6))),
      when(get(bytes), keystream(i32.minU(get(blocks), i32.const(4)))),
      set(stream, i32.const(layout.stream)),
    ),
  );
}
