// What a data plane is started with, and what it reports when it is ready. Types only, shared by the worker, the data plane without FFI,
// and the code that starts either of them.

import type { MessagePort } from 'node:worker_threads';
import type { FfiName } from '../../platform/ffi/ffi.ts';
import type { RouteName } from '../../platform/ffi/route.ts';
import type { Dataplane } from './commands.ts';

export interface DataplaneOptions {
  readonly ifname: string;
  /** Inner MTU; 1420 unless told otherwise (D14). */
  readonly mtu?: number;
  /** Path of the TUN control node, `/dev/net/tun` unless told otherwise. */
  readonly tunDevice?: string;
  /** An already opened TUN, instead of `tunDevice`. */
  readonly tunFd?: number;
  /** The process that `tunFd` was set up to signal, if any (platform/inherited.ts). */
  readonly tunOwner?: number;
  /** Kernel offloads (vnet header, UDP GSO and GRO); `off` is for odd kernels and for tests. */
  readonly offload?: 'auto' | 'off';
  readonly ffi?: RouteName | 'auto';
  /** AEAD back end: `auto` takes the first that passes its self-test; a name forces one (tests, odd machines). */
  readonly crypto?: string;
  /** 2 adds a thread for the ciphers; 1 unless told otherwise. */
  readonly threads?: number;
  /** Set the link up at start instead of following the program that does it (`ip link set up`, wg-quick). */
  readonly linkUp?: boolean;
  readonly maxPeers?: number;
}

/** What the worker is started with. */
export interface DataplaneSeed {
  readonly sallyportDataplane: true;
  readonly options: DataplaneOptions & { readonly ffi: FfiName };
  readonly port: MessagePort;
  readonly wakeFd: number;
}

export type DataplaneReady = {
  readonly ifname: string;
  readonly ffi: string;
  readonly crypto: string;
  readonly vnetHeader: boolean;
};

export type StartDataplane = (options: DataplaneOptions) => Promise<Dataplane>;
