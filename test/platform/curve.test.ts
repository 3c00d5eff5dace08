// X25519 by both of OpenSSL's doors. RFC vectors and low-order points are in openssl.test.ts; here the door that suite does
// not take on an official Node, and that a refusal leaves no error for node:crypto to trip over.

import t from 'tap';
import { createHash } from 'node:crypto';
import { loadFfi } from '../../src/platform/ffi/ffi.ts';
import { findCurve } from '../../src/platform/curve.ts';
import { toHex } from '../../src/util/bytes.ts';
import { hex, vectors } from '../fixtures/crypto-suite.ts';
import { libcOver } from '../fixtures/native.ts';

const ffi = await loadFfi();
const libc = libcOver(ffi);
type Multiply = { scalar: string; point: string; out: string };

t.test('EVP_PKEY agrees with the RFC', async t => {
  const curve = findCurve(libc, {
    symbol: (name, parameters, result) =>
      /x25519/i.test(name) ? null : ffi.symbol(name, parameters, result),
  })!;
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
