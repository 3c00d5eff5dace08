// The door: configuration, life cycle, revocation, the batch path's promises.

import t from 'tap';
import { Host, inner, Pair, packet4, packet6 } from '../fixtures/packets/pair.ts';
import type { PairOptions } from '../fixtures/packets/pair.ts';
import { isZero } from '../../src/util/bytes.ts';
import { Endpoint } from '../../src/wireguard/peer/endpoint.ts';
import { timerNames } from '../../src/wireguard/peer/timers.ts';

const psk = (n: number): Uint8Array => new Uint8Array(32).fill(n);
const ready = (options?: PairOptions): Pair => {
  const pair = new Pair(options);
  pair.handshake();
  pair.run(60_000);
  pair.eve.length = 0;
  return pair;
};

t.test('two devices handshake and carry packets both ways', async t => {
  const pair = new Pair();
  t.equal(pair.ping(), 'staged');
  pair.run(100);
  t.same(pair.bob.packets, [packet4(1, 2)]);
  t.equal(pair.ping(pair.bob), 'ok');
  pair.run(100);
  t.same(pair.alice.packets, [packet4(2, 1)]);
  t.equal(pair.alice.tun(packet6(1, 2, 100)), 'ok');
  pair.run(100);
  t.same(pair.bob.packets[1], packet6(1, 2, 100));
  t.equal(pair.seen(1).length, 1);
  t.equal(pair.seen(2).length, 1);
});

t.test('D1 D2 D14 verdicts on inner packets', async t => {
  const pair = new Pair({ bobKnowsEndpoint: false });
  t.equal(pair.alice.device.mtu, 1420);
  pair.alice.device.mtu = 1280;
  t.equal(pair.alice.device.mtu, 1280);
  t.equal(pair.alice.tun(packet4(1, 77)), 'no-route');
  t.equal(pair.ping(pair.bob), 'no-endpoint');
  t.equal(pair.alicePeer.txErrors, 1);
  t.equal(pair.alicePeer.staged.size, 0);
  t.equal(pair.alice.tun(new Uint8Array(10)), 'bad-inner');
  pair.alice.device.down(pair.now, pair.alice);
  t.equal(pair.ping(), 'down');
});

t.test('L1 down forgets sessions and staged packets, keeps the rest', async t => {
  const pair = ready();
  const { alice } = pair;
  pair.bobPeer.current!.canSend = false;
  pair.filter = () => true;
  pair.ping();
  t.equal(pair.bobPeer.staged.size, 1);
  const { txBytes, rxBytes } = pair.bobPeer;
  alice.device.down(pair.now, alice);
  t.equal(alice.device.isUp, false);
  t.match(pair.bobPeer, { current: null, next: null, previous: null, txBytes, rxBytes });
  t.equal(pair.bobPeer.staged.size, 0);
  t.equal(pair.bobPeer.handshake.state, 'zeroed');
  t.equal(alice.device.nextDeadline, Infinity);
  pair.filter = null;
  pair.eve.length = 0;
  alice.device.up(pair.now, alice);
  alice.device.up(pair.now, alice);
  t.equal(pair.eve.length, 0, 'L2 nothing to send, nothing sent');
  pair.ping();
  pair.run(100);
  t.equal(pair.bob.packets.length, 2, 'and a handshake may start at once');
});

t.test('L3 a peer added before or after up behaves the same', async t => {
  const counts = [true, false].map(start => {
    const pair = new Pair({ start, alice: { persistentKeepalive: 25 } });
    if (!start) pair.up();
    pair.run(300_000);
    return pair.eve.map(s => `${s.from} ${s.type}`).join();
  });
  t.equal(counts[0], counts[1]);
});

t.test('L4 removal forgets everything', async t => {
  const pair = ready();
  const peer = pair.alicePeer;
  const { slot } = peer;
  t.equal(pair.bob.device.removePeer(pair.now, pair.alice.publicKey), true);
  t.equal(pair.bob.device.removePeer(pair.now, pair.alice.publicKey), false);
  t.equal(peer.isAlive, false);
  t.equal(pair.bob.device.peerCount, 0);
  t.equal(pair.bob.device.nextDeadline, Infinity);
  t.equal(pair.bob.tun(packet4(2, 1)), 'no-route');
  t.equal(pair.ping(), 'ok');
  pair.run(100);
  t.equal(pair.bob.verdicts.at(-1), 'unknown-index');
  const again = pair.bob.setPeer(pair.alice.publicKey, {});
  t.equal(again.slot, slot, 'its slot is used again');
  t.match(again, { txBytes: 0, rxBytes: 0, lastHandshakeAt: 0 });
});

