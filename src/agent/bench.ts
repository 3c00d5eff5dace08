// `sallyport bench [--json] [--seconds N]`: what this machine can do at best, without peer, TUN or root: both ends of a tunnel on one
// core. Comparisons with other implementations are `npm run bench`.

import { protocol } from '../datapath/inet.ts';
import { chooseCrypto } from '../platform/crypto/choose.ts';
import { loadFfi } from '../platform/ffi/load.ts';
import { Libc } from '../platform/libc.ts';
import { Arena } from '../util/arena.ts';
import { PlainError, usageError } from '../util/errors.ts';
import { newMemory } from '../util/memory.ts';
import { atEnd } from '../util/scope.ts';
import { openEnds, piece } from './dataplane/warmup/loopback.ts';
import { makePathState } from './dataplane/pathstate.ts';
import { portableProviders, preparePortable } from './portableproviders.ts';

export interface BenchReport {
  readonly ffi: string;
  readonly crypto: string;
  /** Payload of full packets, both ends on one core, in bits a second. */
  readonly bitsPerSecond: number;
  /** Lone packets of 84 bytes, both ends on one core. */
  readonly packetsPerSecond: number;
  /** Both ends on one core. */
  readonly handshakesPerSecond: number;
}

const mtu = 1420;
const arenaPages = 32;
/** Each thing is done that often between two looks at the clock. */
const perRound = 16;
const meetEveryMs = 100;

export async function run(
  args: readonly string[],
  out: (text: string) => void = text => void process.stdout.write(text),
): Promise<number> {
  let seconds = 2;
  let isJson = false;
  for (let i = 0; i < args.length; i++) {
    if (args[i] === '--json') isJson = true;
    else if (args[i] === '--seconds' && Number(args[i + 1]) > 0 && Number(args[i + 1]) <= 60)
      seconds = Number(args[++i]);
    else
      throw usageError(
        'argument',
        `unexpected '${args[i]}': expected bench [--json] [--seconds N], at most 60`,
      );
  }
  const report = await measure(seconds * 1000);
  const { bitsPerSecond, packetsPerSecond, handshakesPerSecond, crypto, ffi } = report;
  out(
    isJson
      ? `${JSON.stringify(report)}\n`
      : `${(bitsPerSecond / 1e9).toFixed(2)} Gbit/s in full packets
${packetsPerSecond} lone packets a second
${handshakesPerSecond} handshakes a second
both ends on one core, with ${crypto} by ${ffi}, over loopback sockets and without a TUN device
`,
  );
  return 0;
}

async function measure(ms: number): Promise<BenchReport> {
  const ffi = await loadFfi();
  await preparePortable();
  const memory = newMemory(arenaPages, true);
  const arena = new Arena(memory.buffer);
  const libc = new Libc(ffi, arena);
  const crypto = chooseCrypto(libc, () => portableProviders(arena, memory));
  const parts = makePathState(libc, memory, mtu);
  const offloads = { csum: true, tso4: true, tso6: true, uso4: true, uso6: true };
  const ends = openEnds(libc, { vnetHeader: true, offloads }, true, parts, {
    arena,
    crypto,
    random: bytes => void globalThis.crypto.getRandomValues(bytes),
    wallMs: () => Date.now(),
  });
  if (ends === null)
    throw new PlainError('no-loopback', 'two UDP sockets on 127.0.0.1 are needed: is lo up?');
  const [near, far] = ends;
  let now = 1;
  /** A first handshake with a packet waiting for it. Seldom enough, by the devices' clock, to be asked for no cookies. */
  const meet = (): number => {
    now += meetEveryMs;
    near.meet(now, far);
    far.meet(now, near);
    return carry(lone);
  };
  /** Bytes that came out at the far end. */
  const carry = (packet: Uint8Array): number => {
    arena.u8.set(packet, parts.slot.at);
    far.tun.write(parts.slot.at, packet.length); // which is where `near` reads
    near.loop.outbound(now);
    far.loop.inbound(now, far.udp);
    near.loop.inbound(now, near.udp); // a handshake is answered
    far.loop.inbound(now, far.udp);
    let heard = 0;
    for (let bytes = 0; (bytes = near.tun.read(parts.slot.at, 1 << 16)) > 0;) heard += bytes;
    return heard;
  };
  using _end = atEnd(() => {
    near.close();
    far.close();
  });
  return {
    ffi: ffi.name,
    crypto: crypto.name,
    handshakesPerSecond: rate(ms, () => (meet() > 0 ? 1 : 0)),
    bitsPerSecond: rate(ms, () => 8 * carry(full)),
    packetsPerSecond: rate(ms, () => (carry(lone) > 0 ? 1 : 0)),
  };
}

const lone = piece(4, protocol.icmp, 84);
const full = piece(4, protocol.tcp, 64_000, { segment: mtu - 52 });

/** What `act` counts, by the second; the first tenth of the time is for the compiler. */
function rate(ms: number, act: () => number): number {
  let counted = 0;
  let from = 0;
  const start = performance.now();
  for (;;) {
    const at = performance.now() - start;
    if (from > 0 && at > ms) return Math.round((counted * 1000) / (at - from));
    if (from === 0 && at > ms / 10) {
      from = at;
      counted = 0;
    }
    for (let i = 0; i < perRound; i++) counted += act();
  }
}
