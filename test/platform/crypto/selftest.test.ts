// The self-test: it passes what is right, and finds every kind of wrong.

import t from 'tap';
import type { Libc } from '../../../src/platform/libc.ts';
import type { CryptoLike } from '../../../src/platform/crypto/openssl.ts';
import { opensslProviders } from '../../../src/platform/crypto/openssl.ts';
import { selfTest } from '../../../src/platform/crypto/selftest.ts';
import { openLibc } from '../../fixtures/native.ts';
import { stablelibProvider } from '../../../src/wireguard/primitives/stablelib.ts';

const libc = await openLibc();
const twin = stablelibProvider(libc.arena);

t.test('the slow twin gives the known answers', async t => {
  t.equal(selfTest(libc, twin), null);
});

/** A right provider with one thing wrong. */
function spoilt(change: (right: CryptoLike, libc: Libc) => Partial<CryptoLike>): string | null {
  const right = opensslProviders(libc)[0]!;
  const base: CryptoLike = {
    name: 'spoilt',
    sharedSecret: (...all) => right.sharedSecret(...all),
    publicKey: (...all) => right.publicKey(...all),
    aead: key => right.aead(key),
    seal: (...all) => right.seal(...all),
    open: (...all) => right.open(...all),
  };
  return selfTest(libc, { ...base, ...change(right, libc) });
}

/** An AEAD with one operation replaced. */
function withAead(
  change: (right: ReturnType<CryptoLike['aead']>, u8: Uint8Array) => Partial<ReturnType<CryptoLike['aead']>>,
): string | null {
  return spoilt((provider, { arena }) => ({
    aead: key => {
      const right = provider.aead(key);
      return {
        seal: (...all) => right.seal(...all),
        open: (...all) => right.open(...all),
        destroy: () => right.destroy(),
        ...change(right, arena.u8),
      };
    },
  }));
}

t.test('every kind of wrong is found', async t => {
  t.equal(
    spoilt(() => ({})),
    null,
  );
  const found = [
    withAead(right => ({ seal: (at, bytes, counter) => right.seal(at, bytes, counter >>> 0) })),
    spoilt(right => ({ aead: key => right.aead(key.map(byte => byte ^ 1)) })),
    withAead((right, u8) => ({
      seal: (at, bytes, counter) => {
        right.seal(at, bytes, counter);
        u8[at - 1] = 0;
      },
    })),
    withAead((right, u8) => ({
      seal: (at, bytes, counter) => {
        right.seal(at, bytes, counter);
        u8[at + bytes + 16] = 0;
      },
    })),
    withAead(() => ({ open: () => false })),
    withAead((right, u8) => ({
      open: (at, bytes, low, high) => {
        const ok = right.open(at, bytes, low, high);
        u8[at] = u8[at]! ^ 1;
        return ok;
      },
    })),
    withAead(right => ({
      open: (at, bytes, low, high) => {
        right.open(at, bytes, low, high);
        return true;
      },
    })),
    spoilt(() => ({ seal: out => void out.fill(0) })),
    spoilt(() => ({ open: () => false })),
    spoilt(() => ({
      open: (out, key, sealed, additional) =>
        twin.open(out, key, sealed, additional) || additional[0] !== 124,
    })),
    spoilt(() => ({
      aead: () => {
        throw new Error('not in FIPS mode');
      },
    })),
    spoilt(() => ({ publicKey: out => void out.fill(1) })),
    spoilt(() => ({ sharedSecret: () => false })),
    spoilt(right => ({
      sharedSecret: (out, privateKey, publicKey) => {
        right.sharedSecret(out, privateKey, publicKey);
        return true;
      },
    })),
  ];
  t.strictSame(found, [
    'does not open 0 bytes',
    'seals 0 bytes wrongly',
    'damages the bytes before a packet',
    'damages the bytes after a packet',
    'does not open 0 bytes',
    'opens 1 bytes wrongly',
    'accepts a forged tag',
    'seals a handshake field wrongly',
    'does not open a handshake field',
    'accepts forged additional data',
    'fails: not in FIPS mode',
    'derives a wrong public key',
    'computes a wrong shared secret',
    'accepts a low-order point',
  ]);
});
