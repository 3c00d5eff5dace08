// The handshake against an independent writing of the paper, byte by byte, in both roles.

import t from 'tap';
import * as ref from '../../fixtures/twins/reference-noise.ts';
import { seeded } from '../../fixtures/rng.ts';
import { Arena } from '../../../src/util/arena.ts';
import { fromHex, isZero } from '../../../src/util/bytes.ts';
import { stablelibProvider } from '../../../src/wireguard/primitives/stablelib.ts';
import { clamp, isSamePrivateKey, Noise } from '../../../src/wireguard/noise/handshake.ts';
import { Peer } from '../../../src/wireguard/peer/peer.ts';
import type { CryptoProvider } from '../../../src/wireguard/primitives/provider.ts';
import { StagedBlocks } from '../../../src/wireguard/peer/staged.ts';

const random = seeded(20);
const arena = new Arena(new ArrayBuffer(65_536));

/** A workshop that remembers the private keys it drew and counts its Diffie-Hellmans. */
function workshop() {
  const drawn: Uint8Array[] = [];
  const count = { dh: 0, base: 0 };
  const portable = stablelibProvider(arena);
  const crypto: CryptoProvider = {
    ...portable,
    sharedSecret: (out, a, b) => (count.dh++, portable.sharedSecret(out, a, b)),
    publicKey: (out, key) => (count.base++, portable.publicKey(out, key)),
  };
  const noise = new Noise(crypto, out => {
    random.fill(out);
    const copy = Uint8Array.from(out);
    clamp(copy);
    drawn.push(copy);
  });
  const key = random.bytes(32);
  noise.setIdentity(key);
  return { noise, drawn, count };
}

function couple(psk: Uint8Array = new Uint8Array(32)) {
  const a = workshop();
  const b = workshop();
  const blocks = new StagedBlocks(1 << 20);
  const bob = new Peer(0, b.noise.publicKey, blocks);
  const alice = new Peer(0, a.noise.publicKey, blocks);
  a.noise.precompute(bob.handshake);
  b.noise.precompute(alice.handshake);
  bob.presharedKey.set(psk);
  alice.presharedKey.set(psk);
  return { a, b, alice, bob };
}

const stamp = (n: number): Uint8Array => Uint8Array.from({ length: 12 }, (_, i) => (i === 11 ? n : 64));

for (const withPsk of [false, true]) {
  t.test(`H1 H2 H3 H4 initiation as the paper writes it, psk ${withPsk}`, async t => {
    const { a, bob, b } = couple(withPsk ? random.bytes(32) : undefined);
    t.ok(a.noise.createInitiation(bob.handshake, -77, stamp(1)));
    const { message, state } = ref.initiation(
      -77,
      a.noise.privateKey,
      a.drawn[0]!,
      b.noise.publicKey,
      stamp(1),
    );
    t.same(Buffer.from(a.noise.initiation.subarray(0, 116)), message);
    t.same(Buffer.from(bob.handshake.chainingKey), state.ck);
    t.same(Buffer.from(bob.handshake.hash), state.h);
    const read = ref.readInitiation(a.noise.initiation, b.noise.privateKey);
    t.same(read.initiator, Buffer.from(a.noise.publicKey));
    t.same(read.timestamp, Buffer.from(stamp(1)));
  });

  t.test(`H5 H6 H7 response and transport keys as the paper writes them, psk ${withPsk}`, async t => {
    const psk = withPsk ? random.bytes(32) : new Uint8Array(32);
    const { a, b, alice, bob } = couple(psk);
    a.noise.createInitiation(bob.handshake, 5, stamp(1));
    b.noise.incomingInitiation.set(a.noise.initiation);
    t.equal(
      b.noise.consumeInitiation(0, key => (Buffer.from(key).equals(alice.publicKey) ? alice : undefined)),
      'ok',
    );
    t.equal(b.noise.initiator, alice);
    t.equal(alice.handshake.remoteIndex, 5);
    t.ok(b.noise.createResponse(alice.handshake, 6));
    const { state } = ref.readInitiation(a.noise.initiation, b.noise.privateKey);
    const { message, keys } = ref.response(
      state,
      6,
      5,
      b.drawn[0]!,
      a.noise.initiation.subarray(8, 40),
      a.noise.publicKey,
      psk,
    );
    t.same(Buffer.from(b.noise.response.subarray(0, 60)), message);
    a.noise.incomingResponse.set(b.noise.response);
    t.equal(a.noise.consumeResponse(bob.handshake), 'ok');
    t.match(b.noise.beginSession(alice.handshake), { isInitiator: false, localIndex: 6, remoteIndex: 5 });
    t.match(a.noise.beginSession(bob.handshake), { isInitiator: true, localIndex: 5, remoteIndex: 6 });
    t.same(Buffer.from(a.noise.sendKey), keys[0]);
    t.same(Buffer.from(a.noise.receiveKey), keys[1]);
    t.same(Buffer.from(b.noise.receiveKey), keys[0]);
    t.same(Buffer.from(b.noise.sendKey), keys[1]);
    a.noise.forgetSession();
    t.ok(isZero(a.noise.sendKey) && isZero(a.noise.receiveKey));
  });
}

