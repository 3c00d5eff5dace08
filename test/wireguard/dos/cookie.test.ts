import t from 'tap';
import { BLAKE2s } from '@stablelib/blake2s';
import { isZero, toHex } from '../../../src/util/bytes.ts';
import { CookieChecker, CookieGenerator, cookieReplyBytes } from '../../../src/wireguard/dos/cookie.ts';
import { Endpoint } from '../../../src/wireguard/peer/endpoint.ts';
import { seeded } from '../../fixtures/rng.ts';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, c => c.charCodeAt(0));

function source(port: number, ...address: number[]): Endpoint {
  const endpoint = new Endpoint();
  endpoint.family = address.length === 4 ? 4 : 6;
  endpoint.address.set(address);
  endpoint.port = port;
  return endpoint;
}

/** A responder, an initiator that knows its key, and a finished message of the initiator. */
function pair(seed = 1) {
  const rng = seeded(seed);
  const publicKey = rng.bytes(32);
  const checker = new CookieChecker(out => rng.fill(out));
  checker.setKey(publicKey);
  const generator = new CookieGenerator(publicKey);
  const from = source(51820, 192, 0, 2, 1);
  const message = (now: number, bytes = 148): Uint8Array => {
    const packet = rng.bytes(bytes);
    packet.fill(0xee, bytes - 32);
    generator.addMacs(now, packet);
    return packet;
  };
  const reply = (now: number, to: Uint8Array, at: Endpoint = from): Uint8Array => {
    const out = new Uint8Array(cookieReplyBytes).fill(0xee);
    checker.reply(now, to, at, out);
    return out;
  };
  return { rng, publicKey, checker, generator, from, message, reply };
}

const mac2 = (message: Uint8Array): Uint8Array => message.subarray(-16);

t.test('M1 mac1 is keyed BLAKE2s-128 under H("mac1----" ‖ S), over all before it', async t => {
  for (const bytes of [148, 92]) {
    const { publicKey, checker, message } = pair();
    const packet = message(0, bytes);
    const key = new BLAKE2s(32).update(ascii('mac1----')).update(publicKey).digest();
    const want = new BLAKE2s(16, { key }).update(packet.subarray(0, bytes - 32)).digest();
    t.equal(toHex(packet.subarray(bytes - 32, bytes - 16)), toHex(want));
    t.equal(checker.checkMac1(packet), true);
  }
});

t.test('M1 any other bit, key or device refuses', async t => {
  const { checker, message, rng } = pair();
  const packet = message(0);
  for (let bit = 0; bit < 132 * 8; bit += 7) {
    packet[bit >> 3]! ^= 1 << (bit & 7);
    if (checker.checkMac1(packet)) t.fail(`bit ${bit}`);
    packet[bit >> 3]! ^= 1 << (bit & 7);
  }
  packet[140]! ^= 1;
  t.equal(checker.checkMac1(packet), true, 'mac2 is no part of it');
  checker.setKey(rng.bytes(32));
  t.equal(checker.checkMac1(packet), false, 'our key changed');
});

t.test('H10 without a private key nothing is valid', async t => {
  const { checker, message, from } = pair();
  const packet = message(0);
  checker.setKey(null);
  t.equal(checker.checkMac1(packet), false);
  t.equal(checker.checkMac2(0, packet, from), false);
  // Not even a message made for the wiped key.
  const forged = new Uint8Array(148);
  forged.set(new BLAKE2s(16, { key: new Uint8Array(32) }).update(forged.subarray(0, 116)).digest(), 116);
  t.equal(checker.checkMac1(forged), false);
});

t.test('M2 mac2 is zero without a cookie, and covers mac1 with one', async t => {
  const { checker, generator, from, message, reply } = pair();
  const first = message(0);
  t.ok(isZero(mac2(first)));
  t.equal(checker.checkMac2(0, first, from), false);
  t.equal(generator.consume(0, reply(0, first)), true);
  const second = message(1);
  t.notOk(isZero(mac2(second)));
  t.equal(checker.checkMac1(second), true);
  t.equal(checker.checkMac2(1, second, from), true);
  second[116]! ^= 1;
  t.equal(checker.checkMac2(1, second, from), false, 'mac1 altered');
  second[116]! ^= 1;
  t.equal(checker.checkMac2(1, message(2, 92), from), true, 'a response carries it too');
});

t.test('M3 a cookie is for one address and one port', async t => {
  const cases: [string, Endpoint, Endpoint, boolean][] = [
    ['same', source(1000, 192, 0, 2, 1), source(1000, 192, 0, 2, 1), true],
    ['other port, low byte', source(1000, 192, 0, 2, 1), source(1001, 192, 0, 2, 1), false],
    ['other port, high byte', source(0x0100, 192, 0, 2, 1), source(0x0200, 192, 0, 2, 1), false],
    ['other address', source(1000, 192, 0, 2, 1), source(1000, 192, 0, 2, 2), false],
    ['v6 same', source(9, ...Array<number>(16).fill(7)), source(9, ...Array<number>(16).fill(7)), true],
    [
      'v6 other last byte',
      source(9, ...Array<number>(16).fill(7)),
      source(9, ...Array<number>(15).fill(7), 8),
      false,
    ],
    ['v6 is not v4', source(9, 1, 1, 1, 1), source(9, 1, 1, 1, 1, ...Array<number>(12).fill(0)), false],
  ];
  for (const [name, learned, used, want] of cases) {
    const { checker, generator, message, reply } = pair();
    generator.consume(0, reply(0, message(0), learned));
    t.equal(checker.checkMac2(1, message(1), used), want, name);
  }
});