t.test('L5 destroy leaves no secret', async t => {
  const pair = ready();
  const peer = pair.alicePeer;
  peer.presharedKey.fill(3);
  const { current } = peer;
  const key = pair.bob.device.privateKey!;
  pair.bob.device.destroy();
  t.ok(isZero(key) && isZero(peer.presharedKey) && isZero(peer.handshake.staticStatic));
  t.ok(current!.isDestroyed);
  t.equal(pair.bob.device.privateKey, null);
  t.equal(pair.bob.device.publicKey, null);
});

t.test('H9 U6 a private key is clamped; a new one expires what we send, and removes ourselves', async t => {
  const pair = ready();
  const { alice } = pair;
  const same = Uint8Array.from(alice.device.privateKey!);
  same[0]! |= 7;
  alice.device.setPrivateKey(pair.now, same, alice);
  t.equal(pair.ping(), 'ok', 'the same key, unclamped, changes nothing');
  alice.device.setPrivateKey(pair.now, psk(0xff), alice);
  t.equal(alice.device.privateKey![0], 0xf8);
  t.equal(alice.device.privateKey![31], 0x7f);
  t.equal(pair.ping(pair.bob), 'ok');
  pair.run(100);
  t.equal(alice.packets.length, 1, 'the old session still receives');
  pair.bob.setPeer(alice.publicKey, { allowedIps: inner(1) });
  pair.eve.length = 0;
  t.equal(pair.ping(), 'staged');
  t.equal(pair.seen(1).length, 1, 'and sending starts over at once');
  pair.run(100);
  t.equal(pair.bob.packets.length, 3);

  const other = new Host('other', 5);
  alice.setPeer(other.publicKey, {});
  alice.device.setPrivateKey(pair.now, other.device.privateKey, alice);
  t.equal(alice.device.peer(other.publicKey), undefined);
  t.equal(alice.device.setPeer(pair.now, other.publicKey, {}, alice), null, 'nor can we be added');
});

t.test('H10 dropping the private key silences the device', async t => {
  const pair = ready();
  pair.alice.device.setPrivateKey(pair.now, psk(0), pair.alice);
  t.equal(pair.alice.device.publicKey, null);
  pair.alice.device.setPrivateKey(pair.now, null, pair.alice);
  t.equal(pair.ping(), 'staged');
  pair.run(10_000);
  t.equal(pair.eve.length, 0);
});

t.test('U7 U9 updateOnly of a stranger and a full table make no peer', async t => {
  const host = new Host('host', 1, { device: { maxPeers: 2 } });
  const set = (n: number, updateOnly = false) => host.device.setPeer(0, psk(n), { updateOnly }, host);
  t.equal(set(1, true), null);
  t.ok(set(1));
  t.ok(set(1, true));
  t.ok(set(2));
  t.equal(set(3), null);
  t.same(
    [...host.device.peers()].map(p => p.slot),
    [0, 1],
  );
});

t.test('wrong lengths are bugs of the caller', async t => {
  const host = new Host('host', 1);
  t.throws(() => host.device.setPeer(0, new Uint8Array(31), {}, host), RangeError);
  t.throws(() => host.device.setPeer(0, psk(1), { presharedKey: new Uint8Array(16) }, host), RangeError);
  t.throws(() => host.device.setPrivateKey(0, new Uint8Array(16).fill(1), host), RangeError);
});

t.test('A1 A2 A3 A4 allowed-ips by setPeer', async t => {
  const host = new Host('host', 1);
  const ip = (n: number) => ({ family: 4 as const, address: Uint8Array.of(10, 0, n, 0), prefix: 24 });
  const one = host.setPeer(psk(1), { allowedIps: [ip(1), ip(2)] });
  const two = host.setPeer(psk(2), { allowedIps: [ip(2)] });
  t.equal(host.device.routes.of(one).length, 1, 'a prefix moves');
  host.setPeer(psk(1), { removeAllowedIps: [ip(2)] });
  t.equal(host.device.routes.of(two).length, 1, 'and is not removed by others');
  host.setPeer(psk(1), { replaceAllowedIps: true, allowedIps: [ip(5)] });
  t.same(
    host.device.routes.of(one).map(a => a.address[2]),
    [5],
  );
});

