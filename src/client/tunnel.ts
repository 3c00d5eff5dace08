// Tunnel: the client's WireGuard interface, made of the agent's data plane used as a library. It has one peer, the gateway.
// The PSK passes through here into the data plane and is wiped on this side; it is never stored. A session ends for this
// side by forgetting the peer whole (keys in use included) and adding it again without a PSK, not by changing the PSK:
// keys made with it would live on for three minutes.

import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { fromBase64, wipe } from '../util/bytes.ts';
import { PlainError, errorText, usageError } from '../util/errors.ts';
import { parsePrefix } from '../control/prefix.ts';
import type { Prefix } from '../control/prefix.ts';
import type { Location } from './state.ts';

/** What this file needs of the data plane (agent/link.ts) and of the system (addresses and routes). Tests bring their own. */
export interface Dataplane {
  request(command: unknown): Promise<unknown>;
  stop(): Promise<void>;
  readonly closed: Promise<number>;
}
export interface Network {
  /** Addresses, MTU and up; routes for the prefixes. */
  configure(ifname: string, addresses: readonly string[], routes: readonly string[], endpoint: string): Promise<void>;
  /** What would stay behind when the interface is gone. */
  undo(): Promise<void>;
}

export type TunnelState = {
  readonly ifname: string;
  readonly endpoint: string | null;
  readonly lastHandshakeWallMs: number;
  readonly handshakes: number;
  readonly txBytes: number;
  readonly rxBytes: number;
};

export class Tunnel {
  readonly ifname: string;
  readonly #location: Location;
  readonly #gateway: Uint8Array;
  readonly #dataplane: Dataplane;
  readonly #network: Network;
  readonly #endpoint: { host: string; port: number };

  /** Sets the interface up with its peer, without a session. */
  static async open(location: Location, privateKey: Uint8Array, ifname: string, dataplane: Dataplane, network: Network): Promise<Tunnel> {
    const endpoint = await resolveEndpoint(location.endpoint);
    const tunnel = new Tunnel(location, ifname, dataplane, network, endpoint);
    try {
      await tunnel.#configure({ privateKey, replacePeers: true, peers: [tunnel.#peer(null)] });
      await network.configure(ifname, location.addresses, location.allowedIps, endpoint.host);
    } catch (error) {
      await tunnel.close();
      throw error;
    }
    return tunnel;
  }

  constructor(location: Location, ifname: string, dataplane: Dataplane, network: Network, endpoint: { host: string; port: number }) {
    this.ifname = ifname;
    this.#location = location;
    this.#gateway = fromBase64(location.publicKey)!;
    this.#dataplane = dataplane;
    this.#network = network;
    this.#endpoint = endpoint;
  }

  /** Takes the PSK into use and starts a handshake with it. The caller's copy is wiped. */
  async begin(psk: Uint8Array): Promise<void> {
    try {
      await this.#renewPeer(psk);
    } finally {
      wipe(psk);
    }
  }

  /** Forgets PSK and keys. Packets for the location go nowhere from here on, and certainly not past the tunnel. */
  async end(): Promise<void> {
    await this.#renewPeer(null);
  }

  async state(): Promise<TunnelState> {
    const state = (await this.#dataplane.request({ op: 'state' })) as {
      ifname: string;
      privateKey: Uint8Array | null;
      peers: { presharedKey: Uint8Array; endpoint: string | null; lastHandshakeWallMs: number; handshakes?: number; txBytes: number; rxBytes: number }[];
    };
    const [peer] = state.peers;
    if (state.privateKey) wipe(state.privateKey);
    if (peer) wipe(peer.presharedKey);
    return {
      ifname: state.ifname,
      endpoint: peer?.endpoint ?? null,
      lastHandshakeWallMs: peer?.lastHandshakeWallMs ?? 0,
      handshakes: peer?.handshakes ?? 0,
      txBytes: peer?.txBytes ?? 0,
      rxBytes: peer?.rxBytes ?? 0,
    };
  }

  async close(): Promise<void> {
    await this.#network.undo();
    await this.#dataplane.stop();
  }

  async #renewPeer(psk: Uint8Array | null): Promise<void> {
    await this.#configure({ peers: [{ publicKey: this.#gateway, remove: true }, this.#peer(psk)] });
  }

  // Keepalive on a fresh peer makes WireGuard shake hands at once, so a login is claimed without waiting for traffic.
  // Without a session there is nobody to keep awake: only real packets may knock.
  #peer(psk: Uint8Array | null): Record<string, unknown> {
    const hasSession = psk !== null || this.#location.mfa === 'disabled';
    return {
      publicKey: this.#gateway,
      endpoint: this.#endpoint,
      ...(psk === null ? {} : { presharedKey: psk }),
      persistentKeepalive: hasSession ? this.#location.keepalive : 0,
      replaceAllowedIps: true,
      allowedIps: this.#location.allowedIps.map(allowedIp),
    };
  }

  async #configure(change: unknown): Promise<void> {
    const { errno } = (await this.#dataplane.request({ op: 'configure', change })) as { errno: number };
    if (errno !== 0) throw new PlainError('tunnel', `${this.ifname}: the tunnel refused its configuration (errno ${-errno})`);
  }
}

/** `host:port` or `[v6]:port`; a name is looked up now, as `wg` does. */
async function resolveEndpoint(text: string): Promise<{ host: string; port: number }> {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65535)
    throw usageError('bad-endpoint', `endpoint '${text}': expected host:port or [address]:port`);
  if (isIP(host) !== 0) return { host, port };
  try {
    return { host: (await lookup(host)).address, port };
  } catch (error) {
    throw new PlainError('endpoint-unknown', `cannot find the gateway ${host}: ${errorText(error)}`, 1, error);
  }
}

/** Prefixes of a location as the data plane wants them. */
function allowedIp(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === null) throw usageError('bad-prefix', `'${text}': expected an address with prefix, like 10.0.0.0/8`);
  return prefix;
}
