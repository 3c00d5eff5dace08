// What arrives at a device: which message may change what, and in which order.

import t from 'tap';
import { Host, inner, Pair, packet4 } from '../fixtures/packets/pair.ts';
import type { PairOptions } from '../fixtures/packets/pair.ts';
import { Endpoint } from '../../src/wireguard/peer/endpoint.ts';

const ready = (options?: PairOptions): Pair => {
  const pair = new Pair(options);
  pair.handshake();
  pair.run(60_000);
  pair.eve.length = 0;
  return pair;
};

/** Everything a message could have changed, for comparison. */
function state(host: Host): string {
  return JSON.stringify(
    [...host.device.peers()].map(p => [
      [p.current?.localIndex, p.next?.localIndex, p.previous?.localIndex],
      [p.handshake.state, [...p.handshake.latestTimestamp], p.handshake.lastConsumedAt],
      [p.endpoint, p.rxBytes, p.txBytes, p.lastHandshakeAt, p.lastHeardAt, p.lastDataReceivedAt],
      [[...p.timers.at], p.timers.handshakeAttempts, p.lastSentHandshakeAt, p.holdUntil],
    ]),
  );
}

const elsewhere = new Endpoint();
elsewhere.family = 4;
elsewhere.address.set([203, 0, 113, 9]);
elsewhere.port = 4242;

/** One message of each type from alice to bob, not yet delivered. */
function messages() {
  const pair = ready();
  pair.filter = () => true;
  pair.ping();
  const data = pair.seen(4)[0]!.bytes;
  pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
  const initiation = pair.seen(1)[0]!.bytes;
  return { pair, data, initiation };
}

t.test('W1 the reserved bytes belong to the type', async t => {
  const { pair, data, initiation } = messages();
  const before = state(pair.bob);
  for (const message of [data, initiation])
    for (const at of [1, 2, 3])
      for (const bit of [1, 0x80]) {
        const flipped = Uint8Array.from(message);
        flipped[at]! ^= bit;
        t.equal(pair.bob.udp(flipped, elsewhere), 'malformed');
      }
  t.equal(state(pair.bob), before);
  t.equal(pair.seen(2).length, 0);
  t.equal(pair.bob.udp(initiation, elsewhere), 'ok');
  t.equal(pair.bob.udp(data, elsewhere), 'ok');
});

t.test('W2 any other length is silence', async t => {
  const { pair, data, initiation } = messages();
  const before = state(pair.bob);
  for (const message of [data, initiation])
    for (let bytes = 0; bytes < 160; bytes++) {
      if (bytes === message.length) continue;
      const cut = new Uint8Array(bytes);
      cut.set(message.subarray(0, bytes));
      const verdict = pair.bob.udp(cut, elsewhere);
      const expected = message === data && bytes >= 32 ? 'bad-crypto' : 'malformed';
      if (verdict !== expected || state(pair.bob) !== before) t.fail(`${bytes} bytes: ${verdict}`);
    }
  t.equal(pair.eve.filter(s => s.from === 'bob').length, 0);
});

t.test('W8 the largest datagram of every type leaves the device working', async t => {
  const pair = new Pair();
  for (let type = 0; type < 6; type++) {
    const huge = new Uint8Array(65_507).fill(0xaa);
    new DataView(huge.buffer).setUint32(0, type, true);
    t.equal(pair.bob.udp(huge, elsewhere), type === 4 ? 'unknown-index' : 'malformed');
  }
  pair.handshake();
  t.equal(pair.bob.packets.length, 1);
});

t.test('H12 every initiation and every response has a new index', async t => {
  const pair = new Pair();
  const seen = new Set<number>();
  for (let i = 0; i < 20; i++) {
    pair.alice.device.expireSendKeys();
    pair.ping();
    pair.run(5100);
  }
  for (const { bytes, type } of pair.eve)
    if (type !== 4) seen.add(new DataView(bytes.buffer).getUint32(4, true));
  t.equal(pair.seen(1).length, 20);
  t.equal(seen.size, pair.seen(1).length + pair.seen(2).length);
});

