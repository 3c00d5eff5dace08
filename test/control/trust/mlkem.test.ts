// The runtime's ML-KEM and SHA-3 against the library's: the same keys, texts that either opens, the same refusals.

import t from 'tap';
import { sha3_256, shake256 } from '@noble/hashes/sha3.js';
import { toHex } from '../../../src/util/bytes.ts';
import { findNativeKem, libraryKem, mlKem, sha3, shake } from '../../../src/control/trust/mlkem.ts';
import type { MlKem } from '../../../src/control/trust/mlkem.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

const native = findNativeKem();

t.test('the runtime of the lock file has its own, and it is taken', async t => {
  t.equal(native?.name, 'native');
  t.equal(mlKem().name, 'native');
});

t.test('a runtime that has none, or one that is wrong, leaves the library', async t => {
  t.equal(findNativeKem({}), null);
  t.equal(
    findNativeKem({ encapsulate: () => ({ sharedKey: new Uint8Array(32), ciphertext: new Uint8Array(1) }) }),
    null,
  );
  const wrong = {
    encapsulate: () => ({ sharedKey: new Uint8Array(32).fill(1), ciphertext: new Uint8Array(1088) }),
    decapsulate: () => new Uint8Array(32),
  };
  t.equal(findNativeKem(wrong), null);
});

const seed = seedOf(203);
t.test(`both agree (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const pairs: [MlKem, MlKem][] = [
    [native!, libraryKem],
    [libraryKem, native!],
  ];
  for (let i = 0; i < 20; i++) {
    const key = rng.bytes(64);
    const publicKey = native!.publicKey(key);
    t.equal(toHex(publicKey), toHex(libraryKem.publicKey(key)), 'public key');
    for (const [maker, reader] of pairs) {
      const { secret, text } = maker.encapsulate(publicKey);
      t.equal(text.length, 1088);
      t.equal(toHex(reader.decapsulate(key, text)), toHex(secret), `${reader.name} reads ${maker.name}`);
      text[rng.below(text.length)]! ^= 1 << rng.below(8);
      const other = maker.decapsulate(key, text);
      t.not(toHex(other), toHex(secret), 'another text, another secret');
      t.equal(toHex(reader.decapsulate(key, text)), toHex(other), 'implicit rejection is the same');
    }
  }
});

t.test('a public key that fails the check of FIPS 203 §7.2', async t => {
  const bad = new Uint8Array(1184).fill(0xff);
  for (const kem of [native!, libraryKem]) t.throws(() => kem.encapsulate(bad), kem.name);
  for (const kem of [native!, libraryKem]) t.throws(() => kem.encapsulate(bad.subarray(1)), kem.name);
});

t.test('SHA-3', async t => {
  const rng = seeded(202);
  for (const bytes of [0, 1, 135, 136, 137, 1000]) {
    const input = rng.bytes(bytes);
    t.equal(toHex(sha3(input)), toHex(sha3_256(input)));
    t.equal(toHex(shake(input, 96)), toHex(shake256(input, { dkLen: 96 })));
  }
});
