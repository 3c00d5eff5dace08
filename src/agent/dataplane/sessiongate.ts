// SessionGate: the device with its sessions and sockets, as the control plane sees it. Runs in the data-plane worker between two
// batches, so every command is atomic towards traffic: when `revoke` returns, no packet of that peer passes any more, in
// either direction. The packet path itself is `loop.ts`.

import type { EndReason } from '../../control/clientapi/reasons.ts';
import { fromHex, isZero, toHex, wipe } from '../../util/bytes.ts';
import { Endpoint } from '../../wireguard/peer/endpoint.ts';
import type { Device } from '../../wireguard/device.ts';
import type { DeviceEvent, Outbox } from '../../wireguard/effects.ts';
import type { Peer } from '../../wireguard/peer/peer.ts';
import type {
  AllowedIpMsg,
  Command,
  CommandResult,
  DataplaneCounters,
  DeviceChange,
  DeviceState,
  EndpointMsg,
  GrantedPeer,
  PeerChangeMsg,
  PeerState,
  WorkerEvent,
} from './commands.ts';
import { formatAddress, formatEndpoint, parseAddress } from '../../util/inet.ts';
import { wipeAtEnd } from '../../util/scope.ts';
import type { Session, Sessions } from './sessionclock.ts';
import type { Sockets } from './ports.ts';

const EADDRINUSE = 98;
const EINVAL = 22;

export interface SessionGateParts {
  readonly ifname: string;
  readonly device: Device;
  readonly sessions: Sessions;
  readonly sockets: Sockets;
  readonly out: Outbox;
  readonly wallMs: () => number;
  readonly interfaceIndex: (name: string) => number;
  readonly counters: () => DataplaneCounters;
  readonly post: (event: WorkerEvent) => void;
}

export class SessionGate {
  readonly #parts: SessionGateParts;
  /** Sessions that must end for something seen inside a batch; they end right after it. */
  readonly #roamed: Session[] = [];
  stopping = false;

  constructor(parts: SessionGateParts) {
    this.#parts = parts;
  }