t.test('T13 everything secret is wiped after 540 s', async t => {
  const pair = new Pair();
  pair.handshake();
  const { current } = pair.bobPeer;
  pair.run(current!.createdAt + 539_999 - pair.now);
  t.ok(pair.bobPeer.current);
  pair.run(1);
  t.equal(pair.bobPeer.current, null);
  t.ok(current!.isDestroyed);
  pair.run(100);
  t.equal(pair.alicePeer.current, null);
  t.equal(pair.alice.device.nextDeadline, Infinity, 'and the device is at rest');
});

t.test('T17 a suspend of 200 s ends the session at once', async t => {
  const pair = ready();
  pair.skip(200_000);
  t.equal(pair.ping(), 'staged');
  pair.run(100);
  t.equal(pair.bob.packets.length, 2);
  t.equal(pair.seen(1).length, 1);
});

t.test('T18 expireSendKeys: no nonce is ever used again, suspend wipes', async t => {
  const pair = ready();
  const before = pair.bobPeer.current!;
  const counter = before.sendCounter;
  pair.alice.device.expireSendKeys();
  t.equal(pair.ping(), 'staged');
  t.equal(pair.seen(4, 'alice').length, 0);
  t.equal(before.sendCounter, counter);
  t.equal(pair.ping(pair.bob), 'ok');
  pair.run(100);
  t.equal(pair.alice.packets.length, 1, 'but what is on its way is received');
  t.equal(pair.bob.packets.length, 2);

  pair.alice.device.wipeSessions();
  t.match(pair.bobPeer, { current: null, previous: null, next: null });
  t.ok(before.isDestroyed);
  pair.ping();
  pair.run(100);
  t.equal(pair.bob.packets.length, 3);
});

t.test('N6 a router that wakes up in 1970 still gets in, if it remembers', async t => {
  const pair = new Pair();
  pair.handshake();
  for (const remembers of [false, true]) {
    const { alice } = pair;
    const reborn = new Host('alice', 1, {
      now: pair.now,
      ...(remembers && { device: { initialTimestamp: alice.device.lastTimestamp } }),
    });
    reborn.wallOffset = -pair.now;
    reborn.device.setPrivateKey(pair.now, alice.device.privateKey, reborn);
    reborn.setPeer(pair.bob.publicKey, { endpoint: pair.bob.endpoint });
    reborn.device.up(pair.now, reborn);
    reborn.device.startHandshake(pair.now, pair.bob.publicKey, reborn);
    t.equal(pair.bob.udp(reborn.take(), alice.endpoint), remembers ? 'ok' : 'old-timestamp');
  }
});

t.test('N5 a second initiation in the same 16.8 ms is old', async t => {
  const pair = new Pair({ weather: { delayMs: 0 } });
  pair.filter = () => true;
  pair.ping();
  pair.alice.device.expireSendKeys();
  pair.ping();
  const [first, second] = pair.seen(1);
  t.equal(pair.bob.udp(first!.bytes, pair.alice.endpoint), 'ok');
  t.equal(pair.bob.udp(second!.bytes, pair.alice.endpoint), 'old-timestamp');
});

t.test('every timer that fires is also waited for', async t => {
  const pair = ready();
  for (let i = 0; i < timerNames.length; i++) {
    const { timers } = pair.bobPeer;
    timers.stopAll();
    timers.persistentMs = 1000;
    timers.at[i] = pair.now + 1;
    pair.alice.device.setPeer(pair.now, pair.bob.publicKey, { persistentKeepalive: 0 }, pair.alice);
    if (timerNames[i] === 'persistent-keepalive') continue;
    t.equal(pair.alice.device.nextDeadline, pair.now + 1, timerNames[i]!);
    t.match(pair.alice.device.nextReason(), new RegExp(`^${timerNames[i]} of [0-9a-f]{8}$`));
  }
  pair.bobPeer.timers.stopAll();
  pair.alice.setPeer(pair.bob.publicKey, {});
  const idle = new Host('idle', 7);
  t.equal(idle.device.nextDeadline, Infinity);
  t.equal(idle.device.nextReason(), 'nothing');
});

