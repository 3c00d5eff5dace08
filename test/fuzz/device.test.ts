// A live pair of devices under hostile bytes: cut, stretched, bent, spliced and invented messages, some with a mac1 that is
// right, plus garbage from the tunnel side. Invariants: always a verdict, never a throw; whatever is not accepted leaves
// every state as it was; the session still carries data afterwards. FUZZ_RUNS sets the number of inputs.

import t from 'tap';
import { nodeProvider } from '../fixtures/twins/nodecrypto.ts';
import { Pair } from '../fixtures/packets/pair.ts';
import type { Host } from '../fixtures/packets/pair.ts';
import { seeded } from '../fixtures/rng.ts';
import type { Rng } from '../fixtures/rng.ts';
import { CookieGenerator } from '../../src/wireguard/dos/cookie.ts';
import { verdicts } from '../../src/wireguard/effects.ts';
import { Endpoint } from '../../src/wireguard/peer/endpoint.ts';

const own = process.env['SEED'];
const seeds = own === undefined ? [1, 2] : [Number(own)];
const runs = Number(process.env['FUZZ_RUNS'] ?? 20_000) / seeds.length;

/** What a message may not touch unless it is accepted. */
function state(host: Host): string {
  const parts: unknown[] = [];
  for (const p of host.device.peers()) {
    const h = p.handshake;
    parts.push(p.current?.localIndex, p.next?.localIndex, p.previous?.localIndex, p.current?.sendCounter);
    parts.push(
      h.state,
      h.localIndex,
      h.remoteIndex,
      h.lastConsumedAt,
      h.latestTimestamp.join(),
      h.hash.join(),
    );
    parts.push(p.endpoint.family, p.endpoint.address.join(), p.endpoint.port, p.rxBytes, p.txBytes);
    parts.push(p.lastHandshakeAt, p.lastHeardAt, p.lastSentHandshakeAt, p.timers.at.join(), p.staged.size);
    parts.push(p.rxErrors, p.unconfirmed, p.current?.isHeard);
  }
  return parts.join(' ');
}

const words = [0, 1, 2, 3, 4, 5, 0x7f, 0x80, 0xff];

function mutate(rng: Rng, message: Uint8Array, indices: readonly number[]): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(message);
  for (let n = 1 + rng.below(3); n > 0; n--) {
    const at = rng.below(Math.max(1, bytes.length));
    switch (rng.below(8)) {
      case 0:
        if (bytes.length > 0) bytes[at]! ^= 1 << rng.below(8);
        break;
      case 1:
        bytes = bytes.slice(0, at);
        break;
      case 2: {
        const longer = new Uint8Array(bytes.length + 1 + rng.below(200));
        longer.set(bytes);
        bytes = longer;
        break;
      }
      case 3:
        if (bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, rng.below(6), true);
        break;
      case 4: // an index that means something to the receiver
        if (bytes.length >= 12)
          new DataView(bytes.buffer).setInt32(rng.chance(0.5) ? 4 : 8, rng.pick(indices), true);
        break;
      case 5: // extreme counters
        if (bytes.length >= 16)
          for (let i = 8; i < 16; i++) bytes[i] = rng.chance(0.5) ? 0xff : rng.pick(words);
        break;
      case 6:
        bytes.fill(rng.pick(words), at, at + rng.below(32));
        break;
      default:
        bytes = rng.bytes(rng.pick([0, 1, 3, 4, 31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149, 300]));
        if (bytes.length >= 4) new DataView(bytes.buffer).setUint32(0, 1 + rng.below(4), true);
    }
  }
  return bytes;
}

const accepted = new Set(['ok', 'keepalive', 'bad-inner', 'bad-source']);

