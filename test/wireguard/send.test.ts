// What leaves a device, and when: limits, retries, keepalives, staging, padding, accounts.

import t from 'tap';
import { nodeProvider } from '../fixtures/twins/nodecrypto.ts';
import { Host, inner, Pair, packet4 } from '../fixtures/packets/pair.ts';
import type { PairOptions } from '../fixtures/packets/pair.ts';
import { seeded } from '../fixtures/rng.ts';
import { rejectAfterMessages, rekeyAfterMessages } from '../../src/wireguard/constants.ts';
import { Endpoint } from '../../src/wireguard/peer/endpoint.ts';

const ready = (options?: PairOptions): Pair => {
  const pair = new Pair(options);
  pair.handshake();
  pair.run(60_000); // the last passive keepalive is out
  pair.eve.length = 0;
  return pair;
};

t.test('T1 past REKEY_AFTER_MESSAGES either side starts a handshake', async t => {
  for (const side of ['alice', 'bob'] as const) {
    const pair = ready();
    const host = pair[side];
    const peer = side === 'alice' ? pair.bobPeer : pair.alicePeer;
    peer.current!.sendCounter = rekeyAfterMessages;
    pair.ping(host);
    t.equal(pair.seen(1, side).length, 1, side);
    t.equal(pair.seen(4, side).length, 1, 'and the packet itself still goes');
  }
});

t.test('T2 at REJECT_AFTER_MESSAGES the key is dead and the packet waits', async t => {
  for (const [left, verdict] of [
    [1, 'ok'],
    [0, 'staged'],
    [-1, 'staged'],
  ] as const) {
    const pair = ready();
    pair.bobPeer.current!.sendCounter = rejectAfterMessages - left;
    t.equal(pair.ping(), verdict, `${left} left`);
    pair.run(100);
    t.equal(pair.bob.packets.length, 2, 'it arrives all the same');
  }
});

t.test('T2 a staged batch that straddles the limit stays whole and in order', async t => {
  const pair = ready();
  pair.skip(5000);
  pair.bobPeer.current!.sendCounter = rejectAfterMessages - 3;
  pair.bobPeer.current!.canSend = false;
  pair.filter = seen => seen.type === 1;
  for (let i = 0; i < 5; i++) pair.alice.tun(packet4(1, 2, 64, i));
  pair.bobPeer.current!.canSend = true;
  pair.ping();
  t.equal(pair.bobPeer.staged.size, 6);
  t.equal(pair.seen(4).length, 0);
  pair.filter = null;
  pair.run(6000);
  t.same(
    pair.bob.packets.slice(1),
    [0, 1, 2, 3, 4, 0].map(i => packet4(1, 2, 64, i)),
  );
});

t.test('T2 R2 counters carry across 2^32 on both sides', async t => {
  const pair = ready();
  pair.bobPeer.current!.sendCounter = 2 ** 32 - 2;
  for (let i = 0; i < 4; i++) pair.ping();
  pair.run(100);
  t.equal(pair.bob.packets.length, 5);
  const counters = pair.seen(4, 'alice').map(s => Buffer.from(s.bytes).readBigUInt64LE(8));
  t.same(counters, [2n ** 32n - 2n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 32n + 1n]);
});

t.test('T3 only the initiator renews, only when it sends, from 120 s on', async t => {
  for (const side of ['alice', 'bob'] as const) {
    const pair = new Pair();
    pair.handshake();
    pair.run(119_000 - 100);
    pair.eve.length = 0;
    pair.ping(pair[side]);
    t.equal(pair.seen(1).length, 0, `119 s, ${side}`);
    pair.run(30);
    pair.run(1000);
    pair.ping(pair[side]);
    t.equal(pair.seen(1, side).length, side === 'alice' ? 1 : 0, `120 s, ${side}`);
  }
  const idle = new Pair();
  idle.handshake();
  idle.run(60_000);
  idle.eve.length = 0;
  idle.run(400_000);
  t.equal(idle.eve.length, 0, 'idle past 120 s is silent');
});

t.test('T5 a key of 180 s neither sends nor receives, to the millisecond', async t => {
  for (const [after, verdict] of [
    [179_999, 'ok'],
    [180_000, 'staged'],
    [180_001, 'staged'],
  ] as const) {
    const pair = new Pair();
    pair.handshake();
    const born = pair.bobPeer.current!.createdAt;
    pair.skip(born + after - pair.now);
    t.equal(pair.ping(), verdict, `${after} ms`);
  }
});

