// Addresses and routes of the client's interface, by rtnetlink; they go with the interface. A full tunnel (a prefix of length 0) adds
// wg-quick's policy rules for the time of a session, with the Proxy's addresses and the gateway's datagrams outside the tunnel.
// docs/decisions/0015-full-tunnel-only-in-a-session.md.

import type { TunnelConfig } from '../../control/clientapi/bodies.ts';
import { loadFfi } from '../../platform/ffi/load.ts';
import { Libc } from '../../platform/libc.ts';
import { Netlink } from '../../platform/net/netlink.ts';
import type { Prefix, Route, Rule } from '../../platform/net/netlink.ts';
import { Arena } from '../../util/arena.ts';
import { PlainError } from '../../util/errors.ts';
import { formatPrefix, network, parsePrefixOrAddress } from '../../util/inet.ts';
import { newMemory } from '../../util/memory.ts';
import type { Aside, Network } from '../daemon/tunnel.ts';

/** Mark and table of a full tunnel, and where its rules begin: "sp". */
const fullTunnel = 0x7370;
const mainTable = 254;
const alreadyThere = -17; // EEXIST
/** What the kernel says to an IPv6 address where IPv6 is switched off: EACCES, EOPNOTSUPP, EAFNOSUPPORT. IPv4 goes on alone. */
const withoutIpv6: ReadonlySet<number> = new Set([-13, -95, -97]);

/** The parts of Netlink used here. */
export type Links = Pick<
  Netlink,
  'linkUp' | 'addAddress' | 'deleteAddress' | 'addRoute' | 'deleteRoute' | 'addRule' | 'deleteRule' | 'close'
>;

export async function openNetwork(ifname: string): Promise<Network> {
  const ffi = await loadFfi();
  const memory = newMemory(2, true);
  return new Interface(ifname, new Netlink(new Libc(ffi, new Arena(memory.buffer))));
}

export class Interface implements Network {
  readonly #ifname: string;
  readonly #links: Links;
  /** Those in force. */
  #rules: Rule[] = [];
  /** Ours, by how the configuration writes them. */
  readonly #addresses = new Map<string, Prefix>();
  readonly #routes = new Map<string, Route>();
  #isOpen = true;
  #hasIpv6 = true;

  constructor(ifname: string, links: Links) {
    this.#ifname = ifname;
    this.#links = links;
  }

  mark(config: TunnelConfig): number {
    return config.allowedIps.some(text => parsePrefixOrAddress(text)?.prefix === 0) ? fullTunnel : 0;
  }

  /** Again with the configuration of each login: what is new comes, what is no longer in it goes. */
  configure(config: TunnelConfig): Promise<void> {
    const ifname = this.#ifname;
    if (this.#addresses.size === 0) this.#must(this.#links.linkUp(ifname), 'set it up');
    for (const text of config.addresses) {
      if (this.#addresses.has(text)) continue;
      const address = parsePrefixOrAddress(text)!;
      const result = this.#links.addAddress(ifname, address);
      if (address.family === 6 && withoutIpv6.has(result)) {
        this.#hasIpv6 = false;
        continue;
      }
      this.#must(result, `give it the address ${text}`);
      this.#addresses.set(text, address);
    }
    for (const text of config.allowedIps) if (!this.#routes.has(text)) this.#addRoute(text);
    for (const [text, route] of this.#routes) {
      if (config.allowedIps.includes(text)) continue;
      this.#links.deleteRoute(route);
      this.#routes.delete(text);
    }
    for (const [text, address] of this.#addresses) {
      if (config.addresses.includes(text)) continue;
      this.#links.deleteAddress(ifname, address);
      this.#addresses.delete(text);
    }
    return Promise.resolve();
  }

  isHolding(): boolean {
    return this.#rules.length > 0;
  }

  hold(aside: readonly Aside[]): void {
    const before = this.#rules;
    const families = [...this.#routes.values()]
      .filter(({ prefix }) => prefix === 0)
      .map(({ family }) => family);
    this.#rules = families.flatMap(family => rulesOf(family, aside));
    // Places are fixed, so that rules of a client that was killed are found again and not doubled.
    for (const rule of this.#rules) {
      const result = this.#links.addRule(rule);
      if (result !== alreadyThere) this.#must(result, 'add the rules of a full tunnel');
    }
    const kept = new Set(this.#rules.map(textOf));
    for (const rule of before) if (!kept.has(textOf(rule))) this.#links.deleteRule(rule);
  }

  release(): void {
    for (const rule of this.#rules.splice(0)) this.#links.deleteRule(rule);
  }

  undo(): Promise<void> {
    this.release();
    if (this.#isOpen) this.#links.close();
    this.#isOpen = false;
    return Promise.resolve();
  }

  #addRoute(text: string): void {
    const prefix = network(parsePrefixOrAddress(text)!);
    if (prefix.family === 6 && !this.#hasIpv6) return;
    const table = prefix.prefix === 0 ? { table: fullTunnel } : {};
    const route: Route = { ...prefix, interface: this.#ifname, exclusive: true, ...table };
    const result = this.#links.addRoute(route);
    if (result === alreadyThere)
      throw new PlainError(
        'network-taken',
        `${this.#ifname}: ${text} has a route already: this machine may be in a network with the same addresses as the location's`,
      );
    this.#must(result, `route ${text}`);
    this.#routes.set(text, route);
  }

  #must(result: number, what: string): void {
    if (result >= 0) return;
    // EPERM and EACCES
    const hint =
      result === -1 || result === -13 ? ': run this as root, or with the capability CAP_NET_ADMIN' : '';
    throw new PlainError('network', `${this.#ifname}: cannot ${what} (errno ${-result})${hint}`);
  }
}

/** Each kind has a place of its own: the kernel takes any value for a field that is not given of a rule to delete. */
function rulesOf(family: 4 | 6, aside: readonly Aside[]): Rule[] {
  const exempt = aside.flatMap(({ host, udpPort }): Rule[] => {
    const to = parsePrefixOrAddress(host);
    if (to?.family !== family) return [];
    const rule = { family, table: mainTable, to, priority: fullTunnel };
    return [udpPort === undefined ? rule : { ...rule, udpPort, priority: fullTunnel + 1 }];
  });
  return [
    ...exempt,
    { family, table: mainTable, suppressPrefix: 0, priority: fullTunnel + 2 },
    { family, table: fullTunnel, mark: fullTunnel, invert: true, priority: fullTunnel + 3 },
  ];
}

function textOf({ family, priority, to, udpPort }: Rule): string {
  return JSON.stringify([family, priority, to === undefined ? '' : formatPrefix(to), udpPort]);
}
