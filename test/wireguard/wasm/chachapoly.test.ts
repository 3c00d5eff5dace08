import t from 'tap';
import { Arena } from '../../../src/util/arena.ts';
import { isZero, toHex } from '../../../src/util/bytes.ts';
import { buildModule, hasSimd, wasmProvider } from '../../../src/wireguard/wasm/chachapoly.ts';
import { stablelibProvider } from '../../../src/wireguard/crypto.ts';
import { cryptoSuite } from '../../fixtures/crypto-suite.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

const sharedMemory = (): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });

for (const simd of [true, false])
  for (const shared of [true, false])
    t.test(`${simd ? 'SIMD' : 'plain'} on ${shared ? 'shared' : 'own'} memory`, async t => {
      const memory = shared ? sharedMemory() : new WebAssembly.Memory({ initial: 2 });
      const arena = new Arena(memory.buffer);
      cryptoSuite(t, wasmProvider(arena, memory, simd), arena);
    });

t.test('the engine of the tests has SIMD, and the default uses it', async t => {
  const memory = sharedMemory();
  t.equal(hasSimd(), true);
  t.equal(wasmProvider(new Arena(memory.buffer), memory).name, 'wasm-simd');
  t.equal(wasmProvider(new Arena(memory.buffer), memory, false).name, 'wasm');
});

t.test('the plain module has no vector instruction, and both are small', async t => {
  // 0xfd begins every vector instruction; constants of the plain module happen to contain none.
  t.notOk(buildModule(0, false, true).includes(0xfd));
  t.ok(buildModule(1 << 20, true, true).length < 12 * 1024);
  t.ok(buildModule(1 << 20, false, true).length < 4 * 1024);
});

t.test('the arena must lie on the memory given', async t => {
  const arena = new Arena(new SharedArrayBuffer(65536));
  t.throws(() => wasmProvider(arena, sharedMemory()), /does not lie on/);
});

t.test('destroy wipes the key and the scratch space', async t => {
  const memory = sharedMemory();
  const arena = new Arena(memory.buffer);
  const before = arena.alloc(0, 64);
  const cipher = wasmProvider(arena, memory).aead(new Uint8Array(32).fill(0x77));
  const at = arena.alloc(256);
  cipher.seal(at, 100, 1);
  t.notOk(isZero(arena.u8.subarray(before + 16, at)));
  cipher.destroy();
  t.ok(isZero(arena.u8.subarray(before + 16, at)));
});

const seed = seedOf(55);
t.test(`agrees with StableLib on super-packets up to 64 KiB (seed ${seed})`, async t => {
  const memory = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  const arena = new Arena(memory.buffer);
  const rng = seeded(seed);
  const [key, text] = [rng.bytes(32), rng.bytes(65535)];
  const at = arena.alloc(65535 + 16);
  const seals = [
    wasmProvider(arena, memory, true),
    wasmProvider(arena, memory, false),
    stablelibProvider(arena),
  ].map(provider => {
    arena.u8.set(text, at);
    provider.aead(key).seal(at, text.length, 2 ** 40 + 3);
    return toHex(arena.u8.slice(at + text.length, at + text.length + 16));
  });
  t.equal(seals[0], seals[2]);
  t.equal(seals[1], seals[2]);
});
