// Nominal types over structural ones: a public key passed where a pre-shared key belongs is a compile error, and the
// brand costs nothing at run time. Brand keys, indices and times; not every string.

declare const brand: unique symbol;

export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Curve25519 public key, 32 bytes. */
export type PublicKey = Brand<Uint8Array, 'PublicKey'>;
/** Curve25519 private key, 32 bytes, clamped. */
export type PrivateKey = Brand<Uint8Array, 'PrivateKey'>;
/** WireGuard pre-shared key, 32 bytes. All zero means "none" on the wire. */
export type PresharedKey = Brand<Uint8Array, 'PresharedKey'>;
