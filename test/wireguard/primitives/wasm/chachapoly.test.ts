import t from 'tap';
import { ChaCha20Poly1305 } from '@stablelib/chacha20poly1305';
import { nodeCurve } from '../../../../src/agent/portableproviders.ts';
import { Arena } from '../../../../src/util/arena.ts';
import { isZero, toHex } from '../../../../src/util/bytes.ts';
import { ChachaPoly, wasmProvider } from '../../../../src/wireguard/primitives/wasm/chachapoly.ts';
import { stablelibProvider } from '../../../../src/wireguard/primitives/stablelib.ts';
import { cryptoSuite, hex, opensslSeal, vectors } from '../../../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../../../fixtures/rng.ts';

const sharedMemory = (): WebAssembly.Memory =>
  new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });

for (const simd of [true, false])
  for (const shared of [true, false])
    t.test(`${simd ? 'SIMD' : 'plain'} on ${shared ? 'shared' : 'own'} memory`, async t => {
      const memory = shared ? sharedMemory() : new WebAssembly.Memory({ initial: 2 });
      const arena = new Arena(memory.buffer);
      cryptoSuite(t, wasmProvider(arena, memory, nodeCurve, simd), arena);
    });

t.test('SIMD is the default where the engine has it', async t => {
  const memory = sharedMemory();
  t.equal(wasmProvider(new Arena(memory.buffer), memory, nodeCurve).name, 'wasm-simd');
  t.equal(wasmProvider(new Arena(memory.buffer), memory, nodeCurve, false).name, 'wasm');
});

t.test('the arena must lie on the memory given', async t => {
  const arena = new Arena(new SharedArrayBuffer(65536));
  t.throws(() => wasmProvider(arena, sharedMemory(), nodeCurve), /does not lie on/);
});

t.test('destroy wipes the key and the scratch space', async t => {
  const memory = sharedMemory();
  const arena = new Arena(memory.buffer);
  const before = arena.alloc(0, 64);
  const cipher = wasmProvider(arena, memory, nodeCurve).aead(new Uint8Array(32).fill(0x77));
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
    wasmProvider(arena, memory, nodeCurve, true),
    wasmProvider(arena, memory, nodeCurve, false),
    stablelibProvider(arena),
  ].map(provider => {
    arena.u8.set(text, at);
    provider.aead(key).seal(at, text.length, 2 ** 40 + 3);
    return toHex(arena.u8.slice(at + text.length, at + text.length + 16));
  });
  t.equal(seals[0], seals[2]);
  t.equal(seals[1], seals[2]);
});

for (const simd of [true, false]) {
  const name = simd ? 'SIMD' : 'plain';
  const make = (): { arena: Arena; box: ChachaPoly } => {
    const memory = sharedMemory();
    const arena = new Arena(memory.buffer);
    return { arena, box: new ChachaPoly(arena, memory, simd) };
  };

  t.test(`${name}: RFC 8439 with additional data and a nonce`, async t => {
    const { box } = make();
    type Sealed = { section: string } & Record<'key' | 'nonce' | 'plain' | 'additional' | 'sealed', string>;
    for (const v of vectors<Sealed[]>('rfc8439-aead.json')) {
      const sealed = new Uint8Array(v.sealed.length / 2);
      box.seal(sealed, hex(v.key), hex(v.nonce), hex(v.plain), hex(v.additional));
      t.equal(toHex(sealed), v.sealed, v.section);
      const plain = new Uint8Array(v.plain.length / 2);
      t.ok(box.open(plain, hex(v.key), hex(v.nonce), sealed, hex(v.additional)));
      t.equal(toHex(plain), v.plain);
    }
  });

  t.test(
    `${name}: additional data of every length, against StableLib and OpenSSL (seed ${seed})`,
    async t => {
      const { arena, box } = make();
      const rng = seeded(seed + 1);
      const wrong: string[] = [];
      const edges = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 191, 192, 193];
      for (let extra = 0; extra <= 64; extra++)
        for (const bytes of [...edges, rng.below(700)]) {
          const [key, nonce, plain] = [rng.bytes(32), rng.bytes(12), rng.bytes(bytes)];
          const additional = rng.bytes(extra);
          const what = `${bytes} bytes, ${extra} additional`;
          const sealed = new Uint8Array(bytes + 16);
          box.seal(sealed, key, nonce, plain, additional);
          const want = toHex(new ChaCha20Poly1305(key).seal(nonce, plain, additional));
          if (want !== toHex(opensslSeal(key, nonce, plain, additional))) wrong.push(`the twins, ${what}`);
          if (toHex(sealed) !== want) wrong.push(`seal ${what}`);
          const opened = new Uint8Array(bytes);
          if (!box.open(opened, key, nonce, sealed, additional)) wrong.push(`open ${what}`);
          if (toHex(opened) !== toHex(plain)) wrong.push(`plain ${what}`);

          opened.fill(0xee);
          const forgeries: [string, boolean][] = [
            ['text', box.open(opened, key, nonce, flipped(sealed, rng.below(8 * sealed.length)), additional)],
            ['nonce', box.open(opened, key, flipped(nonce, rng.below(96)), sealed, additional)],
            ['longer', box.open(opened, key, nonce, sealed, Uint8Array.of(...additional, 0))],
          ];
          if (extra > 0) {
            const other = flipped(additional, rng.below(8 * extra));
            forgeries.push(['additional', box.open(opened, key, nonce, sealed, other)]);
            forgeries.push(['shorter', box.open(opened, key, nonce, sealed, additional.subarray(1))]);
          }
          for (const [of, ok] of forgeries) if (ok) wrong.push(`accepts another ${of}: ${what}`);
          if (opened.some(byte => byte !== 0xee)) wrong.push(`a forgery was written out: ${what}`);
        }
      t.same(wrong, []);
      t.ok(isZero(arena.u8.subarray(16)), 'nothing of it is left in memory but the constants of ChaCha20');
    },
  );

  t.test(`${name}: too short for a tag, too long for the box`, async t => {
    const { box } = make();
    const [key, nonce, none] = [new Uint8Array(32), new Uint8Array(12), new Uint8Array(0)];
    for (let n = 0; n < 16; n++) t.equal(box.open(none, key, nonce, new Uint8Array(n), none), false);
    const most = 1024 - 16;
    box.seal(new Uint8Array(most + 16), key, nonce, new Uint8Array(most), none);
    for (const [bytes, extra] of [
      [most + 1, 0],
      [most, 1],
      [0, 1025],
    ] as const)
      t.throws(
        () => box.seal(new Uint8Array(bytes + 16), key, nonce, new Uint8Array(bytes), new Uint8Array(extra)),
        /too long for a handshake field/,
      );
  });

  t.test(`${name}: a handshake field does not disturb a transport cipher`, async t => {
    const { arena, box } = make();
    const rng = seeded(seed + 2);
    const [key, plain] = [rng.bytes(32), rng.bytes(100)];
    const cipher = box.aead(key);
    const at = arena.alloc(256);
    for (let counter = 0; counter < 3; counter++) {
      const nonce = Uint8Array.of(0, 0, 0, 0, counter, 0, 0, 0, 0, 0, 0, 0);
      arena.u8.set(plain, at);
      cipher.seal(at, plain.length, counter);
      t.equal(toHex(arena.u8.slice(at, at + 116)), toHex(opensslSeal(key, nonce, plain, new Uint8Array(0))));
      box.seal(new Uint8Array(48), rng.bytes(32), rng.bytes(12), rng.bytes(32), rng.bytes(32));
      t.ok(cipher.open(at, 116, counter, 0));
    }
  });
}

function flipped(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}
