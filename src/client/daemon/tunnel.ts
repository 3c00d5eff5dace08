// The client's WireGuard interface, made of the agent's data plane as a library, with the gateway as its one peer. The PSK is handed to
// the data plane and wiped here. A session ends by removing the peer with its keys and adding it again without PSK; a changed PSK alone
// would leave keys working for three minutes, which is used only when the next session follows a live one.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Dataplane, DeviceChange, PeerChangeMsg } from '../../agent/dataplane/commands.ts';
import type { TunnelConfig } from '../../control/clientapi/bodies.ts';
import { bytesOf } from '../../control/validate.ts';
import { equalBytes, wipe } from '../../util/bytes.ts';
import { PlainError, errorText } from '../../util/errors.ts';
import { parsePrefixOrAddress } from '../../util/inet.ts';

/** What stays out of a tunnel to everywhere: all that goes to an address, or UDP to one port of it. */
export type Aside = { readonly host: string; readonly udpPort?: number };

type Gateway = { readonly key: Uint8Array; readonly endpoint: { host: string; port: number } };

/** Addresses and routes of the interface. */
export interface Network {
  /** Mark for the tunnel's own datagrams, so that a route for everything does not catch them; 0 when none is needed. */
  mark(config: TunnelConfig): number;
  /** As the configuration says, whatever it said before. */
  configure(config: TunnelConfig): Promise<void>;
  /** For a tunnel to everywhere: routes all traffic into it, with these exceptions. For others it does nothing. */
  hold(aside: readonly Aside[]): void;
  /** Undoes `hold`. */
  release(): void;
  isHolding(): boolean;
  /** Removes what would stay behind when the interface is gone. */
  undo(): Promise<void>;
}

export type TunnelState = {
  readonly endpoint: string | null;
  /** Unix milliseconds, 0 = none. */
  readonly lastHandshakeWallMs: number;
  readonly txBytes: number;
  readonly rxBytes: number;
};

export class Tunnel {
  readonly ifname: string;
  readonly #dataplane: Dataplane;
  readonly #network: Network;
  #config: TunnelConfig;
  /** Those with an address; all looked up before a tunnel to everywhere stands in the way of the next look. */
  #found: readonly Gateway[];
  /** Which of them it is. */
  #turn = 0;
  /** Addresses that stay out of a tunnel to everywhere. */
  #aside: readonly string[] = [];
  /** Kept while a session lasts, to shake hands anew without a login; wiped with it. */
  #psk: Uint8Array | null = null;

  /**
   * Brings the interface up with its peer, without a session. A location that has no gateway yet, or one whose name is not found just
   * now (at boot), may have one at the login. Closes the data plane when it cannot.
   */
  static async open(
    ifname: string,
    config: TunnelConfig,
    privateKey: Uint8Array,
    dataplane: Dataplane,
    network: Network,
  ): Promise<Tunnel> {
    try {
      const found = await findGateways(config).catch(() => []);
      const tunnel = new Tunnel(ifname, config, found, dataplane, network);
      const fwmark = network.mark(config);
      await tunnel.#configure({ privateKey, fwmark, replacePeers: true, peers: tunnel.#peers() });
      await network.configure(config);
      return tunnel;
    } catch (error) {
      await network.undo();
      await dataplane.stop();
      throw error;
    }
  }

  private constructor(
    ifname: string,
    config: TunnelConfig,
    found: readonly Gateway[],
    dataplane: Dataplane,
    network: Network,
  ) {
    this.ifname = ifname;
    this.#config = config;
    this.#found = found;
    this.#dataplane = dataplane;
    this.#network = network;
  }

  /**
   * Takes the PSK into use and starts a handshake with it; a session there is carries on meanwhile. Owns `psk` from here on.
   * Of a tunnel to everywhere `aside` stays out.
   */
  async begin(psk: Uint8Array, config: TunnelConfig, aside: readonly string[] = []): Promise<void> {
    const found = await findGateways(config).catch((error: unknown) => {
      wipe(psk);
      throw error;
    });
    const old = this.#gateway;
    const carriesOn = this.#psk !== null && old !== undefined && equalBytes(old.key, found[0]!.key);
    this.#forgetPsk();
    this.#psk = psk;
    this.#config = config;
    this.#found = found;
    this.#turn = 0;
    await this.#network.configure(config); // an administrator may have changed it since the last login
    this.#aside = aside;
    this.#hold();
    const fwmark = this.#network.mark(config);
    if (carriesOn) await this.#configure({ fwmark, peers: this.#peers({ handshake: true }) });
    else await this.#configure({ fwmark, peers: [...without(old), ...this.#peers()] });
  }