t.test('M3 the cookie is keyed BLAKE2s-128(secret, address ‖ port BE)', async t => {
  // The generator's stream is known, so the secret is: the key is drawn first, then the message, then the secret.
  const { checker, generator, message, reply } = pair(9);
  const packet = message(0);
  const from = source(0x1234, 10, 20, 30, 40);
  const shadow = seeded(9);
  shadow.bytes(32);
  shadow.bytes(148);
  const secret = shadow.bytes(32);
  generator.consume(0, reply(0, packet, from));
  const cookie = new BLAKE2s(16, { key: secret }).update(Uint8Array.of(10, 20, 30, 40, 0x12, 0x34)).digest();
  const next = message(1);
  const want = new BLAKE2s(16, { key: cookie }).update(next.subarray(0, 132)).digest();
  t.equal(toHex(mac2(next)), toHex(want));
  t.equal(checker.checkMac2(1, next, from), true);
});

t.test('M3 the secret is rotated after 120 s, lazily', async t => {
  const { checker, generator, from, message, reply } = pair();
  generator.consume(0, reply(0, message(0)));
  const packet = message(10_000);
  t.equal(checker.checkMac2(119_999, packet, from), true);
  t.equal(checker.checkMac2(120_000, packet, from), false, 'new secret');
  t.equal(checker.checkMac2(120_001, packet, from), false, 'and no way back');
  const first = mac2(message(10_001)).slice();
  generator.consume(120_002, reply(120_002, message(120_002)));
  t.notSame(mac2(message(120_003)), first);
  t.equal(checker.checkMac2(239_999, message(120_004), from), true, 'lives 120 s from its own birth');
  t.equal(checker.checkMac2(240_000, message(120_004), from), false);
});

t.test('M4 a stored cookie is used for 115 s', async t => {
  for (const [age, used] of [
    [0, true],
    [114_000, true],
    [114_999, true],
    [115_000, false],
    [116_000, false],
  ] as const) {
    const { generator, message, reply } = pair();
    generator.consume(500, reply(500, message(500)));
    t.equal(!isZero(mac2(message(500 + age))), used, `${age} ms`);
  }
});

t.test('M5 the reply: type 3, our index back to the sender, fresh nonce', async t => {
  const { message, reply } = pair();
  const packet = message(0);
  const [one, two] = [reply(0, packet), reply(0, packet)];
  t.equal(one.length, 64);
  t.same([...one.subarray(0, 4)], [3, 0, 0, 0]);
  t.same(one.subarray(4, 8), packet.subarray(4, 8));
  t.notSame(one.subarray(8, 32), two.subarray(8, 32));
});

t.test('M5 the reply is bound to the mac1 it answers', async t => {
  const { generator, message, reply } = pair();
  const old = reply(0, message(0));
  message(1); // another mac1 since
  t.equal(generator.consume(1, old), false);
});

t.test('M6 a reply is consumed once, only when asked for, and a forgery changes nothing', async t => {
  const { generator, message, reply } = pair();
  t.equal(generator.consume(0, new Uint8Array(64)), false, 'nothing was sent yet');
  const packet = message(0);
  const genuine = reply(0, packet);
  for (let at = 8; at < 64; at++) {
    const forged = genuine.slice();
    forged[at]! ^= 0x10;
    if (generator.consume(0, forged)) t.fail(`byte ${at}`);
  }
  t.equal(generator.consume(0, genuine.subarray(0, 63)), false, 'short');
  t.equal(generator.consume(0, genuine), true, 'forgeries did not use it up');
  t.equal(generator.consume(0, genuine), false, 'replayed');
  t.equal(generator.consume(0, reply(0, packet)), false, 'a second one for the same message');
});

t.test('M6 a failed reply leaves the old cookie', async t => {
  const { checker, generator, from, message, reply } = pair();
  generator.consume(0, reply(0, message(0)));
  const packet = message(1);
  const forged = reply(1, packet);
  forged[60]! ^= 1;
  t.equal(generator.consume(1, forged), false);
  t.equal(checker.checkMac2(2, message(2), from), true);
});

t.test('a reply works in and out of shared memory', async t => {
  const { checker, generator, from, message } = pair();
  const memory = new Uint8Array(new SharedArrayBuffer(512));
  memory.set(message(0), 7);
  const out = memory.subarray(300, 364);
  checker.reply(0, memory.subarray(7, 155), from, out);
  t.equal(generator.consume(0, out), true);
});

t.test('destroy forgets the cookie', async t => {
  const { generator, message, reply } = pair();
  const packet = message(0);
  const answer = reply(0, packet);
  generator.consume(0, answer);
  generator.destroy();
  t.equal(generator.consume(0, answer), false);
  t.ok(isZero(mac2(message(1))));
});
