// Addresses and routes of the tunnel interface, kept as configured: new ones are added, those no longer configured are removed, those of
// other programs are left alone. The kernel is reached through platform/net/netlink.ts, without processes.

import type { Log } from '../control/log.ts';
import { contains, formatPrefix, type IpPrefix, network } from '../util/inet.ts';

/** The part of platform/net/netlink.ts that is used here; results are >= 0 or -errno. */
export interface Kernel {
  addAddress(name: string, address: IpPrefix): number;
  deleteAddress(name: string, address: IpPrefix): number;
  addRoute(route: IpPrefix & { interface: string }): number;
  deleteRoute(route: IpPrefix & { interface: string }): number;
  setMtu(name: string, mtu: number): number;
  linkUp(name: string): number;
}

export class Network {
  readonly #kernel: Kernel;
  readonly #ifname: string;
  readonly #log: Log;
  #addresses = new Map<string, IpPrefix>();
  #routes = new Map<string, IpPrefix>();

  constructor(kernel: Kernel, ifname: string, log: Log) {
    this.#kernel = kernel;
    this.#ifname = ifname;
    this.#log = log;
  }

  up(): void {
    this.#check('link up', this.#kernel.linkUp(this.#ifname));
  }

  setMtu(mtu: number): void {
    this.#check(`MTU ${mtu}`, this.#kernel.setMtu(this.#ifname, mtu));
  }

  /** The interface must be up: the kernel refuses routes through one that is down. */
  apply(addresses: readonly IpPrefix[], routes: readonly IpPrefix[]): void {
    // A network that an address brings along is routed already.
    const onLink = addresses.map(network);
    const wanted = routes.filter(route => !onLink.some(own => contains(own, route)));
    const name = this.#ifname;
    this.#routes = this.#reconcile('route', this.#routes, wanted, {
      add: route => this.#kernel.addRoute({ ...route, interface: name }),
      remove: route => this.#kernel.deleteRoute({ ...route, interface: name }),
      after: () => {
        this.#addresses = this.#reconcile('address', this.#addresses, addresses, {
          add: address => this.#kernel.addAddress(name, address),
          remove: address => this.#kernel.deleteAddress(name, address),
        });
      },
    });
  }

  /** Removes, lets `after` run (addresses change between old and new routes), then adds. */
  #reconcile(
    what: string,
    present: ReadonlyMap<string, IpPrefix>,
    wanted: readonly IpPrefix[],
    act: { add(ip: IpPrefix): number; remove(ip: IpPrefix): number; after?(): void },
  ): Map<string, IpPrefix> {
    const next = new Map(wanted.map(ip => [formatPrefix(ip), ip]));
    for (const [text, ip] of present)
      if (!next.has(text)) this.#check(`remove ${what} ${text}`, act.remove(ip));
    act.after?.();
    for (const [text, ip] of next) {
      if (!present.has(text) && !this.#check(`${what} ${text}`, act.add(ip))) next.delete(text);
    }
    return next;
  }

  #check(what: string, result: number): boolean {
    if (result >= 0) return true;
    const why =
      result === -1
        ? 'not permitted: CAP_NET_ADMIN is needed, or configure_link = false'
        : `errno ${-result}`;
    this.#log.error(`cannot set ${what}`, { interface: this.#ifname, why });
    return false;
  }
}
