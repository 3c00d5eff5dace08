// What hashes and cookies use in a runtime without WebAssembly. Empty as a rule: `useFallback` fills it, once for each thread,
// before the first handshake.

export interface Fallback {
  /** out = BLAKE2s-256(a ‖ b). */
  hash(out: Uint8Array, a: Uint8Array, b: Uint8Array | null): void;
  /** out = keyed BLAKE2s-128(key, input), 16 bytes. */
  mac(out: Uint8Array, key: Uint8Array, input: Uint8Array): void;
  /** out = HMAC-BLAKE2s-256(key, a ‖ b); the key is at most one block of 64 bytes. */
  hmac(out: Uint8Array, key: Uint8Array, a: Uint8Array, b: Uint8Array | null): void;
  /** ChaCha20-Poly1305 with a nonce of 12 bytes; `out` is `plain.length + 16` long. */
  seal(out: Uint8Array, key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, additional: Uint8Array): void;
  /** The reverse; false leaves `out` untouched. */
  open(
    out: Uint8Array,
    key: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
    additional: Uint8Array,
  ): boolean;
}

export let fallback: Fallback | null = null;

/** Null returns to WebAssembly. */
export function useFallback(functions: Fallback | null): void {
  fallback = functions;
}
