// Allowed-IPs under a byte string read as a programme of inserts, moves, removals and look-ups, compared with the slow
// router after each step. Invariant: same answers, never a throw. The committed seeds run in the gate; SEED=n tries another.

import t from 'tap';
import { AllowedIps, type AllowedIp } from '../../src/wireguard/peer/allowedips.ts';
import { seeded } from '../fixtures/rng.ts';
import { SlowRouter } from '../fixtures/twins/slow-router.ts';

interface Peer {
  readonly name: number;
}

/** Runs the programme; where it ends, or a description of the first difference. */
export function run(programme: Uint8Array): string {
  const fast = new AllowedIps<Peer>();
  const slow = new SlowRouter<Peer>();
  const peers: Peer[] = Array.from({ length: 4 }, (_, name) => ({ name }));
  let at = 0;
  const byte = (): number => programme[at++] ?? 0;
  /** Mostly zero bytes, so that prefixes meet; the operand says which bytes are not. */
  const address = (size: number): Uint8Array => {
    const bytes = new Uint8Array(size);
    const pattern = byte();
    for (let i = 0; i < size; i++) if (((pattern >> (i & 7)) & 1) === 1) bytes[i] = byte();
    return bytes;
  };
  while (at < programme.length) {
    const start = at;
    const operation = byte();
    const size = (operation & 1) === 0 ? 4 : 16;
    const peer = peers[(operation >> 1) & 3]!;
    const ip: AllowedIp = {
      family: size === 4 ? 4 : 6,
      address: address(size),
      prefix: byte() % (8 * size + 1),
    };
    if (operation < 130) {
      fast.insert(ip, peer);
      slow.insert(ip, peer);
    } else if (operation < 230) {
      if (fast.remove(ip, peer) !== slow.remove(ip, peer)) return `byte ${start}: remove`;
    } else if (operation < 236) {
      fast.removeByPeer(peer);
      slow.removeByPeer(peer);
    }
    const wanted = address(size);
    const found = size === 4 ? fast.find4(wanted, 0) : fast.find6(wanted, 0);
    if (found !== slow.find(wanted)) return `byte ${start}: find`;
    if (fast.size !== slow.size) return `byte ${start}: size`;
    const list = (table: { of(peer: Peer): AllowedIp[] }): string =>
      table
        .of(peer)
        .map(entry => `${entry.address.join('.')}/${entry.prefix}`)
        .join();
    if (list(fast) !== list(slow)) return `byte ${start}: list`;
  }
  return '';
}

const own = process.env['SEED'];
for (const seed of own === undefined ? [1, 2, 3, 4, 5, 6, 7, 8] : [Number(own)])
  t.test(`A1–A5 random programme (seed ${seed})`, async t => {
    const rng = seeded(seed);
    for (let i = 0; i < 10; i++) t.equal(run(rng.bytes(1500)), '', `programme ${i}`);
  });
