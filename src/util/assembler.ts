// A small assembler of WebAssembly (core specification 2.0), with the instructions that the ciphers, hashes and checksums here use.
// Code is a tree of bytes; an instruction is a function from the code of its operands to its own. Modules are built where they are
// used, so the tree holds no binary.

export type Code = readonly (number | Code)[];
export type Type = 0x7f | 0x7e | 0x7b;
export const i32Type = 0x7f;
export const i64Type = 0x7e;
export const v128Type = 0x7b;

function unsigned(value: number): number[] {
  const bytes: number[] = [];
  do {
    const rest = Math.floor(value / 128);
    bytes.push((value & 127) | (rest > 0 ? 128 : 0));
    value = rest;
  } while (value > 0);
  return bytes;
}

/** Signed LEB128 of an integer below 2^53 in size. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let more = true; more;) {
    const byte = ((value % 128) + 128) % 128;
    value = Math.floor(value / 128);
    more = !(value === 0 && byte < 64) && !(value === -1 && byte >= 64);
    bytes.push(more ? byte | 128 : byte);
  }
  return bytes;
}

/** Code after code. */
export const seq = (...parts: readonly Code[]): Code => parts;

function flatten(code: Code, into: number[] = []): number[] {
  for (const part of code)
    if (typeof part === 'number') into.push(part);
    else flatten(part, into);
  return into;
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => seq(value, [0x21, ...unsigned(local)]);
export const tee = (local: number, value: Code): Code => seq(value, [0x22, ...unsigned(local)]);
export const call = (index: number, ...operands: readonly Code[]): Code =>
  seq(...operands, [0x10, ...unsigned(index)]);
export const when = (condition: Code, ...body: readonly Code[]): Code =>
  seq(condition, [0x04, 0x40], ...body, [0x0b]);
export const whenElse = (condition: Code, then: Code, otherwise: Code): Code =>
  seq(condition, [0x04, 0x40], then, [0x05], otherwise, [0x0b]);
export const loopWhile = (condition: Code, ...body: readonly Code[]): Code =>
  // block loop: leave the block when the condition fails, else go round.
  seq([0x02, 0x40, 0x03, 0x40], condition, [0x45, 0x0d, 1], ...body, [0x0c, 0, 0x0b, 0x0b]);

export type Unary = (a: Code) => Code;
export type Binary = (a: Code, b: Code) => Code;
const unary =
  (...opcode: number[]): Unary =>
  a =>
    seq(a, opcode);
const binary =
  (...opcode: number[]): Binary =>
  (a, b) =>
    seq(a, b, opcode);
const simd = (opcode: number): number[] => [0xfd, ...unsigned(opcode)];

/** Memory access at `address` + `offset`, of no promised alignment. */
export type Load = (address: Code, offset?: number) => Code;
export type Store = (address: Code, value: Code, offset?: number) => Code;
const load =
  (...opcode: number[]): Load =>
  (address, offset = 0) =>
    seq(address, opcode, [0], unsigned(offset));
const store =
  (...opcode: number[]): Store =>
  (address, value, offset = 0) =>
    seq(address, value, opcode, [0], unsigned(offset));

/** A group of instructions by kind. */
export type Group<U extends string, B extends string, L extends string, S extends string> = Readonly<
  Record<U, Unary> & Record<B, Binary> & Record<L, Load> & Record<S, Store>
>;
export type Constant<T> = { readonly const: (value: T) => Code };

const select = (ifTrue: Code, ifFalse: Code, condition: Code): Code =>
  seq(ifTrue, ifFalse, condition, [0x1b]);
const ltU = binary(0x49);

export const i32: Constant<number> &
  Group<
    'eqz' | 'fromI64',
    'ltU' | 'gtU' | 'geU' | 'minU' | 'add' | 'sub' | 'and' | 'or' | 'xor' | 'shl' | 'shrU' | 'rotl',
    'load' | 'load8U' | 'load16U',
    'store' | 'store8' | 'store16'
  > = {
  const: (value: number): Code => [0x41, ...signed(value)],
  eqz: unary(0x45),
  /** The low half. */
  fromI64: unary(0xa7),
  ltU,
  minU: (a: Code, b: Code): Code => select(a, b, ltU(a, b)),
  gtU: binary(0x4b),
  geU: binary(0x4f),
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  shrU: binary(0x76),
  rotl: binary(0x77),
  load: load(0x28),
  load8U: load(0x2d),
  load16U: load(0x2f),
  store: store(0x36),
  store8: store(0x3a),
  store16: store(0x3b),
};

export const i64: Constant<number> &
  Group<
    'eqz' | 'fromU32',
    'add' | 'mul' | 'and' | 'or' | 'xor' | 'shl' | 'shrS' | 'shrU',
    'load' | 'loadU32',
    'store' | 'storeU32'
  > = {
  const: (value: number): Code => [0x42, ...signed(value)],
  eqz: unary(0x50),
  fromU32: unary(0xad),
  add: binary(0x7c),
  mul: binary(0x7e),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shl: binary(0x86),
  shrS: binary(0x87),
  shrU: binary(0x88),
  load: load(0x29),
  loadU32: load(0x35),
  store: store(0x37),
  storeU32: store(0x3e),
};

type Shuffle = (a: Code, b: Code, lanes: readonly number[]) => Code;

export const v128: Constant<readonly number[]> &
  Group<never, 'and' | 'or' | 'xor', 'load' | 'loadSplat32', 'store'> & {
    readonly shuffleBytes: Shuffle;
    readonly shuffleWords: Shuffle;
  } = {
  const: (words: readonly number[]): Code =>
    seq(simd(0x0c), [...new Uint8Array(Int32Array.from(words).buffer)]),
  /** `lanes` are byte numbers, 0..15 from `a` and 16..31 from `b`. */
  shuffleBytes: (a: Code, b: Code, lanes: readonly number[]): Code => seq(a, b, simd(0x0d), lanes),
  /** The same by 32-bit lanes, 0..3 and 4..7. */
  shuffleWords: (a: Code, b: Code, lanes: readonly number[]): Code =>
    seq(a, b, simd(0x0d), ...lanes.map(lane => [0, 1, 2, 3].map(byte => 4 * lane + byte))),
  and: binary(...simd(0x4e)),
  or: binary(...simd(0x50)),
  xor: binary(...simd(0x51)),
  load: load(...simd(0x00)),
  loadSplat32: load(...simd(0x09)),
  store: store(...simd(0x0b)),
};

export const i8x16: Group<'splat', 'add' | 'swizzle', never, never> = {
  splat: unary(...simd(0x0f)),
  add: binary(...simd(0x6e)),
  /** The bytes of the first vector that the second one numbers; 0 for a number above 15. */
  swizzle: binary(...simd(0x0e)),
};

export const i32x4: Group<'addPairs16U', 'shl' | 'shrU' | 'add', never, never> & {
  readonly lane: (a: Code, lane: number) => Code;
} = {
  /** Adds neighbouring unsigned 16-bit lanes. */
  addPairs16U: unary(...simd(0x7f)),
  shl: binary(...simd(0xab)),
  shrU: binary(...simd(0xad)),
  add: binary(...simd(0xae)),
  lane: (a: Code, lane: number): Code => seq(a, simd(0x1b), [lane]),
};

export const i64x2: Group<never, 'shl' | 'shrU' | 'add' | 'mulLow' | 'mulHigh', never, never> = {
  shl: binary(...simd(0xcb)),
  shrU: binary(...simd(0xcd)),
  add: binary(...simd(0xce)),
  /** Products of the unsigned words 0 and 1, or 2 and 3. */
  mulLow: binary(...simd(0xde)),
  mulHigh: binary(...simd(0xdf)),
};

/** A function being written. Parameters are its first locals. */
export class Func {
  readonly parameters: readonly Type[];
  readonly results: readonly Type[];
  readonly #locals: Type[] = [];
  #body: Code = [];

  constructor(parameters: readonly Type[] = [], results: readonly Type[] = []) {
    this.parameters = parameters;
    this.results = results;
  }

  local(type: Type): number {
    return this.parameters.length + this.#locals.push(type) - 1;
  }

  locals(count: number, type: Type): number[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  body(...code: readonly Code[]): this {
    this.#body = seq(...code);
    return this;
  }

  code(): Code {
    const locals = this.#locals.map(type => [1, type]);
    return sized(seq(unsigned(locals.length), ...locals, this.#body, [0x0b]));
  }
}

/** Bytes with their number before them. */
function sized(code: Code): Code {
  const bytes = flatten(code);
  return [unsigned(bytes.length), bytes];
}
const list = (items: readonly Code[]): Code => seq(unsigned(items.length), ...items);
const section = (id: number, content: Code): Code => [id, sized(content)];
const name = (text: string): Code => sized(Array.from(text, c => c.charCodeAt(0)));

/**
 * The module of these functions, called by their place in the list. Those named in `exports` are exported; the memory is
 * imported as `env.memory`, shared or not as the caller's is.
 */
export function assemble(
  functions: readonly Func[],
  exports: Readonly<Record<string, number>>,
  sharedMemory: boolean,
): Uint8Array<ArrayBuffer> {
  const types = functions.map(f =>
    seq([0x60], list(f.parameters.map(t => [t])), list(f.results.map(t => [t]))),
  );
  // An import must be at least as wide as the memory given: "1 page to 65536 pages" matches any of them.
  const limits = sharedMemory ? [0x03, 1, ...unsigned(65536)] : [0x00, 1];
  return Uint8Array.from(
    flatten([
      [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, list(types)),
      section(2, list([seq(name('env'), name('memory'), [0x02], limits)])),
      section(3, list(functions.map((_, i) => unsigned(i)))),
      section(7, list(Object.entries(exports).map(([key, i]) => seq(name(key), [0x00], unsigned(i))))),
      section(10, list(functions.map(f => f.code()))),
    ]),
  );
}