t.test('T6 retries after 5 s and a uniform jitter of up to 333 ms', async t => {
  const gaps: number[] = [];
  const alice = new Host('alice', 1, { random: seeded(6), crypto: nodeProvider });
  const bob = new Host('bob', 2);
  alice.device.up(alice.now, alice);
  alice.setPeer(bob.publicKey, { endpoint: bob.endpoint, allowedIps: inner(2) });
  let last = 0;
  alice.onDatagram = host => {
    host.outgoing.length = 0;
    if (last > 0) gaps.push(host.now - last);
    last = host.now;
  };
  while (gaps.length < 1000) {
    alice.tun(packet4(1, 2)); // new data keeps the attempts at zero
    alice.now = alice.device.nextDeadline;
    alice.poll();
  }
  t.ok(gaps.every(gap => gap >= 5000 && gap < 5333));
  const mean = gaps.reduce((a, b) => a + b) / gaps.length;
  t.ok(Math.abs(mean - 5166.5) < 12, `mean ${mean}`);
  for (let third = 0; third < 3; third++) {
    const n = gaps.filter(gap => gap >= 5000 + third * 111 && gap < 5000 + (third + 1) * 111).length;
    t.ok(n > 280 && n < 390, `third ${third}: ${n}`);
  }
});

t.test('T7 one initiation in 5 s, and none within 5 s of a response', async t => {
  const pair = new Pair();
  pair.filter = () => true;
  for (let i = 0; i < 10; i++) pair.ping();
  t.equal(pair.seen(1).length, 1);
  pair.skip(4999);
  pair.ping();
  t.equal(pair.seen(1).length, 1);
  pair.skip(1);
  pair.ping();
  t.equal(pair.seen(1).length, 2);

  const fresh = new Pair();
  fresh.filter = seen => seen.type === 4; // bob never gets his confirmation
  fresh.ping();
  fresh.run(100);
  t.equal(fresh.seen(2, 'bob').length, 1);
  fresh.ping(fresh.bob);
  t.equal(fresh.seen(1, 'bob').length, 0, 'a fresh responder does not initiate');
  fresh.run(5000);
  fresh.ping(fresh.bob);
  t.equal(fresh.seen(1, 'bob').length, 1);
});

t.test('T7 a retry that comes too early for the limit is postponed, not lost', async t => {
  // Both initiations cross and both responses are lost: nobody may be left silent.
  const pair = new Pair();
  pair.filter = seen => seen.type === 2;
  pair.ping(pair.alice);
  pair.run(5);
  pair.ping(pair.bob);
  pair.run(1000);
  t.equal(pair.seen(2).length, 2);
  pair.filter = null;
  pair.run(10_000);
  t.same([pair.alice.packets.length, pair.bob.packets.length], [1, 1]);
});

t.test('T8 twenty initiations, then it gives up; sessions are kept, staged packets are not', async t => {
  const pair = ready();
  pair.run(65_000);
  const session = pair.bobPeer.current;
  pair.filter = () => true;
  pair.eve.length = 0;
  pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
  pair.run(20_000);
  pair.bobPeer.staged.push(new Uint8Array(64), 0, 64);
  pair.run(80_000);
  t.equal(pair.alice.countEvents('handshake-gave-up'), 0);
  pair.run(300_000);
  t.equal(pair.seen(1).length, 20);
  t.equal(pair.alice.countEvents('handshake-gave-up'), 1);
  t.equal(pair.bobPeer.staged.size, 0);
  t.equal(pair.bobPeer.txDropped, 1);
  t.equal(pair.bobPeer.current, session, 'kept until 540 s');
  const span = pair.seen(1)[19]!.at - pair.seen(1)[0]!.at;
  t.ok(span >= 95_000 && span < 19 * 5333, `${span} ms`);
  pair.ping();
  t.equal(pair.seen(1).length, 21, 'new data starts anew');
});

t.test('T8 with a packet a second it never gives up', async t => {
  const pair = new Pair();
  pair.filter = () => true;
  for (let second = 0; second < 300; second++) {
    pair.ping();
    pair.run(1000);
  }
  t.equal(pair.alice.countEvents('handshake-gave-up'), 0);
  t.ok(pair.seen(1).length > 54);
});

t.test('T8 zero key material is armed by giving up', async t => {
  const pair = new Pair();
  pair.filter = () => true;
  pair.ping();
  pair.run(106_700 + 540_000);
  t.equal(pair.alice.countEvents('keys-zeroed'), 1);
  t.equal(pair.alice.device.nextDeadline, Infinity);
});

t.test('T9 each retry and T11 each new handshake forgets the local source address', async t => {
  const pair = new Pair();
  pair.filter = () => true;
  pair.ping();
  const { endpoint } = pair.bobPeer;
  endpoint.sourceFamily = 4;
  endpoint.sourceInterface = 7;
  pair.run(5400);
  t.equal(pair.seen(1).length, 2);
  t.match(endpoint, { sourceFamily: 0, sourceInterface: 0 });

  const sending = ready();
  sending.filter = () => true;
  sending.ping();
  sending.bobPeer.endpoint.sourceFamily = 4;
  sending.run(14_999);
  t.equal(sending.seen(1).length, 0);
  sending.run(400);
  t.equal(sending.seen(1).length, 1, 'T11 15 s and a jitter after data that nothing answered');
  t.equal(sending.bobPeer.endpoint.sourceFamily, 0);
});

