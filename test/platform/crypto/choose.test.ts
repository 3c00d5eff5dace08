// Choosing a provider: a wrong one is never used, however fast.

import t from 'tap';
import { chooseCrypto, compareCrypto } from '../../../src/platform/crypto/choose.ts';
import type { CryptoLike } from '../../../src/platform/crypto/openssl.ts';
import { opensslProviders } from '../../../src/platform/crypto/openssl.ts';
import { stablelibProvider } from '../../../src/wireguard/primitives/stablelib.ts';
import { openLibc } from '../../fixtures/native.ts';

const libc = await openLibc();
const twin = stablelibProvider(libc.arena);
const portable = (): CryptoLike[] => [twin];

t.test('the first that gives the known answers', async t => {
  const { provider, candidates } = compareCrypto(libc, portable);
  t.match(provider!.name, /^openssl-(raw|evp)$/);
  for (const { name, failure, seal64, seal1440 } of candidates) {
    t.equal(failure, null, name);
    t.ok(seal64 > 0 && seal1440 > 0);
  }
  t.equal(chooseCrypto(libc, portable, 'stablelib'), twin);
  t.equal(chooseCrypto(libc, portable, 'openssl-evp').name, 'openssl-evp');
  t.throws(() => chooseCrypto(libc, portable, 'rot13'), { code: 'crypto', exit: 2 });
});

t.test('the portable are made when OpenSSL does not do', async t => {
  const right = opensslProviders(libc)[0]!;
  const quick: CryptoLike = {
    name: 'quick',
    sharedSecret: (...all) => right.sharedSecret(...all),
    publicKey: (...all) => right.publicKey(...all),
    seal: (...all) => right.seal(...all),
    open: (...all) => right.open(...all),
    aead: key => right.aead(key),
  };
  t.equal(
    chooseCrypto(libc, () => [quick], 'quick'),
    quick,
  );
  const wrong = { ...quick, publicKey: (out: Uint8Array) => void out.fill(1) };
  t.throws(() => chooseCrypto(libc, () => [wrong], 'quick'), {
    message: /derives a wrong public key/,
  });
  t.match(compareCrypto(libc, () => [wrong]).candidates.at(-1), {
    failure: 'derives a wrong public key',
    seal64: NaN,
  });
  chooseCrypto(libc, () => {
    throw new Error('nobody asks for more than OpenSSL where it works');
  });
});

t.test('without OpenSSL: the first portable one that is right, or none', async t => {
  const { arena } = libc;
  const wrong: CryptoLike = { ...twin, name: 'wrong', seal: out => void out.fill(1) };
  t.equal(
    chooseCrypto({ arena }, () => [wrong, twin]),
    twin,
  );
  t.equal(compareCrypto({ arena }, () => [wrong, twin]).provider, twin);
  t.throws(() => chooseCrypto({ arena }, () => [wrong]), {
    code: 'crypto',
    message: /handshake field wrongly/,
  });
  t.equal(compareCrypto({ arena }, () => [wrong]).provider, null);
});
