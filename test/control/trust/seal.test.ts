import t from 'tap';
import {
  generateKemKeyPair,
  kemOf,
  kemPublicKeyText,
  loginDigest,
  open,
  seal,
  sealedText,
} from '../../../src/control/trust/seal.ts';
import type { SealTranscript } from '../../../src/control/trust/seal.ts';
import { check } from '../../../src/control/validate.ts';
import { equalBytes, isZero } from '../../../src/util/bytes.ts';

const transcript: SealTranscript = { grant: 's_1', device: 'AA', location: 'loc_1', login: 'BB' };
const psk = Uint8Array.from({ length: 32 }, (_, i) => i);

t.test('only the one reader opens, and only what it was meant for', async t => {
  const reader = generateKemKeyPair();
  const stranger = generateKemKeyPair();
  const sealed = seal(reader.publicKey, 'agent', transcript, psk)!;
  t.ok(check(kemPublicKeyText, reader.publicKey).ok);
  t.ok(check(sealedText, sealed).ok);
  t.ok(equalBytes(open(reader, 'agent', transcript, sealed)!, psk));
  t.equal(open(stranger, 'agent', transcript, sealed), null);
  t.equal(open(reader, 'client', transcript, sealed), null, 'another purpose');
  for (const field of ['grant', 'device', 'location', 'login'] as const)
    t.equal(open(reader, 'agent', { ...transcript, [field]: 'x' }, sealed), null, `another ${field}`);
  const flipped = `${sealed.slice(0, -1)}${sealed.endsWith('A') ? 'B' : 'A'}`;
  t.equal(open(reader, 'agent', transcript, flipped), null);
  t.not(seal(reader.publicKey, 'agent', transcript, psk), sealed, 'fresh every time');
});

t.test('fields cannot slide into each other', async t => {
  const reader = generateKemKeyPair();
  const sealed = seal(reader.publicKey, 'agent', { ...transcript, grant: 'ab', device: 'c' }, psk)!;
  t.equal(open(reader, 'agent', { ...transcript, grant: 'a', device: 'bc' }, sealed), null);
});

t.test('plain X25519 only where both say so', async t => {
  const reader = generateKemKeyPair('x25519');
  t.equal(seal(reader.publicKey, 'client', transcript, psk), null);
  const sealed = seal(reader.publicKey, 'client', transcript, psk, { allowX25519: true })!;
  t.ok(check(sealedText, sealed).ok);
  t.equal(kemOf(sealed), 'x25519');
  t.equal(open(reader, 'client', transcript, sealed), null);
  t.ok(equalBytes(open(reader, 'client', transcript, sealed, { allowX25519: true })!, psk));
  const hybrid = generateKemKeyPair();
  t.equal(open(hybrid, 'client', transcript, sealed, { allowX25519: true }), null, 'no mixing');
});

t.test('malformed keys and texts', async t => {
  const reader = generateKemKeyPair();
  for (const text of ['', 'xwing', 'xwing.', 'xwing.AA', 'rsa.AAAA', 'xwing.AA.AA', `${reader.publicKey}x`]) {
    t.equal(seal(text, 'agent', transcript, psk, { allowX25519: true }), null, text.slice(0, 9));
    t.equal(open(reader, 'agent', transcript, text, { allowX25519: true }), null);
  }
  const zero = `x25519.${'A'.repeat(43)}`;
  t.equal(seal(zero, 'client', transcript, psk, { allowX25519: true }), null, 'a low-order point');
  t.throws(() => seal(reader.publicKey, 'agent', transcript, new Uint8Array(31)), /32-byte/);
  t.notOk(isZero(psk), 'the caller’s key is left alone');
});

t.test('the login digest depends on both nonces', async t => {
  t.not(loginDigest('a', 'b'), loginDigest('b', 'a'));
  t.equal(loginDigest('a', 'b').length, 44);
});
