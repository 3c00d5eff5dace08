// The other end of a UAPI socket: asks a device what it is and reads the answer as `wg` does (wireguard-tools ipc-uapi.h),
// so it shows wireguard-go and ours alike. Knows the protocol's get; never sets.

import { lstatSync, readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { x25519PublicKey } from '../../control/trust/keys.ts';
import { fromHex, isZero } from '../../util/bytes.ts';
import { uapiDirectory, uapiPath } from './server.ts';

export interface ShownPeer {
  readonly publicKey: Uint8Array;
  /** Null when the peer has none. */
  presharedKey: Uint8Array | null;
  endpoint: string | null;
  allowedIps: string[];
  handshakeSeconds: number;
  handshakeNanos: number;
  /** Byte counts can pass 2^53. */
  rxBytes: bigint;
  txBytes: bigint;
  persistentKeepalive: number;
}

export interface ShownDevice {
  readonly ifname: string;
  privateKey: Uint8Array | null;
  publicKey: Uint8Array | null;
  listenPort: number;
  fwmark: number;
  peers: ShownPeer[];
}

/** A failed look: `message` is what strerror would say. */
export class UapiFailure extends Error {}

/** Interfaces with a socket that accepts connections. */
export async function listInterfaces(directory: string = uapiDirectory): Promise<string[]> {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  const interfaces: string[] = [];
  for (const name of names.sort()) {
    if (!name.endsWith('.sock') || name === '.sock') continue;
    const ifname = name.slice(0, -5);
    if (await isServed(uapiPath(ifname, directory))) interfaces.push(ifname);
  }
  return interfaces;
}

export async function readDevice(ifname: string, directory: string = uapiDirectory): Promise<ShownDevice> {
  if (ifname.includes('/') || ifname === '') throw new UapiFailure('Invalid argument');
  const path = uapiPath(ifname, directory);
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new UapiFailure('No such device');
  if (!stats.isSocket()) throw new UapiFailure('Bad file descriptor');
  return parseDevice(ifname, await ask(path));
}

/** The answer up to and without its closing blank line. */
export function parseDevice(ifname: string, text: string): ShownDevice {
  const device: ShownDevice = {
    ifname,
    privateKey: null,
    publicKey: null,
    listenPort: 0,
    fwmark: 0,
    peers: [],
  };
  let peer: ShownPeer | null = null;
  let code: number | null = null;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const equals = line.indexOf('=');
    if (equals < 0) throw protocolError();
    const key = line.slice(0, equals);
    const value = line.slice(equals + 1);
    if (key === 'errno') code = Number(number(value.replace(/^-/, ''), 0x7fffffffn));
    else if (key === 'public_key') device.peers.push((peer = newPeer(keyBytes(value))));
    else if (peer === null) deviceField(device, key, value);
    else peerField(peer, key, value);
  }
  if (code === null) throw protocolError();
  if (code !== 0) throw new UapiFailure(`the device answered with error ${code}`);
  return device;
}

function deviceField(device: ShownDevice, key: string, value: string): void {
  switch (key) {
    case 'private_key':
      device.privateKey = keyBytes(value);
      device.publicKey = x25519PublicKey(device.privateKey);
      break;
    case 'listen_port':
      device.listenPort = Number(number(value, 0xffffn));
      break;
    case 'fwmark':
      device.fwmark = Number(number(value, 0xffffffffn));
      break;
    default: // newer devices may tell more
  }
}

function peerField(peer: ShownPeer, key: string, value: string): void {
  switch (key) {
    case 'preshared_key': {
      const psk = keyBytes(value);
      peer.presharedKey = isZero(psk) ? null : psk;
      break;
    }
    case 'endpoint':
      peer.endpoint = value;
      break;
    case 'persistent_keepalive_interval':
      peer.persistentKeepalive = Number(number(value, 0xffffn));
      break;
    case 'allowed_ip':
      peer.allowedIps.push(value);
      break;
    case 'last_handshake_time_sec':
      peer.handshakeSeconds = Number(number(value, 0x7fffffffffffffffn));
      break;
    case 'last_handshake_time_nsec':
      peer.handshakeNanos = Number(number(value, 0x7fffffffffffffffn));
      break;
    case 'rx_bytes':
      peer.rxBytes = number(value, 0xffffffffffffffffn);
      break;
    case 'tx_bytes':
      peer.txBytes = number(value, 0xffffffffffffffffn);
      break;
    default: // newer devices may tell more
  }
}

function newPeer(publicKey: Uint8Array): ShownPeer {
  return {
    publicKey,
    presharedKey: null,
    endpoint: null,
    allowedIps: [],
    handshakeSeconds: 0,
    handshakeNanos: 0,
    rxBytes: 0n,
    txBytes: 0n,
    persistentKeepalive: 0,
  };
}

function keyBytes(text: string): Uint8Array {
  const key = text.length === 64 ? fromHex(text) : null;
  if (key === null) throw protocolError();
  return key;
}

function number(text: string, max: bigint): bigint {
  if (!/^[0-9]{1,20}$/.test(text)) throw protocolError();
  const value = BigInt(text);
  if (value > max) throw protocolError();
  return value;
}

function protocolError(): UapiFailure {
  return new UapiFailure('Protocol error');
}

function ask(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => socket.write('get=1\n\n'));
    const chunks: string[] = [];
    let tail = '';
    socket.setEncoding('latin1');
    socket.setTimeout(5000, () => socket.destroy(new Error('Connection timed out')));
    socket.on('data', (chunk: string) => {
      chunks.push(chunk);
      tail = (tail + chunk).slice(-2);
      if (tail === '\n\n') socket.end();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reject(new UapiFailure(plainErrors[error.code ?? ''] ?? error.message));
    });
    socket.on('close', () => (tail === '\n\n' ? resolve(chunks.join('')) : reject(protocolError())));
  });
}

function isServed(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

const plainErrors: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EPERM: 'Operation not permitted',
  ECONNREFUSED: 'Connection refused',
  ECONNRESET: 'Connection reset by peer',
  ENOENT: 'No such device',
};
