// The text of WireGuard's cross-platform configuration protocol (U2-U5), as wireguard-go's device/uapi.go has it, error numbers
// included. A set is not a transaction: lines before a bad one stay in force, so the parser hands out what it has understood so far and
// the caller applies that before it answers. Pure: lines in, changes out.

import { fromHex, isZero, toHex } from '../../util/bytes.ts';
import { formatPrefix, network, parseEndpoint, parsePrefix } from '../../util/inet.ts';
import type {
  AllowedIpChange,
  DeviceChange,
  DeviceState,
  EndpointMsg,
  PeerChangeMsg,
} from '../dataplane/commands.ts';

/** Negative Linux error numbers, whatever the host (wireguard-go ipc/uapi_unix.go). */
export const errno = {
  ok: 0,
  perm: -1,
  io: -5,
  invalid: -22,
  unknown: -55,
  protocol: -71,
  portInUse: -98,
} as const;
export type Errno = (typeof errno)[keyof typeof errno];

/** Changes handed to the data plane at once, and allowed-ips kept for one peer: bounds memory, not meaning. */
const peersPerChange = 256;
const allowedIpsPerChange = 4096;

type PeerDraft = {
  publicKey: Uint8Array;
  remove?: true;
  updateOnly?: true;
  presharedKey?: Uint8Array;
  endpoint?: EndpointMsg;
  persistentKeepalive?: number;
  replaceAllowedIps?: true;
  allowedIps?: AllowedIpChange[];
};

export class SetParser {
  #done: DeviceChange[] = [];
  #peers: PeerChangeMsg[] = [];
  /** The `public_key=` section being read, as one or more changes; the last one is still open. */
  #section: PeerDraft[] = [];
  #allowedIps = 0;
  /** The section's peer was removed: what follows is checked and forgotten. */
  #isRemoved = false;

  /** One line without its newline, not blank. Anything but 0 ends the operation with that answer. */
  accept(line: string): Errno {
    const equals = line.indexOf('=');
    if (equals < 0) return errno.protocol;
    const key = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (key === 'public_key') return this.#publicKey(value);
    return this.#section.length === 0 ? this.#deviceLine(key, value) : this.#peerLine(key, value);
  }

  /** True when enough has piled up to be applied before reading on. */
  get isFull(): boolean {
    return this.#peers.length >= peersPerChange || this.#allowedIps >= allowedIpsPerChange;
  }

  /** What is complete, in order. At the end of the operation (`all`) the open section is complete too. */
  take(all: boolean): DeviceChange[] {
    const open = this.#section.at(-1);
    if (all) this.#closeSection();
    else if (open !== undefined && this.#section.length > 1) {
      this.#peers.push(...this.#section.slice(0, -1));
      this.#section = [open];
    }
    this.#closePeers();
    const done = this.#done;
    this.#done = [];
    this.#allowedIps = 0;
    return done;
  }

