import t from 'tap';
import { attribute, attributes, decodeTable, encodeTable } from '../../../src/agent/ubus/blobmsg.ts';
import { toHex } from '../../../src/util/bytes.ts';
import { seeded, seedOf } from '../../fixtures/rng.ts';

// Computed by hand from libubox's blob.h and blobmsg.h; spaces are for the eye.
const vectors: [name: string, table: Parameters<typeof encodeTable>[0], hex: string][] = [
  ['string', { a: 'hi' }, '8300000b 0001 6100 686900 00'],
  ['bool', { on: true }, '8700000d 0002 6f6e 00000000 01 000000'],
  ['int32', { n: 1 }, '8500000c 0001 6e00 00000001'],
  ['negative', { n: -2 }, '8500000c 0001 6e00 fffffffe'],
  ['int64', { n: 2 ** 40 }, '84000010 0001 6e00 0000010000000000'],
  ['double', { d: 0.5 }, '88000010 0001 6400 3fe0000000000000'],
  ['empty table', { t: {} }, '82000008 0001 7400'],
  [
    'array of strings',
    { l: ['x', 'y'] },
    '81000020 0001 6c00  8300000a 0000 0000 7800 0000  8300000a 0000 0000 7900 0000',
  ],
  ['table in a table', { t: { n: 1 } }, '82000014 0001 7400  8500000c 0001 6e00 00000001'],
];

t.test('vectors', async t => {
  for (const [name, table, hex] of vectors) {
    const bytes = encodeTable(table);
    t.equal(toHex(bytes), hex.replaceAll(' ', ''), name);
    t.same({ ...decodeTable(bytes) }, table, `${name}, read`);
  }
});

t.test('an attribute that is not extended', async t => {
  t.equal(toHex(attribute(3, Uint8Array.of(0, 0, 0, 9))), '0300000800000009');
  t.throws(() => attribute(1, new Uint8Array(1 << 24)), /24 bit/);
});

t.test('the last padding may be missing', async t => {
  const whole = encodeTable({ a: 'hi' });
  t.same({ ...decodeTable(whole.subarray(0, 11)) }, { a: 'hi' });
});

t.test('a member called __proto__ is only a member', async t => {
  const table = decodeTable(encodeTable(JSON.parse('{"__proto__": "x"}') as { [name: string]: string }))!;
  t.equal(Object.getPrototypeOf(table), null);
  t.equal(table['__proto__'], 'x');
});

t.test('broken bytes are null', async t => {
  const bad = {
    'a short head': '830000',
    'a length below the head': '83000003',
    'a length beyond the end': '83000020 0001 6100 6869 0000',
    'no name': '83000004',
    'a name beyond the end': '8300000c 0009 6100 686900 00',
    'a name without its zero': '8300000c 0001 6161 686900 00',
    'a string without its zero': '8300000a 0001 6100 6869 0000',
    'an int32 of three bytes': '8500000b 0001 6e00 000001 00',
    'a type that does not exist': '8f00000c 0001 6e00 00000001',
    'not extended': '0300000b 0001 6100 686900 00',
  };
  for (const [name, hex] of Object.entries(bad))
    t.equal(decodeTable(Buffer.from(hex.replaceAll(' ', ''), 'hex')), null, name);
});

t.test('depth is bounded', async t => {
  let table: Parameters<typeof encodeTable>[0] = {};
  for (let i = 0; i < 40; i++) table = { t: table };
  t.equal(decodeTable(encodeTable(table)), null);
});

t.test('fuzz: any bytes give a table or null, and tables survive the way round', async t => {
  const rng = seeded(seedOf(20261124));
  for (let i = 0; i < 4000; i++) {
    const bytes = encodeTable({ a: 'text', n: i, l: ['x', { y: true }], f: i / 3 });
    const hits = 1 + rng.below(4);
    for (let k = 0; k < hits; k++) bytes[rng.below(bytes.length)] = rng.below(256);
    const cut = bytes.subarray(0, rng.below(bytes.length + 1));
    const table = decodeTable(cut);
    attributes(cut);
    if (table !== null) t.same(decodeTable(encodeTable(table)), table);
  }
});
