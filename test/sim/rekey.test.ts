// Renewal under traffic: sessions follow one another every 120 s and no packet is lost or doubled, whatever the weather
// does to their order.

import t from 'tap';
import { nodeProvider } from '../fixtures/twins/nodecrypto.ts';
import { Pair, packet4 } from '../fixtures/packets/pair.ts';
import { seedOf } from '../fixtures/rng.ts';

t.test('T3 S7 an hour of traffic renews every 120 s and loses nothing', async t => {
  const pair = new Pair({ crypto: nodeProvider });
  for (let i = 0; i < 3600; i++) {
    pair.ping(i % 2 === 0 ? pair.alice : pair.bob);
    pair.run(1000);
  }
  t.equal(pair.alice.packets.length + pair.bob.packets.length, 3600);
  const at = pair.seen(1).map(s => s.at);
  t.equal(pair.seen(1, 'bob').length, 0, 'the initiator keeps the role');
  t.ok(at.length >= 29 && at.length <= 31, `${at.length} handshakes`);
  for (let i = 1; i < at.length; i++) {
    const gap = at[i]! - at[i - 1]!;
    if (gap < 120_000 || gap > 122_100) t.fail(`renewed after ${gap} ms`);
  }
  t.equal(pair.alicePeer.handshakes, at.length);
});

const seed = seedOf(31);
t.test(
  `S7 R2 reordering and duplication across renewals deliver each packet once (seed ${seed})`,
  async t => {
    const pair = new Pair({
      seed,
      crypto: nodeProvider,
      weather: { delayMs: 30, jitterMs: 400, duplicate: 0.3, reorder: 0.1 },
    });
    pair.handshake();
    pair.run(1000);
    const first = pair.bob.packets.length;
    const seen = new Set<string>();
    let sent = 0;
    for (let i = 0; i < 6000; i++) {
      const packet = packet4(1, 2, 48);
      new DataView(packet.buffer).setUint32(20, i);
      pair.alice.tun(packet);
      sent++;
      pair.run(100);
    }
    pair.run(5000);
    for (const packet of pair.bob.packets.slice(first)) seen.add(packet.subarray(20, 24).join());
    t.equal(pair.bob.packets.length - first, sent);
    t.equal(seen.size, sent);
    t.ok(pair.alicePeer.handshakes >= 5);
  },
);

t.test('a renewal whose every message is lost for 50 s interrupts nothing', async t => {
  const pair = new Pair({ crypto: nodeProvider });
  pair.filter = seen => seen.type !== 4 && pair.now > 1_100_000 && pair.now < 1_170_000;
  for (let i = 0; i < 300; i++) {
    pair.ping();
    pair.run(1000);
  }
  t.equal(pair.bob.packets.length, 300);
});
