// The portable crypto providers: ciphers in WebAssembly, X25519 by node:crypto. What is left where OpenSSL cannot be called.

import { sharedSecret, x25519PublicKey } from '../../../control/trust/keys.ts';
import type { Arena } from '../../../util/arena.ts';
import { wipe } from '../../../util/bytes.ts';
import type { CryptoProvider } from '../../../wireguard/primitives/provider.ts';
import { wasmProvider } from '../../../wireguard/primitives/wasm/chachapoly.ts';
import { hasSimd } from '../../../wireguard/primitives/wasm/module.ts';

/** X25519 by node:crypto: 80 us, where script takes nearly a millisecond and ten on a small ARM. */
export const nodeCurve: Pick<CryptoProvider, 'sharedSecret' | 'publicKey'> = {
  sharedSecret(out, privateKey, publicKey) {
    const secret = sharedSecret(privateKey, publicKey);
    out.fill(0);
    if (secret === null) return false;
    out.set(secret);
    wipe(secret);
    return true;
  },
  publicKey: (out, privateKey) => out.set(x25519PublicKey(privateKey)),
};

/** With vector instructions first, where the engine has them; each is made when asked for. */
export function* portableProviders(arena: Arena, memory: WebAssembly.Memory): Generator<CryptoProvider> {
  if (hasSimd()) yield wasmProvider(arena, memory, nodeCurve);
  yield wasmProvider(arena, memory, nodeCurve, false);
}
