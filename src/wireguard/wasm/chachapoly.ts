// ChaCha20-Poly1305 in WebAssembly for arena memory: the middle way between OpenSSL by FFI and StableLib, for runtimes that
// cannot call native code (Deno without libcrypto, armv7). The module is assembled at start, with SIMD when the engine has
// it. Its scratch space is in the arena, so one provider belongs to one thread. Key agreement and the handshake's AEAD
// stay with StableLib.
//
// Seal in µs, same minute, same busy 2-core x86-64 VM, best of many short runs (Node 26; Deno 2.9 gives the same):
//
//             OpenSSL raw   OpenSSL EVP   SIMD   plain   StableLib
//     64 B           0.33          0.51   0.33    0.34        3.05
//   1440 B           0.93          1.23   2.09    3.92       15.77

import type { Arena } from '../../util/arena.ts';
import { stablelibProvider, tagBytes } from '../crypto.ts';
import type { Aead, CryptoProvider } from '../provider.ts';
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
} from '../../util/assembler.ts';

interface Layout extends ChachaLayout, PolyLayout {
  /** The last, partial block of a message, and the block of lengths. */
  readonly tail: number;
}
const scratchBytes = 544;

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

/** The module. Its exports: seal(at, bytes), and open(at, bytes) → 1 or 0, where `bytes` counts the plaintext in both. */
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

  const [at, bytes] = [0, 1];

  // start(bytes): the first blocks of the stream; number 0 is the key of Poly1305.
  const blocksWanted = i32.shrU(i32.add(get(0), i32.const(64 + 63)), i32.const(6));
  const start = define(
    new Func([i32Type]).body(keystream(i32.minU(blocksWanted, i32.const(4))), polyBegin()),
  );

  // authenticate(at, bytes): ciphertext, zeros to a whole block, then the lengths (RFC 8439 §2.8; additional data is empty).
  const f = new Func([i32Type, i32Type]);
  const [blocks, done, rest] = f.locals(3, i32Type) as [number, number, number];
  const authenticate = define(
    f.body(
      set(blocks, i32.shrU(get(bytes), i32.const(4))),
      polyFours === null
        ? []
        : when(
            i32.gtU(get(blocks), i32.const(foursFrom - 1)),
            polyFours(get(at), i32.shrU(get(blocks), i32.const(2))),
            set(done, i32.and(get(blocks), i32.const(-4))),
          ),
      polyAbsorb(i32.add(get(at), i32.shl(get(done), i32.const(4))), i32.sub(get(blocks), get(done))),
      ...[0, 8, 16].map(offset => i64.store(here, i64.const(0), layout.tail + offset)),
      i64.store(here, i64.fromU32(get(bytes)), layout.tail + 24),
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
  const seal = new Func([i32Type, i32Type]).body(
    start(get(bytes)),
    xor(get(at), get(bytes)),
    authenticate(get(at), get(bytes)),
    ...[0, 8].map(offset => i64.store(tagAt, i64.load(here, layout.tag + offset), offset)),
  );
  const difference = i64.or(
    i64.xor(i64.load(tagAt), i64.load(here, layout.tag)),
    i64.xor(i64.load(tagAt, 8), i64.load(here, layout.tag + 8)),
  );
  const open = new Func([i32Type, i32Type], [i32Type]);
  const right = open.local(i32Type);
  open.body(
    start(get(bytes)),
    authenticate(get(at), get(bytes)),
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

interface Exports {
  readonly seal: (at: number, bytes: number) => void;
  readonly open: (at: number, bytes: number) => number;
}

/** `memory` must be the memory the arena lies on. Falls back to plain instructions when `simd` is false. */
export function wasmProvider(
  arena: Arena,
  memory: WebAssembly.Memory,
  simd: boolean = hasSimd(),
): CryptoProvider {
  if (memory.buffer !== arena.buffer) throw new Error('the arena does not lie on this WebAssembly memory');
  const scratch = arena.alloc(scratchBytes, 64);
  const shared = typeof SharedArrayBuffer === 'function' && memory.buffer instanceof SharedArrayBuffer;
  const module = new WebAssembly.Module(buildModule(scratch, simd, shared));
  const exports = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports;
  const constants = Uint8Array.from('expand 32-byte k', c => c.charCodeAt(0));
  arena.u8.set(constants, scratch);
  return {
    ...stablelibProvider(arena),
    name: simd ? 'wasm-simd' : 'wasm',
    aead: key => new WasmAead(arena, exports, scratch, key),
  };
}

class WasmAead implements Aead {
  readonly #memory: Uint32Array;
  readonly #exports: Exports;
  readonly #input: number; // in words
  readonly #key: Uint32Array = new Uint32Array(8);

  constructor(arena: Arena, exports: Exports, input: number, key: Uint8Array) {
    this.#memory = arena.u32;
    this.#exports = exports;
    this.#input = input / 4;
    new Uint8Array(this.#key.buffer).set(key);
  }

  seal(at: number, bytes: number, counter: number): void {
    this.#prepare(counter, counter / 0x1_0000_0000);
    this.#exports.seal(at, bytes);
  }

  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean {
    if (bytes < tagBytes) return false;
    this.#prepare(counterLow, counterHigh);
    return this.#exports.open(at, bytes - tagBytes) === 1;
  }

  destroy(): void {
    this.#key.fill(0);
    this.#memory.fill(0, this.#input + 4, this.#input + scratchBytes / 4);
  }

  /** Key, block counter 0 and nonce as the input words of ChaCha20. */
  #prepare(counterLow: number, counterHigh: number): void {
    const memory = this.#memory;
    const key = this.#key;
    const at = this.#input + 4;
    for (let i = 0; i < 8; i++) memory[at + i] = key[i]!;
    memory[at + 8] = 0;
    memory[at + 9] = 0;
    memory[at + 10] = counterLow;
    memory[at + 11] = counterHigh;
  }
}