t.test('T11 keepalives do not arm it', async t => {
  const pair = ready({ alice: { persistentKeepalive: 10 } });
  pair.filter = () => true;
  pair.run(100);
  pair.eve.length = 0;
  pair.run(55_000);
  t.equal(pair.seen(1).length, 0);
  t.ok(pair.seen(4).length >= 5);
});

t.test('T12 persistent keepalive', async t => {
  const pair = ready();
  pair.alice.setPeer(pair.bob.publicKey, { persistentKeepalive: 20 });
  t.equal(pair.seen(4, 'alice').length, 1, '0 -> n sends one at once');
  pair.run(20_000);
  t.equal(pair.seen(4, 'alice').length, 2);
  pair.run(10_000);
  pair.ping(pair.bob); // any receive postpones it; alice answers with her passive keepalive at 40 s
  pair.run(19_000);
  t.equal(pair.seen(4, 'alice').length, 3);
  pair.alice.setPeer(pair.bob.publicKey, { persistentKeepalive: 0 });
  pair.run(100_000);
  t.equal(pair.seen(4, 'alice').length, 3, '0 turns it off');

  const down = new Pair({ start: false, alice: { persistentKeepalive: 20 } });
  t.equal(down.eve.length, 0);
  down.up();
  t.equal(down.seen(1, 'alice').length, 1, 'coming up sends one at once');
});

t.test('T12 a keepalive that cannot be sent does not end them', async t => {
  const pair = ready({ alice: { persistentKeepalive: 20 } });
  pair.alice.sendFails = true;
  pair.run(30_000);
  pair.alice.sendFails = false;
  pair.eve.length = 0;
  pair.run(20_000);
  t.equal(pair.seen(4, 'alice').length, 1);
});

t.test('T14 no keepalive beside a staged packet', async t => {
  const pair = new Pair({ alice: { persistentKeepalive: 1 } });
  pair.filter = () => true;
  pair.ping();
  pair.run(3000);
  t.equal(pair.bobPeer.staged.size, 2, 'the first keepalive and the packet, nothing since');
});

t.test('T15 handshake messages count as sent and as traversal', async t => {
  const pair = ready({ bob: { persistentKeepalive: 30 } });
  pair.run(1);
  pair.ping(pair.alice); // arms bob's passive keepalive
  pair.run(5000);
  pair.alice.device.expireSendKeys();
  pair.eve.length = 0;
  pair.bobPeer.lastSentHandshakeAt = -Infinity;
  pair.filter = seen => seen.type === 4;
  pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
  pair.run(20_000);
  t.equal(pair.seen(2, 'bob').length, 1);
  t.equal(pair.seen(4, 'bob').length, 0, 'his response stood for the passive keepalive');
});

t.test('D3 D4 200 packets without a key: the newest 128 arrive in order', async t => {
  const pair = new Pair();
  for (let i = 0; i < 200; i++) t.equal(pair.alice.tun(packet4(1, 2, 40, i)), 'staged');
  pair.run(100);
  t.same(
    pair.bob.packets,
    Array.from({ length: 128 }, (_, i) => packet4(1, 2, 40, i + 72)),
  );
  t.equal(pair.bobPeer.txDropped, 72);
});

t.test('D5 every data message is a multiple of 16, zeros inside, never above the MTU', async t => {
  const pair = ready();
  for (let bytes = 20; bytes <= 1420; bytes += 7) pair.ping(pair.alice, bytes);
  pair.ping(pair.alice, 1419);
  for (const { bytes } of pair.seen(4, 'alice')) {
    const inner = bytes.length - 32;
    if (inner % 16 !== 0 && inner !== 1420) t.fail(`inner length ${inner}`);
  }
  pair.alice.arena.u8.fill(0xff, pair.alice.at, pair.alice.at + 128);
  pair.eve.length = 0;
  pair.ping(pair.alice, 33);
  const { receive } = pair.alicePeer.current!;
  const sealed = pair.seen(4)[0]!.bytes;
  pair.bob.arena.u8.set(sealed, pair.bob.at);
  const counter = new DataView(sealed.buffer).getUint32(8, true);
  t.ok(receive.open(pair.bob.at + 16, sealed.length - 16, counter, 0));
  t.ok(pair.bob.arena.u8.subarray(pair.bob.at + 16 + 33, pair.bob.at + 16 + 48).every(b => b === 0));
});