  #deviceLine(key: string, value: string): Errno {
    switch (key) {
      case 'private_key': {
        const privateKey = parseKey(value);
        if (privateKey === null) return errno.invalid;
        this.#done.push({ privateKey: isZero(privateKey) ? null : privateKey, peers: [] });
        return errno.ok;
      }
      case 'listen_port': {
        const listenPort = parseDecimal(value, 0xffff);
        if (listenPort === null) return errno.invalid;
        this.#done.push({ listenPort, peers: [] });
        return errno.ok;
      }
      case 'fwmark': {
        const fwmark = parseDecimal(value, 0xffffffff);
        if (fwmark === null) return errno.invalid;
        this.#done.push({ fwmark, peers: [] });
        return errno.ok;
      }
      case 'replace_peers':
        if (value !== 'true') return errno.invalid;
        this.#done.push({ replacePeers: true, peers: [] });
        return errno.ok;
      default:
        return errno.invalid;
    }
  }

  #publicKey(value: string): Errno {
    this.#closeSection();
    const publicKey = parseKey(value);
    if (publicKey === null) return errno.invalid;
    this.#section = [{ publicKey }];
    this.#isRemoved = false;
    return errno.ok;
  }

  #peerLine(key: string, value: string): Errno {
    const peer = this.#section.at(-1)!;
    switch (key) {
      case 'update_only':
        if (value !== 'true') return errno.invalid;
        for (const piece of this.#section) piece.updateOnly = true;
        return errno.ok;
      case 'remove':
        if (value !== 'true') return errno.invalid;
        if (!this.#isRemoved) this.#next(peer).remove = true;
        this.#isRemoved = true;
        return errno.ok;
      case 'preshared_key': {
        const presharedKey = parseKey(value);
        if (presharedKey === null) return errno.invalid;
        if (!this.#isRemoved) peer.presharedKey = presharedKey;
        return errno.ok;
      }
      case 'endpoint': {
        const endpoint = parseEndpoint(value);
        if (endpoint === null) return errno.invalid;
        if (!this.#isRemoved) peer.endpoint = endpoint;
        return errno.ok;
      }
      case 'persistent_keepalive_interval': {
        const seconds = parseDecimal(value, 0xffff);
        if (seconds === null) return errno.invalid;
        if (!this.#isRemoved) peer.persistentKeepalive = seconds;
        return errno.ok;
      }
      case 'replace_allowed_ips':
        if (value !== 'true') return errno.invalid;
        if (!this.#isRemoved) this.#next(peer).replaceAllowedIps = true;
        return errno.ok;
      case 'allowed_ip':
        return this.#allowedIp(value);
      case 'protocol_version':
        return value === '1' ? errno.ok : errno.invalid;
      default:
        return errno.invalid;
    }
  }

  #allowedIp(value: string): Errno {
    const remove = value.startsWith('-');
    const prefix = parsePrefix(remove ? value.slice(1) : value);
    if (prefix === null) return errno.invalid;
    if (this.#isRemoved) return errno.ok;
    const ip = network(prefix);
    let peer = this.#section.at(-1)!;
    if ((peer.allowedIps?.length ?? 0) >= allowedIpsPerChange) peer = this.#next(peer);
    (peer.allowedIps ??= []).push(remove ? { ...ip, remove } : ip);
    this.#allowedIps++;
    return errno.ok;
  }

  /**
   * The change that a line belongs to which must come after the allowed-ips read so far: `peer` itself when there are none.
   * The peer exists by then or was not wanted, so the continuation never creates it.
   */
  #next(peer: PeerDraft): PeerDraft {
    if (peer.allowedIps === undefined) return peer;
    const next: PeerDraft = { publicKey: peer.publicKey, updateOnly: true };
    this.#section.push(next);
    return next;
  }

  #closeSection(): void {
    this.#peers.push(...this.#section);
    this.#section = [];
  }

  #closePeers(): void {
    if (this.#peers.length > 0) this.#done.push({ peers: this.#peers });
    this.#peers = [];
  }
}

/** The answer to `get=1`, without the closing `errno=` line (U2). `withPsk` false leaves out the PSKs of sessions. */
export function formatState(state: DeviceState, withPsk = true): string {
  const lines: string[] = [];
  if (state.privateKey !== null && !isZero(state.privateKey))
    lines.push(`private_key=${toHex(state.privateKey)}`);
  if (state.listenPort !== 0) lines.push(`listen_port=${state.listenPort}`);
  if (state.fwmark !== 0) lines.push(`fwmark=${state.fwmark}`);
  for (const peer of state.peers) {
    lines.push(`public_key=${toHex(peer.publicKey)}`);
    if (withPsk || peer.session === null) lines.push(`preshared_key=${toHex(peer.presharedKey)}`);
    lines.push('protocol_version=1');
    if (peer.endpoint !== null) lines.push(`endpoint=${peer.endpoint}`);
    const seconds = Math.floor(peer.lastHandshakeWallMs / 1000);
    lines.push(`last_handshake_time_sec=${seconds}`);
    lines.push(`last_handshake_time_nsec=${Math.floor((peer.lastHandshakeWallMs - seconds * 1000) * 1e6)}`);
    lines.push(`tx_bytes=${peer.txBytes}`, `rx_bytes=${peer.rxBytes}`);
    lines.push(`persistent_keepalive_interval=${peer.persistentKeepalive}`);
    for (const ip of peer.allowedIps) lines.push(`allowed_ip=${formatPrefix(ip)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** 64 hex digits. */
function parseKey(text: string): Uint8Array | null {
  return text.length === 64 ? fromHex(text) : null;
}

/** strconv.ParseUint(text, 10, …): digits only, at least one. */
function parseDecimal(text: string, max: number): number | null {
  if (!/^[0-9]+$/.test(text)) return null;
  const value = Number(text);
  return value <= max ? value : null;
}