t.test('H13 a response to a keypair and data to a handshake are silence', async t => {
  const pair = new Pair();
  pair.ping();
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);
  const initiation = pair.seen(1)[0]!.bytes;
  const data = new Uint8Array(32);
  data[0] = 4;
  view(data).setInt32(4, view(initiation).getInt32(4, true), true);
  t.equal(pair.alice.udp(data, pair.bob.endpoint), 'unknown-index');
  pair.run(100);
  const response = pair.seen(2)[0]!.bytes;
  t.equal(pair.alice.udp(response, pair.bob.endpoint), 'unknown-index', 'its index is a keypair by now');
});

t.test('H14 a duplicated response is used once', async t => {
  const pair = new Pair({ weather: { duplicate: 1 } });
  pair.handshake();
  t.equal(pair.alice.countEvents('handshake-complete'), 1);
  t.equal(pair.alice.verdicts.filter(v => v === 'unknown-index').length, 1);
});

t.test('H16 an unknown key is dropped without a word', async t => {
  const pair = new Pair();
  const mallory = new Host('mallory', 3);
  mallory.device.up(mallory.now, mallory);
  mallory.setPeer(pair.bob.publicKey, { endpoint: pair.bob.endpoint, persistentKeepalive: 9 });
  const before = state(pair.bob);
  t.equal(pair.bob.udp(mallory.take(), mallory.endpoint), 'unknown-peer');
  t.equal(state(pair.bob), before);
  t.equal(pair.eve.length, 0);
});

t.test('H10 without identity all handshakes are dropped', async t => {
  const { pair, initiation } = messages();
  pair.bob.device.setPrivateKey(pair.now, null, pair.bob);
  t.equal(pair.bob.udp(initiation, pair.alice.endpoint), 'no-identity');
});

t.test('N2 a recorded initiation is worthless after a session, a PSK change and interface down', async t => {
  const pair = new Pair();
  pair.handshake();
  const recorded = pair.seen(1)[0]!.bytes;
  const replay = (): string => pair.bob.udp(recorded, elsewhere);
  t.equal(replay(), 'old-timestamp', 'after the session');
  pair.bob.setPeer(pair.alice.publicKey, { presharedKey: new Uint8Array(32).fill(5) });
  t.equal(replay(), 'old-timestamp', 'after a PSK change');
  pair.bob.device.down(pair.now, pair.bob);
  t.equal(replay(), 'down');
  pair.bob.device.up(pair.now, pair.bob);
  t.equal(replay(), 'old-timestamp', 'after down and up');
  pair.run(600_000);
  t.equal(replay(), 'old-timestamp', 'after the keys are zeroed');
  t.ok(pair.alicePeer.endpoint.isSameRemote(pair.alice.endpoint));
  const change = { allowedIps: inner(1) };
  pair.bob.device.removePeer(pair.now, pair.alice.publicKey);
  pair.bob.setPeer(pair.alice.publicKey, change);
  t.equal(replay(), 'ok', 'but plain removal forgets, as in the kernel');
});

t.test('N3 two initiations within 20 ms: the second is dropped', async t => {
  const pair = new Pair({ weather: { delayMs: 0 } });
  const twice = (gap: number): string => {
    for (const host of [pair.alice, pair.bob]) host.now = pair.now;
    pair.alice.device.expireSendKeys();
    pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
    const first = pair.seen(1).at(-1)!.bytes;
    pair.alice.wallOffset += 1000;
    pair.alice.device.expireSendKeys();
    pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
    const second = pair.seen(1).at(-1)!.bytes;
    t.equal(pair.bob.udp(first, pair.alice.endpoint), 'ok');
    pair.bob.now += gap;
    return pair.bob.udp(second, pair.alice.endpoint);
  };
  pair.filter = () => true;
  t.equal(twice(19), 'flood');
  pair.run(1000);
  t.equal(twice(21), 'ok');
});

