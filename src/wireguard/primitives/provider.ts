// The seam to cryptography. The protocol asks for these few things; WebAssembly (`wasm/`, with a curve given to it) and the
// process's own OpenSSL (`platform/`) both provide them, pass the same vectors and are tested against each other.

/** One transport key in one direction, working in place on the arena it was made for. */
export interface Aead {
  /**
   * Encrypts `bytes` bytes of the arena at `at` and writes the 16-byte tag behind them. Empty additional data; the nonce is
   * four zero bytes and the little-endian 64-bit `counter` (whitepaper §5.4.6). A send counter is a plain number: at a
   * million packets a second 2^53 lasts 285 years.
   */
  seal(at: number, bytes: number, counter: number): void;
  /**
   * Authenticates and decrypts `bytes` bytes (ciphertext and tag) at `at`. The counter comes in two unsigned halves, for a
   * peer may send any 64-bit value. False leaves nothing worth reading behind.
   */
  open(at: number, bytes: number, counterLow: number, counterHigh: number): boolean;
  /** Wipes the key; the object must not be used again. */
  destroy(): void;
}

export interface CryptoProvider {
  readonly name: string;
  /** X25519. False when the result is all zero (a low-order point): the caller must abort. */
  sharedSecret(out: Uint8Array, privateKey: Uint8Array, publicKey: Uint8Array): boolean;
  /** The public key of a clamped private key. */
  publicKey(out: Uint8Array, privateKey: Uint8Array): void;
  /** A transport cipher; copies the 32-byte key. */
  aead(key: Uint8Array): Aead;
  /** Handshake ChaCha20-Poly1305 with zero nonce: `out` is `plain.length + 16` long. */
  seal(out: Uint8Array, key: Uint8Array, plain: Uint8Array, additional: Uint8Array): void;
  /** The reverse; false (and `out` wiped) when the tag is wrong. */
  open(out: Uint8Array, key: Uint8Array, sealed: Uint8Array, additional: Uint8Array): boolean;
}
