// Network: addresses and routes of the client's interface, over rtnetlink. Everything hangs on the interface and goes with
// it, but for the policy rules of a full tunnel (a prefix of length 0), which follow wg-quick: a table of its own for the
// tunnel's default route, used by whatever does not bear the tunnel's mark, and the main table first for all that is more
// specific than a default route.

import type { TunnelConfig } from '../control/bodies.ts';
import { loadFfi } from '../platform/ffi/ffi.ts';
import { Libc } from '../platform/libc.ts';
import { Netlink } from '../platform/netlink.ts';
import type { Rule } from '../platform/netlink.ts';
import { Arena } from '../util/arena.ts';
import { PlainError } from '../util/errors.ts';
import { network, parsePrefixOrAddress } from '../util/inet.ts';
import type { Network } from './tunnel.ts';

/** Mark and table of a full tunnel, and where its two rules stand: "sp". */
const fullTunnel = 0x7370;
const mainTable = 254;
const alreadyThere = -17; // EEXIST

/** The parts of Netlink used here. */
export type Links = Pick<Netlink, 'linkUp' | 'addAddress' | 'addRoute' | 'addRule' | 'deleteRule' | 'close'>;

export async function openNetwork(ifname: string): Promise<Network> {
  const ffi = await loadFfi();
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  return new Interface(ifname, new Netlink(new Libc(ffi, new Arena(memory.buffer))));
}

export class Interface implements Network {
  readonly #ifname: string;
  readonly #links: Links;
  readonly #rules: Rule[] = [];
  #isOpen = true;

  constructor(ifname: string, links: Links) {
    this.#ifname = ifname;
    this.#links = links;
  }

  mark(config: TunnelConfig): number {
    return config.allowedIps.some(text => parsePrefixOrAddress(text)?.prefix === 0) ? fullTunnel : 0;
  }

  configure(config: TunnelConfig): Promise<void> {
    this.#must(this.#links.linkUp(this.#ifname), 'set it up');
    for (const text of config.addresses) {
      this.#must(
        this.#links.addAddress(this.#ifname, parsePrefixOrAddress(text)!),
        `give it the address ${text}`,
      );
    }
    for (const text of config.allowedIps) {
      const prefix = network(parsePrefixOrAddress(text)!);
      const isAll = prefix.prefix === 0;
      const table = isAll ? { table: fullTunnel } : {};
      this.#must(this.#links.addRoute({ ...prefix, interface: this.#ifname, ...table }), `route ${text}`);
      if (isAll) this.#catchAll(prefix.family);
    }
    return Promise.resolve();
  }

  undo(): Promise<void> {
    for (const rule of this.#rules.splice(0)) this.#links.deleteRule(rule);
    if (this.#isOpen) this.#links.close();
    this.#isOpen = false;
    return Promise.resolve();
  }

  // A fixed place for each rule, so that those of a client that was killed are found again and not doubled.
  #catchAll(family: 4 | 6): void {
    for (const rule of [
      { family, table: mainTable, suppressPrefix: 0, priority: fullTunnel },
      { family, table: fullTunnel, mark: fullTunnel, invert: true, priority: fullTunnel + 1 },
    ]) {
      const result = this.#links.addRule(rule);
      if (result !== alreadyThere) this.#must(result, 'add the rules of a full tunnel');
      this.#rules.push(rule);
    }
  }

  #must(result: number, what: string): void {
    if (result >= 0) return;
    // EPERM and EACCES
    const hint =
      result === -1 || result === -13 ? ': run this as root, or with the capability CAP_NET_ADMIN' : '';
    throw new PlainError('network', `${this.#ifname}: cannot ${what} (errno ${-result})${hint}`);
  }
}
