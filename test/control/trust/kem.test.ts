import { XWing } from '@hpke/hybridkem-x-wing';
import t from 'tap';
import { labeledExpand, randomPrivateKey, x25519, xwing } from '../../../src/control/trust/kem.ts';
import { fromHex, isZero, toHex } from '../../../src/util/bytes.ts';

t.test('X-Wing: the first vector of the draft', async t => {
  const seed = fromHex('7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26')!;
  const coins = fromHex(
    '3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e235b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2',
  )!;
  const theirs = new XWing();
  const recipientPublicKey = await theirs.deserializePublicKey(xwing.publicKey(seed));
  const { enc, sharedSecret } = await theirs.encap({ recipientPublicKey, ekm: coins });
  t.equal(
    toHex(new Uint8Array(sharedSecret)),
    'd2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384',
  );
  t.strictSame(xwing.decapsulate(seed, new Uint8Array(enc)), new Uint8Array(sharedSecret));
});

t.test('both sides agree, every time on something else', async t => {
  for (const kem of [xwing, x25519]) {
    const privateKey = randomPrivateKey();
    const publicKey = kem.publicKey(privateKey);
    t.equal(publicKey.length, kem.publicKeyBytes);
    const one = kem.encapsulate(publicKey)!;
    const other = kem.encapsulate(publicKey)!;
    t.equal(one.enc.length, kem.encBytes);
    t.equal(one.secret.length, 32);
    t.strictSame(kem.decapsulate(privateKey, one.enc), one.secret);
    t.strictSame(kem.decapsulate(privateKey, other.enc), other.secret);
    t.strictNotSame(one, other);
    t.notOk(isZero(privateKey), 'the private key is not wiped');
  }
});

t.test('low-order points', async t => {
  const privateKey = randomPrivateKey();
  t.equal(x25519.encapsulate(new Uint8Array(32)), null);
  t.equal(x25519.decapsulate(privateKey, new Uint8Array(32)), null);
  const broken = xwing.publicKey(privateKey).fill(0, 1184);
  t.equal(xwing.encapsulate(broken), null);
  const { enc } = xwing.encapsulate(xwing.publicKey(privateKey))!;
  t.equal(xwing.decapsulate(privateKey, enc.fill(0, 1088)), null);
});

t.test('a lattice key out of range is refused (FIPS 203 §7.2)', async t => {
  const publicKey = xwing.publicKey(randomPrivateKey()).fill(0xff, 0, 1152);
  t.throws(() => xwing.encapsulate(publicKey));
});

t.test('expanding to fewer than 32 bytes names the length', async t => {
  const key = new Uint8Array(32);
  const whole = labeledExpand(new Uint8Array(0), key, 'x', new Uint8Array(0), 32);
  t.strictNotSame(labeledExpand(new Uint8Array(0), key, 'x', new Uint8Array(0), 12), whole.subarray(0, 12));
});
