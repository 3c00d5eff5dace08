import { Chacha20Poly1305 } from '@hpke/chacha20poly1305';
import { CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { XWing } from '@hpke/hybridkem-x-wing';
import t from 'tap';
import { openBase, sealBase } from '../../../src/control/trust/hpke.ts';
import { randomPrivateKey, x25519, xwing } from '../../../src/control/trust/kem.ts';
import { fromHex } from '../../../src/util/bytes.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

t.test('RFC 9180, A.2.1: X25519, HKDF-SHA256, ChaCha20Poly1305, base mode, first message', async t => {
  const opened = openBase(
    x25519,
    fromHex('8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb')!,
    fromHex('4f6465206f6e2061204772656369616e2055726e')!,
    fromHex('436f756e742d30')!,
    {
      enc: fromHex('1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a')!,
      ciphertext: fromHex(
        '1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28',
      )!,
    },
  );
  t.equal(new TextDecoder().decode(opened), 'Beauty is truth, truth beauty');
});

t.test('a kept library of the same standards seals and opens the same, both ways', async t => {
  const suites = [
    { kem: xwing, theirs: new XWing() },
    { kem: x25519, theirs: new DhkemX25519HkdfSha256() },
  ];
  for (const { kem, theirs } of suites) {
    const suite = new CipherSuite({ kem: theirs, kdf: new HkdfSha256(), aead: new Chacha20Poly1305() });
    for (const [info, aad, plain] of [
      ['', '', ''],
      ['info', 'aad', 'plain text'],
      ['i'.repeat(300), 'a'.repeat(1000), 'p'.repeat(5000)],
    ] as const) {
      const privateKey = randomPrivateKey();
      const publicKey = kem.publicKey(privateKey);
      const recipientKey = await suite.kem.deserializePrivateKey(privateKey);

      const ours = sealBase(kem, publicKey, bytes(info), bytes(aad), bytes(plain))!;
      const read = await suite.open(
        { recipientKey, enc: ours.enc, info: bytes(info) },
        ours.ciphertext,
        bytes(aad),
      );
      t.equal(new TextDecoder().decode(read), plain, `${theirs.id}: theirs opens ours`);

      const recipientPublicKey = await suite.kem.deserializePublicKey(publicKey);
      const { enc, ct } = await suite.seal(
        { recipientPublicKey, info: bytes(info) },
        bytes(plain),
        bytes(aad),
      );
      const sealed = { enc: new Uint8Array(enc), ciphertext: new Uint8Array(ct) };
      t.equal(
        new TextDecoder().decode(openBase(kem, privateKey, bytes(info), bytes(aad), sealed)),
        plain,
        `${theirs.id}: ours opens theirs`,
      );
    }
  }
});

t.test('nothing opens that was touched', async t => {
  for (const kem of [xwing, x25519]) {
    const privateKey = randomPrivateKey();
    const sealed = sealBase(kem, kem.publicKey(privateKey), bytes('i'), bytes('a'), bytes('plain'))!;
    const opened = (changes: { enc?: Uint8Array; ciphertext?: Uint8Array; info?: string; aad?: string }) =>
      openBase(kem, privateKey, bytes(changes.info ?? 'i'), bytes(changes.aad ?? 'a'), {
        enc: changes.enc ?? sealed.enc,
        ciphertext: changes.ciphertext ?? sealed.ciphertext,
      });
    t.equal(new TextDecoder().decode(opened({})), 'plain');
    const flip = (whole: Uint8Array, at: number): Uint8Array =>
      whole.map((byte, i) => (i === at ? byte ^ 1 : byte));
    for (const at of [0, 31, kem.encBytes - 2]) t.equal(opened({ enc: flip(sealed.enc, at) }), null);
    for (const at of [0, 4, 5, 20]) t.equal(opened({ ciphertext: flip(sealed.ciphertext, at) }), null);
    t.equal(opened({ info: 'j' }), null);
    t.equal(opened({ aad: '' }), null);
    t.equal(opened({ ciphertext: sealed.ciphertext.subarray(0, 15) }), null);
    t.equal(openBase(kem, randomPrivateKey(), bytes('i'), bytes('a'), sealed), null);
  }
});