for (const seed of seeds)
  t.test(`W1 W2 R1 hostile datagrams at a live device (seed ${seed})`, async t => {
    const rng = seeded(seed);
    const pair = new Pair({ seed, crypto: nodeProvider, device: { handshakesPerSecond: 1e9 } });
    const corpus: Uint8Array[] = [];
    // A bit of everything, recorded on the wire, with a session of each age alive.
    pair.bob.device.noteHandshakeLoad(pair.now, 512);
    pair.handshake();
    pair.run(6000);
    for (let i = 0; i < 3; i++) {
      pair.ping(pair.alice, 20 + rng.below(1400));
      pair.ping(pair.bob);
      pair.run(6000);
      pair.alice.device.expireSendKeys();
    }
    pair.ping();
    pair.run(6000);
    pair.filter = () => true; // and some that never arrived, so that a few are accepted
    for (let i = 0; i < 20; i++) pair.ping();
    pair.alice.device.startHandshake(pair.now, pair.bob.publicKey, pair.alice);
    pair.filter = null;
    corpus.push(...pair.eve.map(s => s.bytes));
    const from = new Endpoint();
    from.family = 4;
    const macs = new CookieGenerator(pair.bob.publicKey);
    const tally: Record<string, number> = {};
    const wrong: string[] = [];
    let before = state(pair.bob);
    for (let run = 0; run < runs && wrong.length === 0; run++) {
      const peer = pair.alicePeer;
      const indices = [
        peer.current?.localIndex ?? 0,
        peer.previous?.localIndex ?? 0,
        peer.handshake.localIndex,
        rng.u32() | 0,
      ];
      const message = rng.chance(0.02) ? rng.pick(corpus) : mutate(rng, rng.pick(corpus), indices);
      // A right mac1 leads deeper, into the Diffie-Hellmans; it is also dearer.
      const deep = rng.chance(0.02) && (message.length === 148 || message.length === 92);
      if (deep) macs.addMacs(0, message);
      from.address[3] = rng.below(256);
      from.port = rng.below(65_536);
      const verdict = pair.bob.udp(message, from);
      tally[verdict] = (tally[verdict] ?? 0) + 1;
      if (!verdicts.includes(verdict)) wrong.push(`run ${run}: ${verdict}`);
      const after = state(pair.bob);
      if (!accepted.has(verdict) && after !== before)
        wrong.push(`run ${run}: ${verdict} changed\n${before}\n${after}`);
      before = after;
      pair.bob.verdicts.length = pair.bob.packets.length = pair.bob.events.length = pair.eve.length = 0;
    }
    t.same(wrong, []);
    t.comment(JSON.stringify(tally));
    t.ok(Object.keys(tally).length >= 6, 'the fuzzer reaches several ways to fail');
    pair.alice.setPeer(pair.bob.publicKey, { endpoint: pair.bob.endpoint });
    pair.ping();
    pair.run(12_000);
    pair.bob.packets.length = 0;
    pair.ping();
    pair.run(100);
    t.equal(pair.bob.packets.length, 1, 'and the pair still talks');
  });

for (const seed of seeds)
  t.test(`D1 R3 hostile packets from the tunnel (seed ${seed})`, async t => {
    const rng = seeded(seed);
    const pair = new Pair({ seed, crypto: nodeProvider });
    pair.handshake();
    const tally: Record<string, number> = {};
    for (let run = 0; run < runs / 4; run++) {
      const packet = rng.bytes(rng.below(200));
      if (packet.length > 0 && rng.chance(0.8)) packet[0] = rng.pick([0x45, 0x46, 0x60, 0x4f]);
      if (packet.length >= 20 && rng.chance(0.5)) {
        packet[2] = 0;
        packet[3] = packet.length;
        packet.set([10, 0, 0, 2], 16);
      }
      const verdict = pair.alice.tun(packet);
      tally[verdict] = (tally[verdict] ?? 0) + 1;
      if (!verdicts.includes(verdict)) t.fail(verdict);
    }
    t.comment(JSON.stringify(tally));
    t.ok((tally['ok'] ?? 0) > 0 && (tally['bad-inner'] ?? 0) > 0);
  });