t.test('H6 a zero PSK on one side is none on the other; another is refused', async t => {
  for (const [mine, theirs, result, evidence] of [
    [0, 0, 'ok', 'none'],
    [1, 0, 'bad-crypto', 'proved'],
    [0, 1, 'bad-crypto', 'suspected'],
    [1, 2, 'bad-crypto', 'suspected'],
  ] as const) {
    const { a, b, alice, bob } = couple();
    bob.presharedKey.fill(mine);
    alice.presharedKey.fill(theirs);
    a.noise.createInitiation(bob.handshake, 1, stamp(1));
    b.noise.incomingInitiation.set(a.noise.initiation);
    b.noise.consumeInitiation(0, () => alice);
    b.noise.createResponse(alice.handshake, 2);
    a.noise.incomingResponse.set(b.noise.response);
    t.equal(a.noise.consumeResponse(bob.handshake), result);
    t.equal(a.noise.pskEvidence, evidence);
    t.equal(bob.handshake.state, result === 'ok' ? 'consumed-response' : 'created-initiation');
  }
});

t.test('H4 H16 Diffie-Hellmans per handshake', async t => {
  const { a, b, alice, bob } = couple();
  a.count.dh = b.count.dh = a.count.base = b.count.base = 0;
  a.noise.createInitiation(bob.handshake, 1, stamp(1));
  t.same(a.count, { dh: 1, base: 1 }, 'es; ss is precomputed');
  b.noise.incomingInitiation.set(a.noise.initiation);
  t.equal(
    b.noise.consumeInitiation(0, () => undefined),
    'unknown-peer',
  );
  t.same(b.count, { dh: 1, base: 0 }, 'a stranger costs one');
  b.noise.consumeInitiation(0, () => alice);
  b.noise.createResponse(alice.handshake, 2);
  t.same(b.count, { dh: 4, base: 1 }, 'es again, ee, se');
  a.noise.incomingResponse.set(b.noise.response);
  a.noise.consumeResponse(bob.handshake);
  t.same(a.count, { dh: 3, base: 1 });
});

t.test('H8 low-order keys abort, on every token', async t => {
  const points = [
    new Uint8Array(32),
    Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0)),
    fromHex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800')!,
    fromHex('5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157')!,
    fromHex('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')!,
    fromHex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')!,
    fromHex('eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')!,
  ];
  for (const point of points) {
    const { a, b, alice, bob } = couple();
    const evil = new Peer(0, point, new StagedBlocks(1));
    a.noise.precompute(evil.handshake);
    t.notOk(evil.handshake.hasStaticStatic);
    t.notOk(a.noise.createInitiation(evil.handshake, 1, stamp(1)));

    a.noise.createInitiation(bob.handshake, 1, stamp(1));
    b.noise.incomingInitiation.set(a.noise.initiation);
    b.noise.incomingInitiation.set(point, 8);
    t.equal(
      b.noise.consumeInitiation(0, () => alice),
      'bad-crypto',
      'es',
    );
    b.noise.incomingInitiation.set(a.noise.initiation);
    t.equal(
      b.noise.consumeInitiation(0, () => evil),
      'bad-crypto',
      'ss',
    );
    a.noise.incomingResponse.set(point, 12);
    t.equal(a.noise.consumeResponse(bob.handshake), 'bad-crypto', 'ee');
    b.noise.consumeInitiation(0, () => alice);
    alice.handshake.remoteEphemeral.set(point);
    t.notOk(b.noise.createResponse(alice.handshake, 1), 'ee of the responder');
  }
});