t.test('ten thousand idle peers cost nothing', async t => {
  const host = new Host('gateway', 1, {
    crypto: arena => ({ ...fakeCrypto(arena.u8.length), name: 'fake' }),
  });
  host.device.up(0, host);
  const key = new Uint8Array(32);
  for (let i = 0; i < 10_000; i++) {
    new DataView(key.buffer).setUint32(0, i + 1);
    host.setPeer(key, {});
  }
  t.equal(host.device.nextDeadline, Infinity);
  t.equal(host.device.peerCount, 10_000);
});

/** No cryptography at all, for tests of bookkeeping. */
function fakeCrypto(_: number) {
  return {
    sharedSecret: () => true,
    publicKey: (out: Uint8Array) => void out.fill(1),
    aead: () => ({ seal: () => {}, open: () => true, destroy: () => {} }),
    seal: (out: Uint8Array) => void out.fill(0),
    open: () => true,
  };
}

t.test('P1 P2 revoke cuts both directions at once and leaves no key', async t => {
  const pair = ready({ alice: { persistentKeepalive: 25 }, bob: { persistentKeepalive: 25 } });
  const peer = pair.alicePeer;
  const recorded = pair.eve.find(s => s.type === 1)?.bytes;
  pair.filter = () => true;
  pair.ping();
  const flying = pair.seen(4, 'alice').at(-1)!.bytes;
  pair.filter = null;
  const keypairs = [peer.current, peer.previous, peer.next].filter(k => k !== null);
  const received = pair.bob.packets.length;
  peer.presharedKey.fill(1);

  t.equal(pair.bob.device.revoke(pair.now, pair.alice.publicKey), true);
  t.equal(pair.bob.device.revoke(pair.now, pair.alice.publicKey), false);
  t.ok(keypairs.every(k => k.isDestroyed));
  t.ok(isZero(peer.presharedKey));
  t.equal(pair.bob.device.stagedBytes, 0);
  t.equal(pair.bob.udp(flying, pair.alice.endpoint), 'unknown-index');
  t.equal(pair.bob.tun(packet4(2, 1)), 'no-route');
  pair.eve.length = 0;
  for (let i = 0; i < 200; i++) {
    pair.ping();
    pair.run(1000);
  }
  t.equal(pair.eve.filter(s => s.from === 'bob').length, 0, 'nothing goes to the peer in 200 s');
  t.equal(pair.bob.packets.length, received);
  t.ok(pair.bob.verdicts.includes('unknown-peer'), 'its own attempts are counted');
  t.equal(recorded, undefined);
});

t.test('P2 P3 what was recorded before a revoke stays worthless after the next login', async t => {
  const pair = new Pair();
  pair.handshake();
  const recorded = pair.seen(1)[0]!.bytes;
  pair.run(10_000);
  pair.bob.device.revoke(pair.now, pair.alice.publicKey);
  pair.bob.setPeer(pair.alice.publicKey, { presharedKey: psk(9), allowedIps: inner(1) });
  const elsewhere = new Endpoint();
  elsewhere.family = 4;
  t.equal(pair.bob.udp(recorded, elsewhere), 'old-timestamp');
  pair.alice.setPeer(pair.bob.publicKey, { presharedKey: psk(9) });
  pair.eve.length = 0;
  t.ok(pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice));
  pair.run(100);
  pair.ping();
  pair.run(100);
  t.equal(pair.seen(1).length, 1);
  t.equal(pair.bob.packets.length, 2, 'one handshake and the packet passes');
});

t.test('P5 U10 setting anything on a live peer leaves its session', async t => {
  const pair = ready({ alice: { presharedKey: psk(1) }, bob: { presharedKey: psk(1) } });
  const { current } = pair.bobPeer;
  for (const change of [
    { presharedKey: psk(1) },
    { presharedKey: psk(2) },
    { persistentKeepalive: 20 },
    { endpoint: pair.bob.endpoint },
    { replaceAllowedIps: true, allowedIps: inner(2) },
    { keepFresh: true },
  ]) {
    pair.alice.setPeer(pair.bob.publicKey, change);
    t.equal(pair.bobPeer.current, current);
    t.equal(pair.ping(), 'ok');
  }
});

