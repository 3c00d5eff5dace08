import t from 'tap';
import {
  assemble,
  call,
  type Code,
  Func,
  get,
  i32,
  i32Type,
  i32x4,
  i64,
  i64Type,
  i64x2,
  i8x16,
  loopWhile,
  set,
  tee,
  v128,
  v128Type,
  when,
  whenElse,
} from '../../src/util/assembler.ts';
import { runWasm } from '../fixtures/twins/wasm.ts';

const here = i32.const(0);

t.test('constants of every size survive LEB128', async t => {
  const small = [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, -8192, -8193, 2 ** 31 - 1, -(2 ** 31)];
  for (const value of small) {
    const f = new Func([], [i32Type]).body(i32.const(value));
    t.equal(runWasm([f]).calls[0]!(), value);
  }
  for (const value of [...small, 2 ** 32, 0xffffffff, 2 ** 52 + 1, -(2 ** 52) - 1]) {
    const f = new Func([], [i64Type]).body(i64.const(value));
    t.equal(runWasm([f]).calls[0]!(), BigInt(value));
  }
});

t.test('locals, parameters, calls and control flow', async t => {
  const twice = new Func([i32Type], [i32Type]).body(i32.shl(get(0), i32.const(1)));
  // sum(n) = 2·1 + 2·2 + … + 2·n
  const total = new Func([i32Type], [i32Type]);
  const [all, item] = total.locals(2, i32Type) as [number, number];
  total.body(
    loopWhile(
      get(0),
      set(all, i32.add(get(all), call(0, tee(item, get(0))))),
      set(0, i32.sub(get(item), i32.const(1))),
    ),
    get(all),
  );
  const choose = new Func([i32Type], [i32Type]);
  const result = choose.local(i32Type);
  choose.body(
    whenElse(i32.gtU(get(0), i32.const(10)), set(result, i32.const(7)), set(result, i32.const(3))),
    when(i32.eqz(get(0)), set(result, i32.const(1))),
    get(result),
  );
  const least = new Func([i32Type, i32Type], [i32Type]).body(i32.minU(get(0), get(1)));
  const { calls } = runWasm([twice, total, choose, least]);
  t.equal(calls[1]!(0), 0);
  t.equal(calls[1]!(100), 10100);
  t.same([calls[2]!(11), calls[2]!(10), calls[2]!(0)], [7, 3, 1]);
  t.same([calls[3]!(1, 2), calls[3]!(2, 1), calls[3]!(-1, 5)], [1, 1, 5], 'unsigned');
});

t.test('i32 instructions', async t => {
  const f = new Func([i32Type, i32Type]).body(
    ...[
      i32.add,
      i32.sub,
      i32.and,
      i32.xor,
      i32.shl,
      i32.shrU,
      i32.rotl,
      i32.ltU,
      i32.gtU,
      i32.or,
      i32.geU,
    ].map((operation, i) => i32.store(here, operation(get(0), get(1)), 256 + 4 * i)),
    i32.store(here, i32.geU(get(1), get(1)), 300),
    i32.store8(i32.const(400), i32.load8U(i32.const(256)), 1),
    i32.store(i32.const(404), i32.load(i32.const(256))),
    i32.store16(i32.const(410), i32.load16U(i32.const(257))),
  );
  const { calls, u8, u32 } = runWasm([f]);
  const [a, b] = [0x87654321, 5];
  calls[0]!(a, b);
  t.same(
    [...u32.subarray(64, 76)],
    [
      a + b,
      a - b,
      (a & b) >>> 0,
      (a ^ b) >>> 0,
      (a << b) >>> 0,
      a >>> b,
      ((a << b) | (a >>> (32 - b))) >>> 0,
      0,
      1,
      (a | b) >>> 0,
      1,
      1,
    ],
  );
  t.same([...u8.subarray(408, 414)], [0, 0, ...u8.subarray(257, 259), 0, 0]);
  t.equal(u8[401], (a + b) & 255);
  t.equal(u32[101], a + b);
});

t.test('i64 instructions', async t => {
  const list = [i64.add, i64.mul, i64.and, i64.or, i64.xor, i64.shl, i64.shrS, i64.shrU];
  const f = new Func([i64Type, i64Type], [i32Type]).body(
    ...list.map((operation, i) => i64.store(here, operation(get(0), get(1)), 8 * i)),
    i64.store(here, i64.loadU32(i32.const(4)), 64),
    i64.store(here, i64.load(i32.const(0)), 72),
    i64.storeU32(here, i64.fromU32(i32.const(-1)), 80),
    i32.store(here, i32.fromI64(get(0)), 88),
    i64.eqz(get(0)),
  );
  const { calls, u8, u32 } = runWasm([f]);
  const [a, b] = [-0x123456789abcdefn, 9n];
  t.equal(calls[0]!(a, b), 0);
  const words = new BigInt64Array(u8.buffer, 0, 11);
  const sum = a + b;
  t.same(
    [...words],
    [
      sum,
      BigInt.asIntN(64, a * b),
      a & b,
      a | b,
      a ^ b,
      BigInt.asIntN(64, a << b),
      a >> b,
      BigInt.asIntN(64, BigInt.asUintN(64, a) >> b),
      BigInt.asUintN(64, sum) >> 32n,
      sum,
      0xffffffffn,
    ],
  );
  t.equal(u32[22], Number(BigInt.asUintN(32, a)));
  t.equal(calls[0]!(0n, 0n), 1);
});

