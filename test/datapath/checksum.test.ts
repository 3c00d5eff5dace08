import t from 'tap';
import { Arena } from '../../src/util/arena.ts';
import { checksumModule, createChecksum, fold } from '../../src/datapath/checksum.ts';
import { slowChecksum } from '../fixtures/packets/packets.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
const arena = new Arena(memory.buffer);
const kinds = ['simd', 'wasm', 'script'] as const;

t.test('the RFC 1071 §3 example', t => {
  arena.u8.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 100);
  for (const kind of kinds) t.equal(createChecksum(memory, arena, kind).sum(100, 8, 0), 0xddf2, kind);
  t.end();
});

for (const kind of kinds) {
  const seed = seedOf(1);
  t.test(`${kind} equals the twin, seed ${seed}`, t => {
    const random = seeded(seed);
    const checksum = createChecksum(memory, arena, kind);
    t.equal(checksum.name, kind);
    const { u8 } = arena;
    random.fill(u8.subarray(0, 40000));
    u8.fill(0xff, 40000, 60000); // the sums that carry most
    let fault = '';
    for (let run = 0; run < 1500 && fault === ''; run++) {
      const bytes = run < 300 ? run : random.below(3000);
      const from = random.below(60000);
      const initial = random.chance(0.5) ? random.below(65536) : random.below(2 ** 31);
      const expected = slowSum(u8.slice(from, from + bytes), initial);
      const to = 100_000 + random.below(100);
      u8.fill(0xa5, to - 64, to + bytes + 64);
      const what = `${bytes} bytes at ${from}, initial ${initial}`;
      if (checksum.sum(from, bytes, initial) % 0xffff !== expected % 0xffff) fault = `sum of ${what}`;
      if (checksum.copySum(to, from, bytes, initial) % 0xffff !== expected % 0xffff)
        fault = `copySum of ${what}`;
      for (let i = -64; i < bytes + 64; i++) {
        if (u8[to + i] !== (i < 0 || i >= bytes ? 0xa5 : u8[from + i]))
          fault = `copy of ${what} to ${to}, byte ${i}`;
      }
    }
    t.equal(fault, '');
    t.equal(checksum.sum(0, 0, 0), 0, 'nothing sums to zero');
    const end = u8.length;
    for (let bytes = 0; bytes < 80; bytes++) {
      const expected = slowSum(u8.slice(end - bytes), 0);
      t.equal(checksum.sum(end - bytes, bytes, 0), expected, `up to the end of memory, ${bytes} bytes`);
    }
    // the largest sum there is
    u8.fill(0xff, 0, 131072);
    t.equal(checksum.sum(0, 131072, 0x7fffffff) % 0xffff, 0x7fffffff % 0xffff);
    t.end();
  });
}

t.test('chooses what the memory allows', t => {
  t.equal(createChecksum(memory, arena).name, 'simd');
  t.equal(createChecksum(null, arena).name, 'script');
  const own = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  t.equal(createChecksum(own, new Arena(own.buffer)).name, 'simd', 'unshared memory');
  t.throws(() => createChecksum(own, arena), /does not lie/);
  t.ok(checksumModule('simd', true).length < 1024);
  t.end();
});

t.test('a runtime without SIMD', t => {
  const { validate } = WebAssembly;
  t.teardown(() => {
    WebAssembly.validate = validate;
  });
  WebAssembly.validate = code => code.length < checksumModule('simd', true).length && validate(code);
  t.equal(createChecksum(memory, arena).name, 'wasm');
  WebAssembly.validate = () => false;
  t.equal(createChecksum(memory, arena).name, 'script');
  t.end();
});

t.test('fold', t => {
  t.equal(fold(0xffff), 0xffff);
  t.equal(fold(0x1_0000), 1);
  t.equal(fold(0xffff_ffff), 0xffff);
  t.end();
});

function slowSum(bytes: Uint8Array, initial: number): number {
  const sum = BigInt(slowChecksum(bytes) ^ 0xffff) + BigInt(initial);
  let folded = sum;
  while (folded > 0xffffn) folded = (folded & 0xffffn) + (folded >> 16n);
  return Number(folded);
}
