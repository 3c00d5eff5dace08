// The portable crypto providers, for where OpenSSL cannot be called: ciphers in WebAssembly with X25519 by node:crypto, and
// StableLib where there is no WebAssembly either.

import { sharedSecret, x25519PublicKey } from '../control/trust/keys.ts';
import type { Arena } from '../util/arena.ts';
import { wipe } from '../util/bytes.ts';
import { hasWebAssembly, type Memory } from '../util/memory.ts';
import { useFallback } from '../wireguard/primitives/fallback.ts';
import type { CryptoProvider } from '../wireguard/primitives/provider.ts';
import { wasmProvider } from '../wireguard/primitives/wasm/chachapoly.ts';
import { hasSimd } from '../wireguard/primitives/wasm/module.ts';

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

type StableLib = typeof import('../wireguard/primitives/stablelib.ts');
let stablelib: StableLib | null = null;

/**
 * Loads StableLib, once for each thread: where it is `wanted`, and where there is no WebAssembly, which hashes need too.
 * Call it before `portableProviders`.
 */
export async function preparePortable(wanted = 'auto'): Promise<void> {
  if (hasWebAssembly && wanted !== stablelibName) return;
  stablelib ??= await import('../wireguard/primitives/stablelib.ts');
  if (!hasWebAssembly) useFallback(stablelib.stablelibFallback);
}

export const stablelibName = 'stablelib';

/** The best first; each is made when asked for. */
export function* portableProviders(arena: Arena, memory: Memory): Generator<CryptoProvider> {
  if (hasWebAssembly) {
    if (hasSimd()) yield wasmProvider(arena, memory, nodeCurve);
    yield wasmProvider(arena, memory, nodeCurve, false);
  }
  if (stablelib !== null) yield stablelib.stablelibProvider(arena);
}
