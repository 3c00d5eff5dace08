// Both OpenSSL providers on the suite every provider must pass, over each FFI back end this runtime has and each libcrypto.

import t from 'tap';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import type { Ffi } from '../../../src/platform/ffi/ffi.ts';
import { opensslProviders } from '../../../src/platform/crypto/openssl.ts';
import { cryptoSuite } from '../../fixtures/twins/crypto-suite.ts';
import { libcOver } from '../../fixtures/native.ts';

for (const name of ['node:ffi', 'koffi'] as const) {
  t.test(name, async t => {
    const libc = libcOver(await loadFfi(name));
    const providers = opensslProviders(libc);
    t.ok(providers.length > 0, 'this process has an OpenSSL');
    for (const provider of providers) cryptoSuite(t, provider, libc.arena);
  });
}

t.test('a shared libcrypto, when the process exports none; distributions hide the primitives', async t => {
  // A second OpenSSL cannot be loaded beside an exported one (its calls would end up in the first), so the library is one
  // in name only. Deno, which exports none, is served by the real thing.
  const inner = await loadFfi();
  const asked: string[] = [];
  const bare: Ffi = {
    ...inner,
    symbol: (name, parameters, result) =>
      /EVP|25519|ChaCha|Poly1305/.test(name) ? null : inner.symbol(name, parameters, result),
    library: path => {
      asked.push(path);
      if (path !== 'libcrypto.so.1.1') return null;
      return {
        symbol: (name, parameters, result) =>
          /25519|ChaCha20_ctr32|Poly1305_/.test(name) ? null : inner.symbol(name, parameters, result),
      };
    },
  };
  const libc = libcOver(bare);
  const providers = opensslProviders(libc);
  t.strictSame(asked, ['libcrypto.so.3', 'libcrypto.so.1.1']);
  t.strictSame(
    providers.map(provider => provider.name),
    ['openssl-evp'],
  );
  cryptoSuite(t, providers[0]!, libc.arena);
});

t.test('no libcrypto at all', async t => {
  const inner = await loadFfi();
  const none: Ffi = {
    ...inner,
    symbol: (symbol, parameters, result) =>
      /EVP|25519|ChaCha|Poly1305/.test(symbol) ? null : inner.symbol(symbol, parameters, result),
    library: () => null,
  };
  t.strictSame(opensslProviders(libcOver(none)), []);
});

t.test('handshake fields have a limit, and short ones are refused', async t => {
  const libc = libcOver(await loadFfi());
  for (const provider of opensslProviders(libc)) {
    const key = new Uint8Array(32);
    const long = new Uint8Array(3000);
    const none = new Uint8Array(0);
    t.throws(() => provider.seal(new Uint8Array(3016), key, long, none), /too long/);
    t.equal(provider.open(none, key, new Uint8Array(15), none), false);
    t.throws(() => provider.seal(new Uint8Array(16), new Uint8Array(31), none, none), /32 bytes/);
    t.throws(() => provider.publicKey(key, new Uint8Array(31)), /32 bytes/);
  }
});
