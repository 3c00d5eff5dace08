import t from 'tap';
import { equalBytes, fromBase64, fromHex, isZero, toBase64, toHex, wipe } from '../../src/util/bytes.ts';
import { seeded, seedOf } from '../fixtures/rng.ts';

t.test('equalBytes compares content and length', async t => {
  t.equal(equalBytes(Uint8Array.of(), Uint8Array.of()), true);
  t.equal(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  t.equal(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)), false);
  t.equal(equalBytes(Uint8Array.of(0, 2), Uint8Array.of(1, 2)), false);
  t.equal(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0)), false);
});

t.test('isZero looks at every byte', async t => {
  t.equal(isZero(new Uint8Array(0)), true);
  t.equal(isZero(new Uint8Array(32)), true);
  for (let i = 0; i < 32; i++) {
    const bytes = new Uint8Array(32);
    bytes[i] = 0x80;
    t.equal(isZero(bytes), false);
  }
});

t.test('wipe overwrites all it is given', async t => {
  const [a, b] = [Uint8Array.of(1, 2), Uint8Array.of(3)];
  wipe(a, b);
  t.ok(isZero(a) && isZero(b));
});

t.test('hex is strict', async t => {
  t.equal(toHex(Uint8Array.of(0, 1, 0x7f, 0x80, 0xff)), '00017f80ff');
  t.same(fromHex('00017F80fF'), Uint8Array.of(0, 1, 0x7f, 0x80, 0xff));
  t.same(fromHex(''), new Uint8Array(0));
  for (const text of ['0', '0g', ' 00', '00 ', '0x00', '00\n', '+1', '-1', '00\u0660\u0660', '\uff10\uff10'])
    t.equal(fromHex(text), null, JSON.stringify(text));
});

t.test('base64 is strict and canonical', async t => {
  t.equal(toBase64(Uint8Array.of(1, 2, 3, 4)), 'AQIDBA==');
  t.same(fromBase64('AQIDBA=='), Uint8Array.of(1, 2, 3, 4));
  t.same(fromBase64(''), new Uint8Array(0));
  for (const text of [
    'A',
    'AQ',
    'AQI',
    'AQ=',
    'A===',
    '====',
    'AQIDBB==',
    'AQ I',
    ' AQID',
    'AQID\n',
    'AQ_-',
    '=AQI',
  ])
    t.equal(fromBase64(text), null, JSON.stringify(text));
  // `wg` refuses a key whose last character has stray bits.
  const key = toBase64(new Uint8Array(32));
  t.equal(key, 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=');
  t.equal(fromBase64(key.slice(0, 42) + 'B='), null);
});

const seed = seedOf(64);
t.test(`hex and base64 agree with Buffer (seed ${seed})`, async t => {
  const rng = seeded(seed);
  const wrong: number[] = [];
  for (let n = 0; n < 200; n++) {
    const bytes = rng.bytes(n);
    const buffer = Buffer.from(bytes);
    const same = [fromHex(buffer.toString('hex')), fromBase64(buffer.toString('base64'))].every(
      read => read !== null && equalBytes(read, bytes),
    );
    if (!same || toHex(bytes) !== buffer.toString('hex') || toBase64(bytes) !== buffer.toString('base64'))
      wrong.push(n);
  }
  t.same(wrong, []);
});
