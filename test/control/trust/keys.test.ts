import t from 'tap';
import {
  ed25519PublicKey,
  generateSignKeyPair,
  generateX25519KeyPair,
  sharedSecret,
  signBytes,
  verifyBytes,
  x25519PublicKey,
} from '../../../src/control/trust/keys.ts';
import { fromHex, toHex } from '../../../src/util/bytes.ts';

const hex = (text: string): Uint8Array => fromHex(text)!;

t.test('Ed25519 as in RFC 8032, section 7.1, test 2', async t => {
  const secret = hex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
  const publicKey = hex('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c');
  const message = hex('72');
  const signature = signBytes(secret, message);
  t.equal(toHex(ed25519PublicKey(secret)), toHex(publicKey));
  t.equal(
    toHex(signature),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
  t.ok(verifyBytes(publicKey, message, signature));
  t.notOk(verifyBytes(publicKey, hex('73'), signature));
  t.notOk(verifyBytes(publicKey, message, signature.slice(1)));
  t.notOk(verifyBytes(publicKey.slice(1), message, signature));
  t.notOk(verifyBytes(new Uint8Array(32).fill(255), message, signature), 'rubbish for a key');
});

t.test('X25519 as in RFC 7748, section 6.1', async t => {
  const alice = hex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a');
  const bob = hex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb');
  t.equal(toHex(x25519PublicKey(alice)), '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a');
  t.equal(toHex(x25519PublicKey(bob)), 'de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f');
  const shared = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
  t.equal(toHex(sharedSecret(alice, x25519PublicKey(bob))!), shared);
  t.equal(toHex(sharedSecret(bob, x25519PublicKey(alice))!), shared);
});

t.test('low-order points and wrong lengths give no secret', async t => {
  const { privateKey } = generateX25519KeyPair();
  t.equal(sharedSecret(privateKey, new Uint8Array(32)), null);
  t.equal(
    sharedSecret(
      privateKey,
      Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0)),
    ),
    null,
  );
  t.equal(sharedSecret(privateKey, new Uint8Array(31)), null);
  t.throws(() => signBytes(new Uint8Array(31), new Uint8Array(1)), /32 bytes/);
});

t.test('made keys are clamped and fresh', async t => {
  const { privateKey } = generateX25519KeyPair();
  t.equal(privateKey[0]! & 7, 0);
  t.equal(privateKey[31]! & 0xc0, 0x40);
  t.not(toHex(generateSignKeyPair().privateKey), toHex(generateSignKeyPair().privateKey));
});