t.test('P4 a PSK changed on both ends within a minute is not noticed', async t => {
  const pair = new Pair({ alice: { presharedKey: psk(1) }, bob: { presharedKey: psk(1) } });
  let sent = 0;
  for (let second = 0; second < 400; second++) {
    if (second === 100) pair.bob.setPeer(pair.alice.publicKey, { presharedKey: psk(2) });
    if (second === 150) pair.alice.setPeer(pair.bob.publicKey, { presharedKey: psk(2) });
    pair.ping();
    sent++;
    pair.run(1000);
  }
  t.equal(pair.bob.packets.length, sent);
  t.ok(pair.alice.countEvents('psk-mismatch') > 0);
});

t.test('P4 200 s apart the outage ends by itself', async t => {
  const pair = new Pair({ alice: { presharedKey: psk(1) }, bob: { presharedKey: psk(1) } });
  for (let second = 0; second < 500; second++) {
    if (second === 100) pair.bob.setPeer(pair.alice.publicKey, { presharedKey: psk(2) });
    if (second === 300) pair.alice.setPeer(pair.bob.publicKey, { presharedKey: psk(2) });
    pair.ping();
    pair.run(1000);
    if (second === 305) t.equal(pair.ping(), 'ok', 'the new key lifts the back-off');
  }
  t.ok(pair.bob.countEvents('handshake-unconfirmed') > 0);
});

t.test('P6 a one-sided PSK: the initiator says so and slows down, the responder wonders', async t => {
  for (const [mine, theirs] of [
    [7, 0],
    [0, 7],
    [7, 8],
  ] as const) {
    const pair = new Pair({ alice: { presharedKey: psk(mine) }, bob: { presharedKey: psk(theirs) } });
    const at: number[] = [];
    for (let second = 0; second < 400; second++) {
      pair.ping();
      pair.run(1000);
    }
    for (const seen of pair.seen(1)) at.push(seen.at);
    const gaps = at.slice(1).map((time, i) => time - at[i]!);
    t.ok(gaps[0]! < 5400, 'the first retry is not delayed');
    t.ok(gaps.at(-1)! >= 60_000 && gaps.at(-1)! < 61_500, `then up to a minute: ${gaps}`);
    t.ok(at.length <= 14);
    t.equal(pair.alice.countEvents('psk-mismatch'), at.length);
    t.equal(pair.bob.packets.length, 0);
    t.ok(pair.bob.countEvents('handshake-unconfirmed') >= 1);
    t.equal(pair.bob.countEvents('handshake-complete'), 0);
  }
});

t.test('P8 a forged response is an event and no more; the genuine one completes', async t => {
  const pair = new Pair();
  const forger = new Pair();
  forger.alice.device.setPrivateKey(0, pair.alice.device.privateKey, forger.alice);
  pair.filter = seen => seen.type === 2;
  pair.ping();
  pair.run(15);
  const genuine = pair.seen(2)[0]!.bytes;
  const forged = Uint8Array.from(genuine);
  forged[50]! ^= 1;
  t.equal(pair.alice.udp(forged, pair.bob.endpoint), 'bad-mac1');
  t.equal(pair.alice.countEvents('psk-mismatch'), 0);
  pair.alicePeer.cookie.addMacs(pair.now, forged); // mac1 takes only public knowledge
  for (let i = 0; i < 10; i++) t.equal(pair.alice.udp(forged, pair.bob.endpoint), 'bad-crypto');
  t.equal(pair.alice.countEvents('psk-mismatch'), 1, 'once per initiation');
  t.equal(pair.bobPeer.holdUntil, -Infinity);
  t.equal(pair.alice.udp(genuine, pair.bob.endpoint), 'ok');
  t.ok(pair.bobPeer.current);
});

t.test('P9 a PSK changed between initiation and response is the one used, in both roles', async t => {
  const pair = new Pair({ alice: { presharedKey: psk(1) }, bob: { presharedKey: psk(1) } });
  pair.ping();
  pair.bob.setPeer(pair.alice.publicKey, { presharedKey: psk(2) });
  pair.run(15);
  pair.alice.setPeer(pair.bob.publicKey, { presharedKey: psk(2) });
  pair.run(100);
  t.equal(pair.bob.packets.length, 1);
});

