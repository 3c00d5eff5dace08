// X25519 by both of OpenSSL's doors, whichever the provider would take: the RFC's vectors, low-order points, and no error
// left behind for node:crypto to trip over.

import t from 'tap';
import { createHash } from 'node:crypto';
import { loadFfi } from '../../../src/platform/ffi/load.ts';
import { findCurve } from '../../../src/platform/crypto/curve.ts';
import { toHex } from '../../../src/util/bytes.ts';
import { hex, vectors } from '../../fixtures/twins/crypto-suite.ts';
import { libcOver } from '../../fixtures/native.ts';

const ffi = await loadFfi();
const libc = libcOver(ffi);
type Multiply = { scalar: string; point: string; out: string };

const viaPkey = findCurve(libc, {
  symbol: (name, parameters, result) => (/x25519/i.test(name) ? null : ffi.symbol(name, parameters, result)),
})!;

t.test('both agree with the RFC and with each other', async t => {
  const curve = viaPkey;
  const direct = findCurve(libc, ffi)!;
  const [a, b] = [new Uint8Array(32), new Uint8Array(32)];
  direct.publicKey(a, new Uint8Array(32).fill(0x48));
  curve.publicKey(b, new Uint8Array(32).fill(0x48));
  t.strictSame(a, b);
  t.ok(direct.sharedSecret(a, new Uint8Array(32).fill(0x50), b));
  t.ok(curve.sharedSecret(b, new Uint8Array(32).fill(0x50), b));
  t.strictSame(a, b);
  const out = new Uint8Array(32);
  for (const { scalar, point, out: expected } of vectors<{ multiply: Multiply[] }>('rfc7748.json').multiply) {
    t.ok(curve.sharedSecret(out, hex(scalar), hex(point)));
    t.equal(toHex(out), expected);
  }
  for (const point of vectors<string[]>('low-order-points.json'))
    t.notOk(curve.sharedSecret(out, new Uint8Array(32).fill(8), hex(point)), point);
  t.ok(createHash('sha256').update('still well').digest('hex').length === 64);
  curve.publicKey(out, hex('77076d0a7318a57d3c16c17251b26645'.padEnd(64, '1')));
  t.equal(out.length, 32);
});

t.test('failures', async t => {
  t.equal(findCurve(libc, { symbol: () => null }), null);
  const broken = findCurve(libc, {
    symbol: (name, parameters, result) => {
      if (/x25519/i.test(name)) return null;
      if (name === 'EVP_PKEY_new_raw_private_key') return Object.assign(() => 0, { raw: () => ffi.word(0) });
      return ffi.symbol(name, parameters, result);
    },
  })!;
  const key = new Uint8Array(32).fill(9);
  t.notOk(broken.sharedSecret(new Uint8Array(32), key, key));
  t.throws(() => broken.publicKey(new Uint8Array(32), key), /cannot derive/);
});
