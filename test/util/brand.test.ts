import t from 'tap';
import type { PresharedKey, PrivateKey, PublicKey } from '../../src/util/brand.ts';
import '../../src/util/brand.ts';

// Brands exist for the compiler only: the `@ts-expect-error` lines below are the test, `npm run types` runs it.

t.test('keys of one kind are not keys of another', async t => {
  const bytes = new Uint8Array(32);
  const publicKey = bytes as PublicKey;
  const wantsPsk = (key: PresharedKey): number => key.length;
  const wantsPrivate = (key: PrivateKey): number => key.length;
  const wantsBytes = (key: Uint8Array): number => key.length;
  // @ts-expect-error a public key is not a pre-shared key
  t.equal(wantsPsk(publicKey), 32);
  // @ts-expect-error nor a private key
  t.equal(wantsPrivate(publicKey), 32);
  // @ts-expect-error plain bytes have no brand
  t.equal(wantsPsk(bytes), 32);
  t.equal(wantsBytes(publicKey), 32);
});
