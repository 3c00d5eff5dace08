// The module of ChaCha20-Poly1305 (RFC 8439 §2.8), assembled where it is used. Its scratch space has a fixed place in the memory it
// is made for, so the addresses in it are constants and one module belongs to one thread. `chachapoly.ts` runs it.

import { type ChachaLayout, crypt, keystreamScalar, keystreamSimd } from './chacha20.ts';
import { absorb, absorbFours, begin, finish, type PolyLayout } from './poly1305.ts';
import {
  assemble,
  call,
  type Code,
  Func,
  get,
  i32,
  i32Type,
  i64,
  loopWhile,
  seq,
  set,
  v128Type,
  when,
  whenElse,
} from '../../../util/assembler.ts';

interface Layout extends ChachaLayout, PolyLayout {
  /** The last, partial block of a message, and the block of lengths. */
  readonly tail: number;
}
export const scratchBytes = 544;

function layoutAt(at: number): Layout {
  return {
    input: at,
    stream: at + 64,
    powers: at + 320,
    r: at + 400,
    h: at + 440,
    pad: at + 480,
    tag: at + 496,
    tail: at + 512,
  };
}

/** From this many blocks on the powers of r pay for themselves. */
const foursFrom = 12;

/**
 * The module. Its exports: seal(at, bytes, additional), and open(at, bytes, additional) → 1 or 0, where `bytes` counts the
 * plaintext in both and `additional` the bytes of additional data. Those lie right before `at`, padded with zeros to a whole
 * Poly1305 block, so that both are read in one pass.
 */
export function buildModule(scratch: number, simd: boolean, sharedMemory: boolean): Uint8Array {
  const layout = layoutAt(scratch);
  const here = i32.const(0);
  const functions: Func[] = [];
  const define = (f: Func): ((...operands: Code[]) => Code) => {
    const index = functions.push(f) - 1;
    return (...operands) => call(index, ...operands);
  };
  const keystream = define(simd ? keystreamSimd(layout) : keystreamScalar(layout));
  const xor = define(crypt(layout, keystream, simd));
  const polyBegin = define(begin(layout, layout.stream));
  const polyAbsorb = define(absorb(layout));
  const polyFours = simd ? define(absorbFours(layout)) : null;
  const polyFinish = define(finish(layout));

  const [at, bytes, additional] = [0, 1, 2];

  // start(bytes): the first blocks of the stream; number 0 is the key of Poly1305.
  const blocksWanted = i32.shrU(i32.add(get(0), i32.const(64 + 63)), i32.const(6));
  const start = define(
    new Func([i32Type]).body(keystream(i32.minU(blocksWanted, i32.const(4))), polyBegin()),
  );

  // authenticate(at, bytes, additional): additional data and ciphertext, each with zeros to a whole block, then the lengths.
  const f = new Func([i32Type, i32Type, i32Type]);
  const [blocks, done, rest] = f.locals(3, i32Type) as [number, number, number];
  const authenticate = define(
    f.body(
      ...[0, 8].map(offset => i64.store(here, i64.const(0), layout.tail + offset)),
      i64.store(here, i64.fromU32(get(additional)), layout.tail + 16),
      i64.store(here, i64.fromU32(get(bytes)), layout.tail + 24),
      set(additional, i32.and(i32.add(get(additional), i32.const(15)), i32.const(-16))),
      set(at, i32.sub(get(at), get(additional))),
      set(blocks, i32.shrU(i32.add(get(additional), get(bytes)), i32.const(4))),
      polyFours === null
        ? []
        : when(
            i32.gtU(get(blocks), i32.const(foursFrom - 1)),
            polyFours(get(at), i32.shrU(get(blocks), i32.const(2))),
            set(done, i32.and(get(blocks), i32.const(-4))),
          ),
      polyAbsorb(i32.add(get(at), i32.shl(get(done), i32.const(4))), i32.sub(get(blocks), get(done))),
      set(rest, i32.and(get(bytes), i32.const(15))),
      whenElse(
        get(rest),
        seq(
          set(at, i32.add(get(at), i32.shl(get(blocks), i32.const(4)))),
          loopWhile(
            get(rest),
            set(rest, i32.sub(get(rest), i32.const(1))),
            i32.store8(get(rest), i32.load8U(i32.add(get(at), get(rest))), layout.tail),
          ),
          polyAbsorb(i32.const(layout.tail), i32.const(2)),
        ),
        polyAbsorb(i32.const(layout.tail + 16), i32.const(1)),
      ),
      polyFinish(),
    ),
  );

  const tagAt = i32.add(get(at), get(bytes));
  const seal = new Func([i32Type, i32Type, i32Type]).body(
    start(get(bytes)),
    xor(get(at), get(bytes)),
    authenticate(get(at), get(bytes), get(additional)),
    ...[0, 8].map(offset => i64.store(tagAt, i64.load(here, layout.tag + offset), offset)),
  );
  const difference = i64.or(
    i64.xor(i64.load(tagAt), i64.load(here, layout.tag)),
    i64.xor(i64.load(tagAt, 8), i64.load(here, layout.tag + 8)),
  );
  const open = new Func([i32Type, i32Type, i32Type], [i32Type]);
  const right = open.local(i32Type);
  open.body(
    start(get(bytes)),
    authenticate(get(at), get(bytes), get(additional)),
    set(right, i64.eqz(difference)),
    when(get(right), xor(get(at), get(bytes))),
    get(right),
  );
  const exports = { seal: functions.push(seal) - 1, open: functions.push(open) - 1 };
  return assemble(functions, exports, sharedMemory);
}

/** Whether this engine has WebAssembly SIMD. */
export function hasSimd(): boolean {
  const probe = new Func();
  probe.local(v128Type);
  return WebAssembly.validate(assemble([probe.body()], {}, false));
}