t.test('D7 R1 the batch path keeps the same books as the one-packet path', async t => {
  const slow = ready();
  const fast = ready();
  slow.ping();
  slow.run(5);
  const { device } = fast.alice;
  const peer = fast.bobPeer;
  const keypair = device.sendKeypair(fast.now, peer, fast.alice, 1)!;
  const { at, arena } = fast.alice;
  arena.u8.set(packet4(1, 2), at);
  arena.view.setUint32(at - 16, 4, true);
  arena.view.setInt32(at - 12, keypair.remoteIndex, true);
  arena.view.setUint32(at - 8, keypair.sendCounter, true);
  arena.view.setUint32(at - 4, 0, true);
  keypair.send.seal(at, 64, keypair.sendCounter++);
  fast.alice.datagram(at - 16, 96, peer.endpoint, peer, 4);
  device.sentData(fast.now, peer, keypair, 1, 96, true, fast.alice);
  fast.run(5);
  for (const pair of [slow, fast]) pair.run(100);
  t.equal(fast.bob.packets.length, slow.bob.packets.length);
  t.equal(fast.bobPeer.txBytes, slow.bobPeer.txBytes);
  const timers = (pair: Pair) => [...pair.bobPeer.timers.at].map(time => Math.round((time - pair.now) / 400));
  t.same(timers(fast), timers(slow));
  arena.u8.set(packet4(1, 2, 64, 5), at);
  keypair.canSend = false;
  t.equal(device.sendKeypair(fast.now, peer, fast.alice), null);
  device.stage(fast.now, peer, at, 64, fast.alice);
  fast.run(6000);
  t.same(fast.bob.packets.at(-1), packet4(1, 2, 64, 5), 'staged, and sent under the new session');
});

t.test('R7 M7 the batch path and load by the door', async t => {
  const pair = ready();
  const { bob } = pair;
  const { device } = bob;
  const keypair = pair.alicePeer.current!;
  t.equal(device.findKeypair(keypair.localIndex), keypair);
  t.equal(device.findKeypair(keypair.localIndex ^ 1), null);
  t.equal(device.acceptable(pair.now, keypair), true);
  device.receivedData(pair.now, keypair, pair.alice.endpoint, 3, 300, true, bob);
  t.match(pair.alicePeer, { lastDataReceivedAt: pair.now });
  t.same([...device.peers()], [pair.alicePeer]);
  t.equal(device.underLoad(pair.now), false);
  device.noteHandshakeLoad(pair.now, 512);
  t.equal(device.underLoad(pair.now), true);
  t.equal(device.underLoad(pair.now + 1000), false);
  device.handshakesPerSecond = 1;
  pair.alice.device.expireSendKeys();
  for (let i = 0; i < 3; i++) bob.udp(pair.alice.device.lastTimestamp, pair.alice.endpoint);
  t.equal(device.underLoad(pair.now + 1000), false, 'malformed input is no load');
});

t.test('keepFresh can be turned on over a living session', async t => {
  for (const side of ['alice', 'bob'] as const) {
    const pair = new Pair();
    pair.handshake();
    pair.run(30_000);
    const [host, peer] = side === 'alice' ? [pair.alice, pair.bobPeer] : [pair.bob, pair.alicePeer];
    host.setPeer(peer.publicKey, { keepFresh: true });
    host.setPeer(peer.publicKey, { keepFresh: true });
    const due = side === 'alice' ? peer.current!.createdAt + 120_000 : peer.lastHandshakeAt + 150_000;
    t.equal(peer.timers.at[5], due);
    if (side === 'bob') pair.filter = seen => seen.type === 1 && seen.from === 'alice';
    pair.run(due - pair.now - 5000);
    pair.ping(pair.alice);
    pair.ping(pair.bob);
    pair.run(5100);
    t.equal(pair.seen(1, side).length, side === 'alice' ? 2 : 1);
    host.setPeer(peer.publicKey, { keepFresh: false });
    t.equal(peer.timers.at[5], Infinity);
  }
  const host = new Host('host', 1);
  const peer = host.setPeer(psk(1), { keepFresh: true });
  t.equal(peer.timers.at[5], Infinity, 'nothing to keep fresh yet');
  t.equal(host.device.startHandshake(host.now, psk(1), host), false, 'and nothing to start while down');
});

t.test('T8 T11 giving up and new handshakes happen in poll', async t => {
  const pair = new Pair();
  pair.filter = () => true;
  pair.ping();
  pair.run(110_000);
  t.equal(pair.seen(1).length, 20);
  t.equal(pair.alice.countEvents('handshake-gave-up'), 1);
  t.equal(pair.bobPeer.txDropped, 1);
  const sending = ready();
  sending.filter = () => true;
  sending.ping();
  sending.run(15_400);
  t.equal(sending.seen(1).length, 1);
});