  /** On to the location's next gateway with the same PSK, for each was given a grant. False when there is no other. */
  async next(): Promise<boolean> {
    if (this.#psk === null || this.#found.length < 2) return false;
    const old = this.#gateway;
    this.#turn = (this.#turn + 1) % this.#found.length;
    this.#hold();
    await this.#configure({ peers: [...without(old), ...this.#peers()] });
    return true;
  }

  /** Forgets PSK and keys. Traffic for the tunnel is blocked until `release`: it does not leave beside the tunnel. */
  async end(): Promise<void> {
    if (this.#psk === null) return;
    this.#forgetPsk();
    await this.#renewPeer();
  }

  /** Ends the routes of a tunnel to everywhere: traffic takes its earlier way. */
  release(): void {
    this.#network.release();
  }

  get isHolding(): boolean {
    return this.#network.isHolding();
  }

  /** Drops the keys in use and shakes hands anew, e.g. after a change of network. */
  async rekey(): Promise<void> {
    await this.#renewPeer();
  }

  async state(): Promise<TunnelState> {
    const state = await this.#dataplane.request({ op: 'state' });
    const [peer] = state.peers;
    if (state.privateKey) wipe(state.privateKey);
    if (peer) wipe(peer.presharedKey);
    return {
      endpoint: peer?.endpoint ?? null,
      lastHandshakeWallMs: peer?.lastHandshakeWallMs ?? 0,
      txBytes: peer?.txBytes ?? 0,
      rxBytes: peer?.rxBytes ?? 0,
    };
  }

  async close(): Promise<void> {
    this.#forgetPsk();
    await this.#network.undo();
    await this.#dataplane.stop();
  }

  #forgetPsk(): void {
    if (this.#psk !== null) wipe(this.#psk);
    this.#psk = null;
  }

  /** None while the location has none. */
  get #gateway(): Gateway | undefined {
    return this.#found[this.#turn];
  }

  #hold(): void {
    const { host, port } = this.#gateway!.endpoint;
    this.#network.hold([...this.#aside.map(address => ({ host: address })), { host, udpPort: port }]);
  }

  /** The same peer without its keys. */
  async #renewPeer(): Promise<void> {
    await this.#configure({ peers: [...without(this.#gateway), ...this.#peers()] });
  }

  // Keepalive on a fresh peer makes WireGuard shake hands at once, so a login is claimed without waiting for traffic.
  // Without a session no keepalive is sent: only real packets start a handshake.
  #peers(more: Pick<PeerChangeMsg, 'handshake'> = {}): PeerChangeMsg[] {
    if (this.#gateway === undefined) return [];
    const peer: PeerChangeMsg = {
      publicKey: this.#gateway.key,
      endpoint: this.#gateway.endpoint,
      ...(this.#psk === null ? {} : { presharedKey: this.#psk }),
      persistentKeepalive: this.#psk === null ? 0 : this.#config.keepalive,
      keepFresh: this.#psk !== null,
      replaceAllowedIps: true,
      allowedIps: this.#config.allowedIps.map(text => parsePrefixOrAddress(text)!),
      ...more,
    };
    return [peer];
  }

  async #configure(change: DeviceChange): Promise<void> {
    const { errno } = await this.#dataplane.request({ op: 'configure', change });
    if (errno !== 0)
      throw new PlainError(
        'tunnel',
        `${this.ifname}: the tunnel refused its configuration (errno ${-errno})`,
      );
  }
}

function without(gateway: Gateway | undefined): PeerChangeMsg[] {
  return gateway === undefined ? [] : [{ publicKey: gateway.key, remove: true }];
}

/** The gateways whose addresses are known, in the location's order; throws what is wrong with the first when none is. */
async function findGateways({ gateways }: TunnelConfig): Promise<Gateway[]> {
  if (gateways.length === 0)
    throw new PlainError('no-gateway', 'this location has no gateway yet: ask your administrator');
  const results = await Promise.allSettled(gateways.map(locate));
  const found = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []));
  if (found.length === 0) throw (results[0] as PromiseRejectedResult).reason;
  return found;
}

/** A name is looked up now, as `wg` does. */
async function locate({ publicKey, endpoint }: TunnelConfig['gateways'][number]): Promise<Gateway> {
  const colon = endpoint.lastIndexOf(':');
  const name = endpoint.slice(0, colon).replace(/^\[|\]$/g, '');
  const port = Number(endpoint.slice(colon + 1));
  const key = bytesOf(publicKey);
  if (isIP(name) !== 0) return { key, endpoint: { host: name, port } };
  try {
    return { key, endpoint: { host: (await lookup(name)).address, port } };
  } catch (error) {
    throw new PlainError('gateway-unknown', `cannot find the gateway ${name}: ${errorText(error)}`, 1, error);
  }
}