t.test('M6 E1 a cookie reply moves nothing and is used once', async t => {
  const pair = new Pair({ device: { handshakesPerSecond: 0 } });
  pair.filter = seen => seen.type === 3;
  pair.ping();
  pair.run(100);
  const reply = pair.seen(3)[0]!.bytes;
  const before = state(pair.alice);
  const forged = Uint8Array.from(reply);
  forged[40]! ^= 1;
  t.equal(pair.alice.udp(forged, elsewhere), 'bad-crypto');
  t.equal(pair.alice.udp(reply, elsewhere), 'ok', 'from anywhere, for it is bound to our mac1');
  t.equal(pair.alice.udp(reply, elsewhere), 'bad-crypto', 'once');
  t.equal(state(pair.alice), before, 'neither endpoint nor timers nor counters');
  t.equal(pair.seen(1).length, 1, 'no immediate resend');
  pair.run(5400);
  const mac2 = pair.seen(1)[1]!.bytes.subarray(132);
  t.ok(
    mac2.some(b => b !== 0),
    'the retry carries mac2',
  );
  pair.filter = null;
  pair.run(12_000); // the response needs a cookie too
  t.equal(pair.bob.packets.length, 1);
  const stray = Uint8Array.from(reply);
  stray[4]! ^= 1;
  t.equal(pair.alice.udp(stray, elsewhere), 'unknown-index');
});

t.test('M8 under load an initiation and a response without mac2 get a cookie and change nothing', async t => {
  const pair = new Pair();
  pair.bob.device.noteHandshakeLoad(pair.now, 512);
  pair.ping();
  const before = state(pair.bob);
  const initiation = pair.seen(1)[0]!.bytes;
  t.equal(pair.bob.udp(initiation, pair.alice.endpoint), 'under-load');
  t.equal(state(pair.bob), before);
  t.equal(pair.seen(3, 'bob').length, 1);
  pair.skip(2000);
  t.equal(pair.bob.udp(initiation, pair.alice.endpoint), 'ok');
  const response = pair.seen(2)[0]!.bytes;
  pair.alice.device.noteHandshakeLoad(pair.now, 512);
  const alice = state(pair.alice);
  t.equal(pair.alice.udp(response, pair.bob.endpoint), 'under-load');
  t.equal(state(pair.alice), alice);
  t.equal(pair.seen(3, 'alice').length, 1);
});

t.test('M9 under load a cookie buys a limited rate', async t => {
  const pair = new Pair();
  pair.bob.device.noteHandshakeLoad(pair.now, 512);
  pair.ping();
  pair.run(5400); // load is over by now: take it up again
  pair.alice.device.expireSendKeys();
  pair.bob.device.noteHandshakeLoad(pair.now, 512);
  pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
  const withCookie = pair.seen(1).at(-1)!.bytes;
  const verdicts: Record<string, number> = {};
  for (let i = 0; i < 8; i++) {
    const verdict = pair.bob.udp(withCookie, pair.alice.endpoint);
    verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
  }
  t.same(verdicts, { ok: 1, 'old-timestamp': 4, 'rate-limited': 3 });
});

t.test('M10 not under load a wrong mac2 does not matter', async t => {
  const { pair, initiation } = messages();
  initiation.fill(0x55, 132);
  t.equal(pair.bob.udp(initiation, pair.alice.endpoint), 'ok');
});

t.test('M1 a wrong mac1 costs nothing and says nothing', async t => {
  const { pair, initiation } = messages();
  initiation[120]! ^= 1;
  const before = state(pair.bob);
  for (let i = 0; i < 2000; i++) pair.bob.udp(initiation, elsewhere);
  t.equal(pair.bob.verdicts.at(-1), 'bad-mac1');
  t.equal(state(pair.bob), before);
  t.equal(pair.bob.device.underLoad(pair.now), false, 'nor does it make load');
});

t.test('M11 M12 a flood brings cookies, and a legitimate peer still gets through', async t => {
  const pair = new Pair({ device: { handshakesPerSecond: 50 } });
  const mallory = new Host('mallory', 3);
  mallory.device.up(mallory.now, mallory);
  mallory.setPeer(pair.bob.publicKey, { endpoint: pair.bob.endpoint, persistentKeepalive: 9 });
  const stranger = mallory.take();
  const flood = (): void => {
    for (let i = 0; i < 60; i++) pair.bob.udp(stranger, elsewhere);
  };
  flood();
  pair.ping();
  for (let second = 0; second < 13; second++) {
    flood();
    pair.run(1000);
  }
  t.ok(pair.bob.device.underLoad(pair.now - 500));
  t.equal(pair.bob.packets.length, 1);
  const worked = pair.bob.verdicts.filter(v => v === 'unknown-peer').length;
  t.ok(worked <= 51, `only ${worked} of 840 reached a Diffie-Hellman`);
});

