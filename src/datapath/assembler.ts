// A WebAssembly assembler just large enough for the checksum kernels (WebAssembly core specification 2.0, §5). A program
// is nested arrays of bytes, so the source reads like the stack machine it is: operands first, operator behind.
// Knows nothing about packets.

export type Code = readonly (number | Code)[];

export interface WasmFunction {
  readonly name: string;
  /** Number of i32 parameters; every function returns one i32. */
  readonly parameters: number;
  /** Types of the locals that follow the parameters. */
  readonly locals: readonly number[];
  readonly body: Code;
}

export const i32type = 0x7f;
export const i64type = 0x7e;
export const v128type = 0x7b;
const nothing = 0x40;

/** A module with one imported memory (`env.memory`) and the given exported functions. */
export function assemble(functions: readonly WasmFunction[], sharedMemory: boolean): Uint8Array<ArrayBuffer> {
  const types = functions.map(f => [0x60, u32(f.parameters), Array(f.parameters).fill(i32type), 1, i32type]);
  // An import must be at least as wide as the memory given: "1 page to 65536 pages" matches any of them.
  const limits = sharedMemory ? [3, u32(1), u32(65536)] : [0, u32(1)];
  return Uint8Array.from(
    flat([
      [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
      section(1, vector(types)),
      section(2, vector([[text('env'), text('memory'), 2, limits]])),
      section(3, vector(functions.map((_, i) => u32(i)))),
      section(7, vector(functions.map((f, i) => [text(f.name), 0, u32(i)]))),
      section(10, vector(functions.map(f => sized([vector(f.locals.map(type => [1, type])), f.body, 0x0b])))),
    ]),
  );
}

// Control. Labels count outward from 0; both forms leave the stack as it was.
export const block = (...body: Code): Code => [0x02, nothing, body, 0x0b];
export const loop = (...body: Code): Code => [0x03, nothing, body, 0x0b];
export const branch = (label: number): Code => [0x0c, u32(label)];
export const branchIf = (label: number): Code => [0x0d, u32(label)];
/** `while (condition) body`. */
export const repeatWhile = (condition: Code, ...body: Code): Code =>
  block(loop(condition, i32.isZero, branchIf(1), body, branch(0)));
export const when = (condition: Code, then: Code, otherwise: Code): Code => [
  condition,
  [0x04, nothing, then, 0x05, otherwise, 0x0b],
];

export const take = (local: number): Code => [0x20, u32(local)];
export const put = (local: number): Code => [0x21, u32(local)];

export const i32 = {
  const: (value: number): Code => [0x41, signed(value)],
  load8: (offset = 0): Code => [0x2d, 0, u32(offset)],
  load16: (offset = 0): Code => [0x2f, 0, u32(offset)],
  store8: (offset = 0): Code => [0x3a, 0, u32(offset)],
  store16: (offset = 0): Code => [0x3b, 0, u32(offset)],
  isZero: [0x45],
  geU: [0x4f],
  add: [0x6a],
  sub: [0x6b],
  and: [0x71],
  or: [0x72],
  shl: [0x74],
  shrU: [0x76],
  wrap: [0xa7],
} as const;

export const i64 = {
  const: (value: number): Code => [0x42, signed(value)],
  load: (offset = 0): Code => [0x29, 0, u32(offset)],
  store: (offset = 0): Code => [0x37, 0, u32(offset)],
  add: [0x7c],
  and: [0x83],
  shrU: [0x88],
  extend: [0xad],
} as const;

export const v128 = {
  load: (offset = 0): Code => [0xfd, 0x00, 0, u32(offset)],
  store: (offset = 0): Code => [0xfd, 0x0b, 0, u32(offset)],
  const: (...bytes: readonly number[]): Code => [0xfd, 0x0c, bytes],
  swizzle: [0xfd, 0x0e],
  splat8: [0xfd, 0x0f],
  lane32: (lane: number): Code => [0xfd, 0x1b, lane],
  add8: [0xfd, 0x6e],
  /** Adds neighbouring unsigned 16-bit lanes into 32-bit lanes. */
  pairs16: [0xfd, 0x7f],
  add32: [0xfd, 0xae, 0x01],
} as const;

function flat(code: Code): number[] {
  return code.flatMap(part => (typeof part === 'number' ? [part] : flat(part)));
}

function sized(code: Code): Code {
  const bytes = flat(code);
  return [u32(bytes.length), bytes];
}

function section(id: number, content: Code): Code {
  return [id, sized(content)];
}

function vector(items: readonly Code[]): Code {
  return [u32(items.length), items];
}

function text(name: string): Code {
  return vector(Array.from(name, letter => [letter.charCodeAt(0)]));
}

/** Unsigned LEB128. */
function u32(value: number): Code {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}

/** Signed LEB128 of an int32. */
function signed(value: number): Code {
  const bytes: number[] = [];
  for (; value < -64 || value > 63; value >>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value & 0x7f];
}
