// Ports: what the packet path asks of a TUN device and of UDP sockets, so that it does not know by which route they are
// reached: by FFI (platform/tun.ts, platform/net/udp.ts) or by Node's own means (platform/inherited.ts, platform/net/dgram.ts).

import type { EndpointLike, ReceiveSlot } from '../../platform/net/receiveslot.ts';
import type { Tun as FfiTun } from '../../platform/tun.ts';

export type Tun = Pick<FfiTun, 'vnetHeader' | 'readSplit' | 'write' | 'writev'>;
export type Slot = Pick<ReceiveSlot, 'at' | 'segment' | 'ecn' | 'truncated' | 'from'>;

export interface Udp {
  receive(slot: Slot): number;
  send(at: number, bytes: number, segment: number, to: EndpointLike, tos: number): number;
}

/** The two sockets of the device, seen by the packet path and by the gate; results are 0 or -errno. */
export interface Sockets {
  readonly port: number;
  readonly mark: number;
  of(family: number): Udp | null;
  bind(): number;
  setPort(port: number): number;
  setMark(mark: number): number;
  close(): void;
}
