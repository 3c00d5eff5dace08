import t from 'tap';
import { seeded } from '../fixtures/rng.ts';
import { Arena } from '../../src/util/arena.ts';
import { maxTombstones, rekeyAfterMs, refreshAsResponderMs } from '../../src/wireguard/constants.ts';
import { stablelibProvider } from '../../src/wireguard/primitives/stablelib.ts';
import { Keypair } from '../../src/wireguard/noise/keypair.ts';
import { Peer } from '../../src/wireguard/peer/peer.ts';
import { Shared } from '../../src/wireguard/shared.ts';

const cipher = { seal: () => {}, open: () => true, destroy: () => {} };

function shared() {
  const arena = new Arena(new ArrayBuffer(128 * 1024));
  const random = seeded(3);
  let draws = 0;
  const all = new Shared(
    arena,
    stablelibProvider(arena),
    out => {
      draws++;
      random.fill(out);
    },
    () => 0,
    { mtu: 1420, maxStagedBytes: 1000, handshakesPerSecond: 10 },
  );
  const peer = (n: number): Peer => new Peer(n, new Uint8Array(32).fill(n), all.blocks);
  return { all, peer, draws: () => draws };
}

t.test('scratch leaves room before and behind the largest message', async t => {
  const { all } = shared();
  t.ok(all.scratch >= 64);
  t.equal(all.scratchPayload, all.scratch + 16);
  t.ok(all.scratch + 65_535 + 32 + 64 <= all.arena.alloc(1));
});

t.test('T6 jitter is uniform below 333 ms and draws randomness seldom', async t => {
  const { all, draws } = shared();
  const before = draws();
  const sample = Array.from({ length: 6400 }, () => all.jitter());
  t.ok(sample.every(ms => ms >= 0 && ms < 333));
  const mean = sample.reduce((a, b) => a + b) / sample.length;
  t.ok(Math.abs(mean - 166.5) < 5, `${mean}`);
  t.ok(draws() - before <= 101);
});

t.test('tombstones are bounded, oldest first', async t => {
  const { all, peer } = shared();
  const first = peer(1);
  first.handshake.latestTimestamp.fill(7);
  all.bury(first);
  all.bury(peer(2));
  all.bury(first);
  t.equal(all.tombstones.size, 2);
  for (let i = 0; i < maxTombstones - 2; i++) all.tombstones.set(`filler ${i}`, new Uint8Array(12));
  all.bury(peer(3));
  t.equal(all.tombstones.size, maxTombstones);
  t.equal(all.tombstones.has(peer(2).publicKeyHex), false);
  t.same(all.tombstones.get(first.publicKeyHex), new Uint8Array(12).fill(7));
});

t.test('arming, discarding, growing stale', async t => {
  const { all, peer } = shared();
  const one = peer(1);
  one.timers.at[0] = 5;
  all.arm(one);
  t.equal(all.deadlines.earliest, 5);
  one.isAlive = false;
  all.arm(one);
  t.equal(all.deadlines.earliest, Infinity, 'the dead wait for nothing');

  t.equal(all.isStale(1e9, one), false, 'no session, nothing to renew');
  for (const isInitiator of [true, false]) {
    const due = isInitiator ? rekeyAfterMs : refreshAsResponderMs;
    one.current = new Keypair(one, cipher, cipher, 9, 9, isInitiator, 0);
    t.equal(all.isStale(due - 1, one), false);
    t.equal(all.isStale(due, one), true);
  }
  all.indices.replace(9, one.current!);
  const { current } = one;
  all.wipeKeys(one);
  t.equal(all.indices.size, 0);
  t.ok(current!.isDestroyed);
});