  run(now: number, command: Command): CommandResult[Command['op']] {
    switch (command.op) {
      case 'configure':
        return { errno: this.#configure(now, command.change) };
      case 'state':
        return this.#state(now);
      case 'grant':
        return this.#grant(now, command.grant);
      case 'revoke':
        return { revoked: this.#revoke(now, command.device, command.reason) };
      case 'renew':
        return { renewed: this.#parts.sessions.renew(now, command.id, command.untilMs) };
      case 'sessions':
        return [...this.#parts.sessions].map(session => session.state(now, this.#parts.wallMs()));
      case 'up':
        return { errno: this.up(now) };
      case 'down':
        this.down(now);
        return { errno: 0 };
      case 'stop':
        this.#stop(now);
        return { errno: 0 };
      default:
        throw new Error(`unknown command ${JSON.stringify(command satisfies never)}`);
    }
  }

  /** Binds and starts the timers (L2). 0 or a negative errno. */
  up(now: number): number {
    const { device, sockets, out } = this.#parts;
    if (device.isUp) return 0;
    const errno = sockets.bind();
    if (errno === 0) device.up(now, out);
    return errno;
  }

  /** Wipes sessions' keys, closes the sockets (L1). Logins live on: the interface may come back. */
  down(now: number): void {
    this.#parts.device.down(now, this.#parts.out);
    this.#parts.sockets.close();
  }

  /** Called once per turn of the loop: deadlines of protocol and sessions, and ends that the last batch caused. */
  poll(now: number): void {
    const { device, sessions, out } = this.#parts;
    while (this.#roamed.length > 0) {
      const session = this.#roamed.pop()!;
      if (sessions.of(session.slot) === session) this.#revoke(now, session.device, 'roamed');
    }
    if (device.nextDeadline <= now) device.poll(now, out);
    if (sessions.nextDeadline <= now)
      sessions.poll(now, (session, reason) => this.#end(now, session, reason));
  }

  get nextDeadline(): number {
    return Math.min(this.#parts.device.nextDeadline, this.#parts.sessions.nextDeadline);
  }

  /** Applies the session policy to what the protocol reports. */
  deviceEvent(now: number, event: DeviceEvent): void {
    const { sessions, post } = this.#parts;
    const { peer } = event;
    if (event.kind === 'handshake-complete') {
      if (sessions.handshake(now, peer.slot)) {
        const session = sessions.of(peer.slot)!;
        sessions.seenAt(peer.slot, addressText(peer.endpoint));
        post(this.#sessionEvent(now, 'confirmed', session, peer));
      }
    } else if (event.kind === 'endpoint-changed') {
      const session = sessions.of(peer.slot);
      if (session === undefined) return;
      const seen = sessions.seenAt(peer.slot, addressText(peer.endpoint));
      if (seen === 'roamed') this.#roamed.push(session);
      else if (seen === 'moved') post(this.#sessionEvent(now, 'roamed', session, peer));
    }
  }

  #configure(now: number, change: DeviceChange): number {
    const { device, sockets, out } = this.#parts;
    if (change.privateKey !== undefined) device.setPrivateKey(now, change.privateKey, out);
    if (change.listenPort !== undefined) {
      const errno = sockets.setPort(change.listenPort);
      if (errno < 0) return errno === -EINVAL ? errno : -EADDRINUSE;
      for (const peer of device.peers()) peer.endpoint.clearSource();
    }
    if (change.fwmark !== undefined) {
      if (sockets.setMark(change.fwmark) < 0) return -EADDRINUSE; // wireguard-go's answer (U4)
      for (const peer of device.peers()) peer.endpoint.clearSource();
    }
    if (change.replacePeers === true)
      for (const peer of [...device.peers()]) this.#remove(now, peer.publicKey);
    for (const peer of change.peers) {
      const errno = this.#configurePeer(now, peer);
      if (errno < 0) return errno;
    }
    return 0;
  }

  #configurePeer(now: number, change: PeerChangeMsg): number {
    const { device, out } = this.#parts;
    if (change.remove === true) {
      this.#remove(now, change.publicKey);
      return 0;
    }
    const endpoint = change.endpoint === undefined ? undefined : this.#endpoint(change.endpoint);
    if (endpoint === null) return -EINVAL;
    if (change.updateOnly === true && device.peer(change.publicKey) === undefined) return 0;
    device.setPeer(
      now,
      change.publicKey,
      {
        ...(change.updateOnly === true && { updateOnly: true }),
        ...(change.presharedKey !== undefined && { presharedKey: change.presharedKey }),
        ...(endpoint !== undefined && { endpoint }),
        ...(change.persistentKeepalive !== undefined && { persistentKeepalive: change.persistentKeepalive }),
        ...(change.replaceAllowedIps === true && { replaceAllowedIps: true }),
        ...(change.keepFresh !== undefined && { keepFresh: change.keepFresh }),
      },
      out,
    );
    // Lines apply in the order written: removing and adding the same prefix in one block means what it says.
    for (const ip of change.allowedIps ?? []) {
      const list = [{ family: ip.family, address: ip.address, prefix: ip.prefix }];
      const part = ip.remove === true ? { removeAllowedIps: list } : { allowedIps: list };
      device.setPeer(now, change.publicKey, { updateOnly: true, ...part }, out);
    }
    if (change.handshake === true) device.startHandshake(now, change.publicKey, out);
    if (change.presharedKey !== undefined) wipe(change.presharedKey);
    return 0;
  }

  #endpoint(text: EndpointMsg): Endpoint | null {
    const address = parseAddress(text.host);
    if (address === null) return null;
    const endpoint = new Endpoint();
    endpoint.family = address.family;
    endpoint.address.set(address.address);
    endpoint.port = text.port;
    if (text.scope !== undefined) {
      const index = /^\d+$/.test(text.scope) ? Number(text.scope) : this.#parts.interfaceIndex(text.scope);
      if (!(index > 0)) return null;
      endpoint.scopeId = index;
    }
    return endpoint;
  }

  #grant(now: number, grant: GrantedPeer): CommandResult['grant'] {
    const { device, sessions, out, post } = this.#parts;
    using _wiped = wipeAtEnd(grant.psk);
    if (isZero(grant.psk)) return { ok: false, code: 'no-psk' };
    const { psk, allowedIps, persistentKeepalive, device: key, ...policy } = grant;
    const clocks = { ...policy, device: toHex(key) };
    const refused = sessions.refusal(clocks);
    if (refused !== null) return { ok: false, code: refused };
    const known = device.peer(key);
    for (const ip of allowedIps) {
      if (ip.address.length !== (ip.family === 4 ? 4 : 16)) return { ok: false, code: 'bad-address' };
      const owner = this.#owner(ip);
      if (owner !== null && owner !== known) return { ok: false, code: 'address-taken' };
    }
    const peer = device.setPeer(
      now,
      key,
      {
        presharedKey: psk,
        replaceAllowedIps: true,
        allowedIps: [...allowedIps],
        keepFresh: true,
        ...(persistentKeepalive !== undefined && { persistentKeepalive }),
      },
      out,
    );
    if (peer === null) {
      const own = device.publicKey !== null && toHex(device.publicKey) === clocks.device;
      return { ok: false, code: own ? 'own-key' : 'too-many-peers' };
    }
    const before = sessions.open(now, clocks, peer.slot, peer);
    if (before !== null) post(this.#sessionEvent(now, 'ended', before, peer, 'superseded'));
    return { ok: true };
  }

  /** The peer that owns exactly this inner prefix, or the address that it starts with. */
  #owner(ip: AllowedIpMsg): Peer | null {
    const { routes } = this.#parts.device;
    return ip.family === 4 ? routes.find4(ip.address, 0) : routes.find6(ip.address, 0);
  }

  #revoke(now: number, device: string, reason: EndReason): boolean {
    const { sessions } = this.#parts;
    const session = sessions.byDevice(device);
    if (session === undefined) return false;
    sessions.close(session.slot);
    this.#end(now, session, reason);
    return true;
  }

  /** The one way out of a session: the event is made before the peer is gone, sent after. */
  #end(now: number, session: Session, reason: EndReason): void {
    const { device, post } = this.#parts;
    const key = fromHex(session.device)!;
    const peer = device.peer(key);
    if (peer === undefined) return;
    const event = this.#sessionEvent(now, 'ended', session, peer, reason);
    device.revoke(now, key);
    post(event);
  }

  #remove(now: number, publicKey: Uint8Array): void {
    if (!this.#revoke(now, toHex(publicKey), 'revoked-admin')) this.#parts.device.removePeer(now, publicKey);
  }

  #stop(now: number): void {
    const { device, sessions, sockets } = this.#parts;
    for (const session of [...sessions]) this.#revoke(now, session.device, 'agent-stopped');
    for (const peer of [...device.peers()]) device.removePeer(now, peer.publicKey);
    this.down(now);
    device.setPrivateKey(now, null, this.#parts.out);
    sockets.close();
    this.stopping = true;
  }

  #sessionEvent(
    now: number,
    kind: 'confirmed' | 'roamed' | 'ended',
    session: Session,
    peer: Peer,
    reason?: EndReason,
  ): WorkerEvent {
    return {
      ev: 'session',
      kind,
      id: session.id,
      device: session.device,
      ...(reason !== undefined && { reason }),
      counters: { rx: peer.rxBytes, tx: peer.txBytes, handshakes: peer.handshakes },
      sinceHandshakeMs: now - (session.handshakeAt === 0 ? session.openedAt : session.handshakeAt),
      endpoint: endpointText(peer.endpoint),
    };
  }

  #state(now: number): DeviceState {
    const { device, sessions, sockets, wallMs } = this.#parts;
    const wall = wallMs();
    const peers: PeerState[] = [];
    for (const peer of device.peers()) {
      peers.push({
        publicKey: peer.publicKey,
        presharedKey: peer.presharedKey,
        endpoint: endpointText(peer.endpoint),
        lastHandshakeWallMs: peer.lastHandshakeWallMs,
        txBytes: peer.txBytes,
        rxBytes: peer.rxBytes,
        persistentKeepalive: peer.persistentKeepalive,
        allowedIps: device.routes.of(peer),
        session: sessions.of(peer.slot)?.state(now, wall) ?? null,
        handshakes: peer.handshakes,
      });
    }
    return {
      ifname: this.#parts.ifname,
      publicKey: device.publicKey,
      privateKey: device.privateKey,
      listenPort: sockets.port,
      fwmark: sockets.mark,
      mtu: device.mtu,
      isUp: device.isUp,
      peers,
      counters: this.#parts.counters(),
    };
  }
}

function addressText(endpoint: Endpoint): string {
  if (endpoint.family === 0) return '';
  return formatAddress(endpoint.address.subarray(0, endpoint.family === 4 ? 4 : 16));
}

/** As UAPI and `wg` write it, or null when unset. */
export function endpointText(endpoint: Endpoint): string | null {
  if (endpoint.family === 0) return null;
  const { port, scopeId } = endpoint;
  return formatEndpoint({ host: addressText(endpoint), port, ...(scopeId !== 0 && { scope: `${scopeId}` }) });
}