t.test('S4 S5 S8 first authenticated data confirms next', async t => {
  const pair = new Pair();
  pair.filter = seen => seen.type === 4;
  pair.ping();
  pair.run(100);
  const peer = pair.alicePeer;
  t.ok(peer.next && !peer.current);
  t.equal(peer.lastHandshakeAt, 0, 'S8 not when the response is sent');
  t.equal(pair.bobPeer.lastHandshakeAt, pair.now - 80, 'S8 but at the response on the initiator');
  t.equal(pair.ping(pair.bob), 'staged', 'S5 a responder never sends with next');
  t.equal(pair.seen(4, 'bob').length, 0);
  const confirmation = pair.seen(4, 'alice')[0]!.bytes;
  t.equal(pair.bob.udp(confirmation, pair.alice.endpoint), 'ok');
  t.ok(peer.current && !peer.next);
  t.equal(peer.lastHandshakeAt, pair.now);
  t.equal(peer.lastHandshakeWallMs, pair.bob.wallOffset + pair.now);
  t.equal(pair.seen(4, 'bob').length, 1, 'and the staged packet is flushed');
});

t.test('S6 T16 a response is answered at once, by data or else a keepalive', async t => {
  const pair = new Pair();
  pair.ping();
  pair.run(25);
  t.equal(pair.seen(4, 'alice')[0]!.bytes.length, 96, 'staged data');
  const idle = new Pair({ alice: { persistentKeepalive: 100 } });
  idle.run(25);
  t.same(
    idle.seen(4, 'alice').map(s => s.bytes.length),
    [32],
  );
  t.same(
    idle.alice.events.filter(e => e !== 'initiation-sent'),
    ['handshake-complete'],
  );
  t.equal(idle.bobPeer.timers.handshakeAttempts, 0);
});

t.test('S7 S9 data of the previous session is accepted, of the one before not', async t => {
  const pair = ready();
  const old: Uint8Array[] = [];
  for (let i = 0; i < 3; i++) {
    pair.filter = seen => seen.type === 4;
    pair.ping();
    old.push(pair.seen(4, 'alice').at(-1)!.bytes);
    pair.filter = null;
    pair.run(6000);
    pair.alice.device.expireSendKeys();
    pair.ping();
    pair.run(100);
  }
  t.equal(pair.bob.udp(old[2]!, pair.alice.endpoint), 'ok', 'previous');
  t.equal(pair.bob.udp(old[1]!, pair.alice.endpoint), 'unknown-index', 'the one before');
  t.equal(pair.bob.udp(old[0]!, pair.alice.endpoint), 'unknown-index');
});

t.test('S7 T5 the previous session too dies at 180 s', async t => {
  const pair = ready();
  pair.filter = seen => seen.type === 4;
  pair.ping();
  const old = pair.seen(4, 'alice')[0]!.bytes;
  pair.filter = null;
  pair.alice.device.expireSendKeys();
  pair.ping();
  pair.run(100);
  const { previous } = pair.alicePeer;
  pair.skip(previous!.createdAt + 180_000 - pair.now);
  t.equal(pair.bob.udp(old, pair.alice.endpoint), 'expired-key');
});

t.test('T4 an initiator that only listens renews once after 165 s', async t => {
  // Bob's keepalives are all that moves; alice has nothing to say.
  const pair = new Pair({ bob: { persistentKeepalive: 4 }, bobKnowsEndpoint: false });
  pair.handshake();
  pair.run(160_000);
  t.equal(pair.seen(1, 'alice').length, 1, 'nothing at 160 s');
  pair.filter = seen => seen.type === 1;
  pair.run(13_000);
  t.equal(pair.seen(1, 'alice').length >= 2, true);
  t.equal(pair.seen(1, 'bob').length, 0, 'a responder never');
  const at = pair.seen(1, 'alice')[1]!.at - pair.seen(1, 'alice')[0]!.at;
  t.ok(at >= 165_000 && at < 169_100, `${at} ms`);
  t.equal(pair.bobPeer.timers.sentLastMinuteHandshake, true);
});