t.test('H9 clamping', async t => {
  const noise = workshop().noise;
  const key = new Uint8Array(32).fill(0xff);
  noise.setIdentity(key);
  t.equal(noise.privateKey[0], 0xf8);
  t.equal(noise.privateKey[31], 0x7f);
  t.same(Buffer.from(noise.publicKey), ref.publicOf(noise.privateKey));
  t.ok(isSamePrivateKey(noise.privateKey, key));
  t.notOk(isSamePrivateKey(noise.privateKey, new Uint8Array(32)));
});

t.test('H10 without identity nothing is made or taken', async t => {
  const { a, b, bob } = couple();
  a.noise.createInitiation(bob.handshake, 1, stamp(1));
  for (const none of [null, new Uint8Array(32)]) {
    b.noise.setIdentity(none);
    b.noise.incomingInitiation.set(a.noise.initiation);
    t.equal(
      b.noise.consumeInitiation(0, () => bob),
      'no-identity',
    );
    a.noise.setIdentity(none);
    a.noise.precompute(bob.handshake);
    t.equal(a.noise.consumeResponse(bob.handshake), 'no-identity');
    t.notOk(a.noise.createInitiation(bob.handshake, 1, stamp(1)));
  }
});

t.test('H11 H14 states: out of turn nothing happens, afterwards nothing is left', async t => {
  const { a, b, alice, bob } = couple();
  t.equal(a.noise.consumeResponse(bob.handshake), 'bad-state');
  t.notOk(b.noise.createResponse(alice.handshake, 1));
  t.equal(b.noise.beginSession(alice.handshake), null);
  a.noise.createInitiation(bob.handshake, 1, stamp(1));
  b.noise.incomingInitiation.set(a.noise.initiation);
  b.noise.consumeInitiation(0, () => alice);
  b.noise.createResponse(alice.handshake, 2);
  a.noise.incomingResponse.set(b.noise.response);
  t.equal(a.noise.consumeResponse(bob.handshake), 'ok');
  t.equal(a.noise.consumeResponse(bob.handshake), 'bad-state', 'the same response again');
  a.noise.beginSession(bob.handshake);
  const { ephemeralPrivate, remoteEphemeral, chainingKey, hash, state } = bob.handshake;
  for (const secret of [ephemeralPrivate, remoteEphemeral, chainingKey, hash]) t.ok(isZero(secret));
  t.equal(state, 'zeroed');
});

t.test('N2 N3 N4 timestamps must grow, and not too fast', async t => {
  const { a, b, alice, bob } = couple();
  const offer = (n: number, now: number) => {
    a.noise.createInitiation(bob.handshake, 1, stamp(n));
    b.noise.incomingInitiation.set(a.noise.initiation);
    return b.noise.consumeInitiation(now, () => alice);
  };
  t.equal(offer(5, 1000), 'ok');
  t.equal(offer(5, 2000), 'old-timestamp', 'equal is old');
  t.equal(offer(4, 2000), 'old-timestamp');
  t.equal(offer(6, 1019), 'flood', '19 ms after the last');
  t.same(alice.handshake.latestTimestamp, stamp(5), 'refused ones leave no trace');
  t.equal(offer(6, 1021), 'ok', '21 ms');
  t.same(alice.handshake.latestTimestamp, stamp(6));
});

t.test('a flipped bit anywhere in the cryptographic part is refused', async t => {
  const { a, b, alice, bob } = couple();
  a.noise.createInitiation(bob.handshake, 1, stamp(1));
  for (let at = 8; at < 116; at += 9) {
    b.noise.incomingInitiation.set(a.noise.initiation);
    b.noise.incomingInitiation[at]! ^= 1;
    t.equal(
      b.noise.consumeInitiation(0, () => alice),
      'bad-crypto',
      `initiation byte ${at}`,
    );
  }
  t.equal(alice.handshake.state, 'zeroed');
  b.noise.incomingInitiation.set(a.noise.initiation);
  b.noise.consumeInitiation(0, () => alice);
  b.noise.createResponse(alice.handshake, 2);
  for (let at = 12; at < 60; at += 9) {
    a.noise.incomingResponse.set(b.noise.response);
    a.noise.incomingResponse[at]! ^= 1;
    t.equal(a.noise.consumeResponse(bob.handshake), 'bad-crypto', `response byte ${at}`);
  }
  t.equal(bob.handshake.state, 'created-initiation');
});