t.test('D7 timers go on when sends fail, but nothing counts as data sent; D8 nor as bytes', async t => {
  const pair = ready();
  const before = pair.bobPeer.txBytes;
  pair.alice.sendFails = true;
  t.equal(pair.ping(), 'send-failed');
  t.equal(pair.bobPeer.txBytes, before);
  t.equal(pair.bobPeer.txErrors, 1);
  pair.alice.sendFails = false;
  pair.run(20_000);
  t.equal(pair.seen(1).length, 0, 'no new handshake timer');
});

t.test('D8 exact bytes of ten pings', async t => {
  const pair = new Pair();
  for (let i = 0; i < 10; i++) {
    pair.ping(pair.alice, 84);
    pair.run(100);
    pair.ping(pair.bob, 84);
    pair.run(100);
  }
  t.equal(pair.bobPeer.txBytes, 148 + 10 * 128);
  t.equal(pair.bobPeer.rxBytes, 92 + 10 * 128);
  t.equal(pair.alicePeer.rxBytes, 1428);
  t.equal(pair.alicePeer.txBytes, 1372);
  pair.run(20_000);
  t.equal(pair.bobPeer.txBytes, 1460, 'and the passive keepalive');
});

t.test('D9 the outbox learns the type of every message, for its DSCP', async t => {
  const pair = new Pair({ device: { handshakesPerSecond: 0.5 } });
  pair.ping();
  pair.run(20_000);
  t.same([...new Set(pair.eve.map(s => s.type))].sort(), [1, 2, 3, 4]);
  for (const { type, bytes } of pair.eve) t.equal(bytes[0], type);
});

t.test('H8 nothing is ever emitted towards low-order keys', async t => {
  const alice = new Host('alice', 1);
  alice.device.up(alice.now, alice);
  const to = new Endpoint();
  to.family = 4;
  to.port = 1;
  for (const point of [new Uint8Array(32), Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))])
    alice.setPeer(point, { endpoint: to, persistentKeepalive: 1, allowedIps: inner(2) });
  for (let i = 0; i < 200; i++) {
    alice.now += 10;
    alice.poll();
    alice.tun(packet4(1, 2));
  }
  t.equal(alice.outgoing.length, 0);
});

t.test('H10 without a private key nothing is sent until there is one', async t => {
  const pair = new Pair({ start: false });
  pair.alice.device.setPrivateKey(pair.now, null, pair.alice);
  pair.up();
  t.equal(pair.ping(), 'staged');
  pair.run(1000);
  t.equal(pair.eve.length, 0);
});

t.test('P6 the back-off spares a living session and doubles without one', async t => {
  const wrong = (n: number) => ({ presharedKey: new Uint8Array(32).fill(n) });
  const pair = ready();
  pair.alice.setPeer(pair.bob.publicKey, wrong(1));
  pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
  pair.run(60_000);
  t.ok(pair.bobPeer.mismatches > 8);
  t.equal(pair.bobPeer.holdUntil, -Infinity, 'while a session lives every attempt counts');
  for (let i = 0; i < 30; i++) {
    pair.ping();
    pair.run(5000);
  }
  t.ok(pair.bobPeer.holdUntil > pair.now - 60_000);

  const without = new Pair({ alice: wrong(1) });
  without.ping();
  without.run(200_000);
  const at = without.seen(1).map(s => s.at);
  const gaps = at.slice(1).map((time, i) => Math.round((time - at[i]!) / 5000));
  t.same(gaps.slice(0, 5), [1, 2, 4, 8, 12], `${gaps}`);
  without.bobPeer.holdUntil = without.now + 50_000;
  t.ok(without.alice.device.startHandshake(without.now, without.bob.publicKey, without.alice));
  t.equal(without.seen(1).at(-1)!.at, without.now, 'an explicit request does not wait');
});

t.test('failed handshake sends are errors, not bytes', async t => {
  const pair = new Pair();
  pair.alice.sendFails = true;
  pair.ping();
  t.match(pair.bobPeer, { txBytes: 0, txErrors: 1 });
  pair.alice.sendFails = false;
  pair.run(6000);
  t.equal(pair.bob.packets.length, 1, 'the retry gets through');
  pair.bobPeer.current!.canSend = false;
  pair.ping();
  pair.alice.onDatagram = null;
  pair.alice.sendFails = true;
  pair.bobPeer.current!.canSend = true;
  pair.alice.device.setPeer(pair.now, pair.bob.publicKey, {}, pair.alice);
  t.equal(pair.bobPeer.staged.size, 0, 'what fails on the way out is not staged again');
});

t.test('a low-order ephemeral of the initiator ends in silence', async t => {
  const pair = new Pair();
  pair.filter = () => true;
  pair.ping();
  const { handshake } = pair.alicePeer;
  handshake.state = 'zeroed';
  pair.bob.udp(pair.seen(1)[0]!.bytes, pair.alice.endpoint);
  t.equal(pair.seen(2).length, 1);
  t.equal(handshake.state, 'zeroed');
});
