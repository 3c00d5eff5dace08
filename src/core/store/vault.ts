// Secrets at rest: TOTP seeds, proof keys and the signing key are AES-256-GCM sealed with a key that lives outside the
// database (a file of mode 0600, or $CREDENTIALS_DIRECTORY). The name of the place is authenticated, so a sealed value
// cannot be moved to another row.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { PlainError } from '../../util/errors.ts';

export class Vault {
  readonly #key: Uint8Array;

  constructor(key: Uint8Array) {
    if (key.length !== 32) throw new Error('the store key has 32 bytes');
    this.#key = key;
  }

  seal(place: string, secret: Uint8Array): string {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce).setAAD(Buffer.from(place));
    return Buffer.concat([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]).toString(
      'base64',
    );
  }

  open(place: string, sealed: string): Uint8Array {
    const bytes = Buffer.from(sealed, 'base64');
    try {
      const cipher = createDecipheriv('aes-256-gcm', this.#key, bytes.subarray(0, 12)).setAAD(
        Buffer.from(place),
      );
      cipher.setAuthTag(bytes.subarray(bytes.length - 16));
      return new Uint8Array(
        Buffer.concat([cipher.update(bytes.subarray(12, bytes.length - 16)), cipher.final()]),
      );
    } catch (cause) {
      throw new PlainError(
        'wrong-store-key',
        `the secret ${place} does not open with this key file: it belongs to another store, or the store was changed`,
        1,
        cause,
      );
    }
  }
}
