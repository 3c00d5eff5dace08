// The parts of the packet path that keep no state between turns, on one arena; made for the data plane and for the bench.

import { SendBatch } from '../../datapath/batch.ts';
import { type Checksum, createChecksum } from '../../datapath/checksum.ts';
import { Coalescer } from '../../datapath/coalesce.ts';
import { Segmenter } from '../../datapath/segment.ts';
import { Unreachable } from '../../datapath/unreachable.ts';
import type { Libc } from '../../platform/libc.ts';
import { ReceiveSlot } from '../../platform/net/udp.ts';
import { Endpoint } from '../../wireguard/peer/endpoint.ts';
import type { PathState } from './loop.ts';
import type { Memory } from '../../util/memory.ts';

export type SharedParts = Omit<PathState, 'device' | 'tun' | 'sockets' | 'counters' | 'out'>;

/** `memory` is what the arena lies in. */
export function makePathState(
  libc: Libc,
  memory: Memory,
  mtu: number,
): SharedParts & { readonly checksum: Checksum; readonly slot: ReceiveSlot } {
  const { arena } = libc;
  const checksum = createChecksum(memory, arena);
  return {
    arena,
    checksum,
    slot: new ReceiveSlot(libc, new Endpoint()),
    batch: new SendBatch(arena),
    segmenter: new Segmenter(arena, checksum, mtu),
    coalescer: new Coalescer(arena, checksum, { base: libc.base, pointerBytes: libc.ffi.pointerBytes }),
    unreachable: new Unreachable(arena, checksum),
  };
}