t.test('T10 keepalives answer data, never keepalives', async t => {
  const pair = ready();
  pair.ping();
  pair.run(9_000);
  t.equal(pair.seen(4, 'bob').length, 0);
  pair.run(100_000 - 60_000);
  t.same(
    pair.seen(4).map(s => [s.from, s.bytes.length]),
    [
      ['alice', 96],
      ['bob', 32],
    ],
    'one packet, one keepalive, silence',
  );
  pair.eve.length = 0;
  pair.ping();
  pair.run(3000);
  pair.ping();
  pair.run(50_000 - 40_000);
  t.equal(pair.seen(4, 'bob').length, 1);
  pair.run(10_000);
  t.equal(pair.seen(4, 'bob').length, 2, 'more data while it was pending: one more');
});

t.test('R1 a forged counter does not move the window', async t => {
  const pair = ready();
  pair.filter = () => true;
  pair.ping();
  const genuine = pair.seen(4, 'alice')[0]!.bytes;
  const forged = Uint8Array.from(genuine);
  forged.fill(0xfe, 8, 14);
  const before = state(pair.bob);
  t.equal(pair.bob.udp(forged, elsewhere), 'bad-crypto');
  t.equal(state(pair.bob), before);
  t.equal(pair.bob.udp(genuine, pair.alice.endpoint), 'ok');
  const after = state(pair.bob);
  t.equal(pair.bob.udp(genuine, elsewhere), 'replay');
  t.equal(state(pair.bob), after, 'a replay changes nothing either');
});

t.test(
  'R3 R4 R5 a bad inner packet is dropped and not counted, but the session lives and the endpoint moves',
  async t => {
    for (const [packet, verdict] of [
      [packet4(9, 2), 'bad-source'],
      [packet4(2, 2), 'bad-source'],
      [new Uint8Array(64).fill(0x25), 'bad-inner'],
    ] as const) {
      const pair = ready();
      const { alice } = pair;
      const keypair = pair.bobPeer.current!;
      const rx = pair.alicePeer.rxBytes;
      alice.arena.u8.set(packet, alice.at);
      const header = alice.at - 16;
      alice.arena.view.setUint32(header, 4, true);
      alice.arena.view.setInt32(header + 4, keypair.remoteIndex, true);
      const counter = keypair.sendCounter++;
      alice.arena.view.setUint32(header + 8, counter, true);
      alice.arena.view.setUint32(header + 12, 0, true);
      keypair.send.seal(alice.at, 64, counter);
      const message = alice.arena.u8.slice(header, header + 96);
      const seen = pair.bob.packets.length;
      t.equal(pair.bob.udp(message, elsewhere), verdict);
      t.equal(pair.bob.packets.length, seen);
      t.match(pair.alicePeer, {
        rxBytes: rx,
        rxErrors: 1,
        lastDataReceivedAt: pair.now,
        lastHeardAt: pair.now,
      });
      t.ok(pair.alicePeer.endpoint.isSameRemote(elsewhere));
    }
  },
);

t.test('R4 a nested prefix of another peer cannot be used as source', async t => {
  const pair = ready();
  const carol = new Host('carol', 9);
  pair.bob.setPeer(pair.alice.publicKey, {
    allowedIps: [{ family: 4, address: Uint8Array.of(10, 0, 0, 0), prefix: 24 }],
  });
  pair.bob.setPeer(carol.publicKey, { allowedIps: inner(7) });
  pair.alice.tun(packet4(7, 2));
  pair.alice.tun(packet4(8, 2));
  pair.run(100);
  t.same(pair.bob.verdicts.slice(-2), ['bad-source', 'ok']);
});

t.test('R7 a batch is accounted once, with its last endpoint', async t => {
  const pair = ready();
  const { bob } = pair;
  const keypair = bob.device.findKeypair(pair.alicePeer.current!.localIndex)!;
  t.equal(keypair, pair.alicePeer.current);
  t.ok(bob.device.acceptable(pair.now, keypair));
  const rx = pair.alicePeer.rxBytes;
  bob.device.receivedData(pair.now, keypair, elsewhere, 44, 44 * 1452, true, bob);
  t.equal(pair.alicePeer.rxBytes, rx + 44 * 1452);
  t.ok(pair.alicePeer.endpoint.isSameRemote(elsewhere));
  t.equal(bob.countEvents('endpoint-changed'), 1);
  bob.device.revoke(pair.now, pair.alice.publicKey);
  bob.device.receivedData(pair.now, keypair, elsewhere, 1, 100, true, bob);
  t.equal(bob.device.acceptable(pair.now, keypair), false);
  t.equal(bob.device.findKeypair(keypair.localIndex), null);
});