t.test('vector instructions', async t => {
  const f = new Func();
  const [a, b] = f.locals(2, v128Type) as [number, number];
  const out: Code[] = [
    v128.and(get(a), get(b)),
    v128.or(get(a), get(b)),
    v128.xor(get(a), get(b)),
    i32x4.add(get(a), get(b)),
    i32x4.shl(get(a), i32.const(3)),
    i32x4.shrU(get(a), i32.const(3)),
    i64x2.add(get(a), get(b)),
    i64x2.shl(get(a), i32.const(3)),
    i64x2.shrU(get(a), i32.const(3)),
    i64x2.mulLow(get(a), get(b)),
    i64x2.mulHigh(get(a), get(b)),
    v128.shuffleWords(get(a), get(b), [0, 4, 3, 7]),
    v128.shuffleBytes(get(a), get(b), [0, 31, 1, 30, 2, 29, 3, 28, 4, 27, 5, 26, 6, 25, 7, 24]),
    v128.loadSplat32(here, 8),
    i32x4.addPairs16U(get(a)),
    i8x16.add(get(a), get(b)),
    i8x16.splat(i32.const(0x1a5)),
    i8x16.swizzle(get(a), get(b)),
  ];
  f.body(
    set(a, v128.load(here)),
    set(b, v128.const([9, -2, 0x7fffffff, 4])),
    ...out.map((value, i) => v128.store(here, value, 64 + 16 * i)),
    i32.store(here, i32x4.lane(get(a), 2), 32),
  );
  const { calls, u8, u32 } = runWasm([f]);
  const av = [0x80000001, 0xfffffff0, 3, 0x12345678];
  const bv = [9, 0xfffffffe, 0x7fffffff, 4];
  u32.set(av);
  calls[0]!();
  const row = (i: number): number[] => [...u32.subarray(16 + 4 * i, 20 + 4 * i)];
  const map = (f2: (x: number, y: number) => number): number[] => av.map((x, i) => f2(x, bv[i]!) >>> 0);
  const longs = (i: number): bigint[] => [...new BigUint64Array(u8.buffer, 64 + 16 * i, 2)];
  const pair = (v: number[]): bigint[] => [0, 2].map(i => BigInt(v[i]!) | (BigInt(v[i + 1]!) << 32n));
  const u64 = (n: bigint): bigint => BigInt.asUintN(64, n);
  t.same(
    row(0),
    map((x, y) => x & y),
  );
  t.same(
    row(1),
    map((x, y) => x | y),
  );
  t.same(
    row(2),
    map((x, y) => x ^ y),
  );
  t.same(
    row(3),
    map((x, y) => x + y),
  );
  t.same(
    row(4),
    map(x => x << 3),
  );
  t.same(
    row(5),
    map(x => x >>> 3),
  );
  t.same(
    longs(6),
    pair(av).map((x, i) => u64(x + pair(bv)[i]!)),
  );
  t.same(
    longs(7),
    pair(av).map(x => u64(x << 3n)),
  );
  t.same(
    longs(8),
    pair(av).map(x => x >> 3n),
  );
  t.same(
    longs(9),
    [0, 1].map(i => BigInt(av[i]!) * BigInt(bv[i]!)),
  );
  t.same(
    longs(10),
    [2, 3].map(i => BigInt(av[i]!) * BigInt(bv[i]!)),
  );
  t.same(row(11), [av[0], bv[0], av[3], bv[3]]);
  const bytes = [...u8.subarray(0, 16), ...new Uint8Array(Uint32Array.from(bv).buffer)];
  t.same(
    [...u8.subarray(64 + 16 * 12, 64 + 16 * 13)],
    [0, 31, 1, 30, 2, 29, 3, 28, 4, 27, 5, 26, 6, 25, 7, 24].map(i => bytes[i]),
  );
  t.same(row(13), [3, 3, 3, 3]);
  t.same(
    row(14),
    av.map(x => (x >>> 16) + (x & 0xffff)),
  );
  const rowBytes = (i: number): number[] => [...u8.subarray(64 + 16 * i, 80 + 16 * i)];
  const [aBytes, bBytes] = [bytes.slice(0, 16), bytes.slice(16)];
  t.same(
    rowBytes(15),
    aBytes.map((x, i) => (x + bBytes[i]!) & 255),
  );
  t.same(rowBytes(16), Array(16).fill(0xa5));
  t.same(
    rowBytes(17),
    bBytes.map(i => aBytes[i] ?? 0),
  );
  t.equal(u32[8], 3);
});

t.test('a module for shared memory takes only shared memory', async t => {
  const module = new WebAssembly.Module(assemble([new Func().body()], { f: 0 }, true));
  const shared = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
  t.ok(new WebAssembly.Instance(module, { env: { memory: shared } }).exports['f']);
  t.throws(
    () => new WebAssembly.Instance(module, { env: { memory: new WebAssembly.Memory({ initial: 1 }) } }),
  );
});
