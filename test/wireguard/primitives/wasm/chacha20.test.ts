import t from 'tap';
import { createCipheriv } from 'node:crypto';
import { toHex } from '../../../../src/util/bytes.ts';
import { crypt, keystreamScalar, keystreamSimd } from '../../../../src/wireguard/primitives/wasm/chacha20.ts';
import { call } from '../../../../src/util/assembler.ts';
import { hex, vectors } from '../../../fixtures/twins/crypto-suite.ts';
import { seeded, seedOf } from '../../../fixtures/rng.ts';
import { runWasm } from '../../../fixtures/twins/wasm.ts';

const layout = { input: 64, stream: 128 };
const seed = seedOf(20);

for (const [name, keystream, wide] of [
  ['SIMD', keystreamSimd, true],
  ['plain', keystreamScalar, false],
] as const) {
  const { u8, u32, calls } = runWasm([keystream(layout), crypt(layout, blocks => call(0, blocks), wide)]);
  const begin = (key: Uint8Array, counter: number, nonce: Uint8Array): void => {
    u8.set(
      Uint8Array.from('expand 32-byte k', c => c.charCodeAt(0)),
      layout.input,
    );
    u8.set(key, layout.input + 16);
    u32[(layout.input + 48) / 4] = counter;
    u8.set(nonce, layout.input + 52);
  };

  t.test(`${name}: RFC 8439 block function`, async t => {
    const known =
      vectors<{ section: string; key: string; counter: number; nonce: string; block: string }[]>(
        'rfc8439-chacha20.json',
      );
    for (const { section, key, counter, nonce, block } of known) {
      begin(hex(key), counter, hex(nonce));
      calls[0]!(4);
      t.equal(toHex(u8.slice(layout.stream, layout.stream + 64)), block, section);
    }
  });

  t.test(`${name}: crypt continues the stream after the first block (seed ${seed})`, async t => {
    const rng = seeded(seed);
    const wrong: number[] = [];
    for (const bytes of [
      0, 1, 15, 16, 17, 63, 64, 65, 191, 192, 193, 255, 256, 257, 447, 448, 449, 1000, 1440,
    ]) {
      const [key, nonce, text] = [rng.bytes(32), rng.bytes(12), rng.bytes(bytes)];
      const at = 1024 + (bytes % 7);
      u8.fill(0xa5, 1000, 3000);
      u8.set(text, at);
      begin(key, 0, nonce);
      calls[0]!(Math.min(4, 1 + Math.ceil(bytes / 64)));
      calls[1]!(at, bytes);
      // OpenSSL's ChaCha20 takes counter ‖ nonce; block 0 belongs to Poly1305.
      const counter = Uint8Array.of(1, 0, 0, 0, ...nonce);
      const want = Uint8Array.from(createCipheriv('chacha20', key, counter).update(text));
      if (toHex(u8.slice(at, at + bytes)) !== toHex(want)) wrong.push(bytes);
      if (u8[at - 1] !== 0xa5 || u8[at + bytes] !== 0xa5) wrong.push(-bytes);
    }
    t.same(wrong, []);
  });
}