t.test('E1 every authenticated message moves the endpoint, across families', async t => {
  const six = new Endpoint();
  six.family = 6;
  six.address[0] = 0x20;
  six.port = 66;
  const pair = new Pair();
  pair.filter = () => true;
  pair.ping();
  pair.bob.udp(pair.seen(1)[0]!.bytes, six);
  t.ok(pair.alicePeer.endpoint.isSameRemote(six), 'initiation');
  pair.alice.udp(pair.seen(2)[0]!.bytes, six);
  t.ok(pair.bobPeer.endpoint.isSameRemote(six), 'response');
  pair.bob.udp(pair.seen(4)[0]!.bytes, elsewhere);
  t.ok(pair.alicePeer.endpoint.isSameRemote(elsewhere), 'data');
  pair.skip(10_100);
  pair.bob.poll();
  pair.alice.udp(pair.seen(4, 'bob').at(-1)!.bytes, elsewhere);
  t.ok(pair.bobPeer.endpoint.isSameRemote(elsewhere), 'keepalive');
});

t.test('E2 the local address a packet came to is kept as source', async t => {
  const pair = ready();
  const from = new Endpoint();
  from.copyFrom(pair.alice.endpoint);
  from.sourceFamily = 4;
  from.source.set([192, 0, 2, 2]);
  from.sourceInterface = 3;
  pair.filter = () => true;
  pair.ping();
  pair.bob.udp(pair.seen(4)[0]!.bytes, from);
  t.match(pair.alicePeer.endpoint, { sourceFamily: 4, sourceInterface: 3 });
  t.equal(pair.bob.countEvents('endpoint-changed'), 0, 'the peer itself has not moved');
});

t.test('keepFresh: confirmation is repeated until heard, a listener renews at once when due', async t => {
  const pair = new Pair({ alice: { keepFresh: true } });
  pair.handshake();
  const confirmations = (): number => pair.seen(4, 'alice').length;
  pair.run(40_000);
  t.equal(confirmations(), 1 + 3, 'data, then at 1, 3 and 7 s; at 10 s bob is heard under the new key');
  pair.run(119_000 - 40_100);
  pair.eve.length = 0;
  pair.ping(pair.bob);
  pair.run(500);
  t.equal(pair.seen(1).length, 0);
  pair.bobPeer.timers.at[5] = Infinity;
  pair.run(1000);
  pair.ping(pair.bob);
  pair.run(500);
  t.equal(pair.seen(1, 'alice').length, 1);

  const heard = new Pair({ alice: { keepFresh: true } });
  heard.handshake();
  heard.ping(heard.bob);
  heard.run(9000);
  t.equal(heard.seen(4, 'alice').length, 1, 'nothing is repeated to somebody we hear');
});

t.test('P6 P8 disagreement about the PSK is reported once per initiation', async t => {
  const pair = new Pair({ alice: { presharedKey: new Uint8Array(32).fill(1) }, weather: { duplicate: 1 } });
  pair.ping();
  pair.run(4000);
  t.equal(pair.seen(2).length, 1);
  t.equal(pair.alice.countEvents('psk-mismatch'), 1);
  t.equal(pair.bobPeer.handshake.state, 'created-initiation', 'the genuine response could still come');
  pair.run(11_000);
  t.equal(pair.bob.countEvents('handshake-unconfirmed'), 0);
  pair.bobPeer.presharedKey.fill(0);
  pair.run(20_000);
  t.equal(pair.alice.countEvents('handshake-complete'), 1);
  t.equal(pair.bobPeer.mismatches, 0);
});

t.test('handshake-unconfirmed: three answers in 20 s, without cookies', async t => {
  const lost = new Pair();
  lost.filter = seen => seen.type === 2;
  lost.ping();
  lost.run(9000);
  t.equal(lost.bob.countEvents('handshake-unconfirmed'), 0);
  lost.run(3000);
  t.equal(lost.bob.countEvents('handshake-unconfirmed'), 1);
  const cookies = new Pair({ device: { handshakesPerSecond: 0 } });
  cookies.filter = seen => seen.type === 2;
  cookies.ping();
  cookies.run(60_000);
  t.ok(cookies.seen(2).length >= 3);
  t.equal(cookies.bob.countEvents('handshake-unconfirmed'), 0);
});
