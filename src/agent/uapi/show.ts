// `sallyport show`: prints what `wg show` prints, of our interfaces and of any other that serves a UAPI socket. The text is
// wireguard-tools' show.c; only the program's name differs. A PSK or private key is shown on request only.

import { toBase64 } from '../../util/bytes.ts';
import { listInterfaces, readDevice, type ShownDevice, type ShownPeer, UapiFailure } from './client.ts';

const parameters =
  'public-key | private-key | listen-port | fwmark | peers | preshared-keys | endpoints | allowed-ips | latest-handshakes | transfer | persistent-keepalive | dump';

export interface ShowIo {
  out(text: string): void;
  error(text: string): void;
  readonly isTerminal: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly nowSeconds: number;
  /** Where the sockets are, /var/run/wireguard unless told otherwise. */
  readonly directory?: string;
}

export async function run(args: readonly string[], io: ShowIo = standardIo()): Promise<number> {
  const [what = 'all', parameter] = args;
  if (args.length > 2) return usage(io, 1);
  if (what === 'interfaces') {
    if (args.length > 1) return usage(io, 1);
    const interfaces = await listInterfaces(io.directory);
    if (interfaces.length > 0) io.out(`${interfaces.join(' ')}\n`);
    return 0;
  }
  if (args.length === 1 && ['-h', '--help', 'help'].includes(what)) return usage(io, 0);
  if (what !== 'all') {
    const device = await read(what, io, 'Unable to access interface');
    if (device === null) return 1;
    return print(device, parameter, false, io) ? 0 : 1;
  }
  const interfaces = await listInterfaces(io.directory);
  let status = interfaces.length > 0 ? 1 : 0;
  for (const [i, ifname] of interfaces.entries()) {
    const device = await read(ifname, io, `Unable to access interface ${ifname}`);
    if (device === null) continue;
    if (!print(device, parameter, true, io)) return 1;
    if (parameter === undefined && i < interfaces.length - 1) io.out('\n');
    status = 0;
  }
  return status;
}

async function read(ifname: string, io: ShowIo, complaint: string): Promise<ShownDevice | null> {
  try {
    return await readDevice(ifname, io.directory);
  } catch (error) {
    if (!(error instanceof UapiFailure)) throw error;
    io.error(`${complaint}: ${error.message}\n`);
    return null;
  }
}

function print(
  device: ShownDevice,
  parameter: string | undefined,
  withInterface: boolean,
  io: ShowIo,
): boolean {
  if (parameter === undefined) {
    io.out(pretty(device, io));
    return true;
  }
  const rows = table(device, parameter);
  if (rows === null) {
    io.error(`Invalid parameter: \`${parameter}'\n`);
    usage(io, 1);
    return false;
  }
  for (const row of rows) io.out(`${withInterface ? `${device.ifname}\t` : ''}${row.join('\t')}\n`);
  return true;
}

/** Rows of the parameters meant for scripts; null for an unknown one. */
function table(device: ShownDevice, parameter: string): string[][] | null {
  const perPeer = (row: (peer: ShownPeer) => string): string[][] =>
    device.peers.map(peer => [toBase64(peer.publicKey), row(peer)]);
  switch (parameter) {
    case 'public-key':
      return [[keyText(device.publicKey)]];
    case 'private-key':
      return [[keyText(device.privateKey)]];
    case 'listen-port':
      return [[`${device.listenPort}`]];
    case 'fwmark':
      return [[fwmarkText(device)]];
    case 'peers':
      return device.peers.map(peer => [toBase64(peer.publicKey)]);
    case 'preshared-keys':
      return perPeer(peer => keyText(peer.presharedKey));
    case 'endpoints':
      return perPeer(peer => peer.endpoint ?? '(none)');
    case 'allowed-ips':
      return perPeer(peer => peer.allowedIps.join(' ') || '(none)');
    case 'latest-handshakes':
      return perPeer(peer => `${peer.handshakeSeconds}`);
    case 'transfer':
      return perPeer(peer => `${peer.rxBytes}\t${peer.txBytes}`);
    case 'persistent-keepalive':
      return perPeer(keepaliveText);
    case 'dump':
      return [
        [keyText(device.privateKey), keyText(device.publicKey), `${device.listenPort}`, fwmarkText(device)],
        ...device.peers.map(peer => [
          toBase64(peer.publicKey),
          keyText(peer.presharedKey),
          peer.endpoint ?? '(none)',
          peer.allowedIps.join(',') || '(none)',
          `${peer.handshakeSeconds}`,
          `${peer.rxBytes}`,
          `${peer.txBytes}`,
          keepaliveText(peer),
        ]),
      ];
    default:
      return null;
  }
}

type Paint = (style: string, text: string) => string;
const green = '\x1b[32m';
const yellow = '\x1b[33m';
const cyan = '\x1b[36m';
const red = '\x1b[31m';
const bold = '\x1b[1m';
const reset = '\x1b[0m';

function pretty(device: ShownDevice, io: ShowIo): string {
  const mode = io.environment['WG_COLOR_MODE'];
  const isColoured = mode === 'always' || (mode !== 'never' && io.isTerminal);
  const paint: Paint = (style, text) => (isColoured ? `${style}${text}${reset}` : text);
  const hidden = (key: Uint8Array): string =>
    io.environment['WG_HIDE_KEYS'] === 'never' ? toBase64(key) : '(hidden)';
  const title = (colour: string, kind: string, name: string): string =>
    `${paint(colour + bold, kind)}: ${paint(colour, name)}\n`;
  const field = (name: string, value: string): string => `  ${paint(bold, name)}: ${value}\n`;

  let text = isColoured ? reset : '';
  text += title(green, 'interface', device.ifname);
  if (device.publicKey) text += field('public key', toBase64(device.publicKey));
  if (device.privateKey) text += field('private key', hidden(device.privateKey));
  if (device.listenPort) text += field('listening port', `${device.listenPort}`);
  if (device.fwmark) text += field('fwmark', fwmarkText(device));
  for (const peer of device.peers.toSorted(latestFirst)) {
    text += `\n${title(yellow, 'peer', toBase64(peer.publicKey))}`;
    if (peer.presharedKey) text += field('preshared key', hidden(peer.presharedKey));
    if (peer.endpoint !== null) text += field('endpoint', peer.endpoint);
    const ips = peer.allowedIps.map(ip => ip.replace('/', paint(cyan, '/')));
    text += field('allowed ips', ips.join(', ') || '(none)');
    if (peer.handshakeSeconds)
      text += field('latest handshake', ago(io.nowSeconds - peer.handshakeSeconds, paint));
    if (peer.rxBytes || peer.txBytes)
      text += field('transfer', `${bytes(peer.rxBytes, paint)} received, ${bytes(peer.txBytes, paint)} sent`);
    if (peer.persistentKeepalive)
      text += field('persistent keepalive', `every ${duration(peer.persistentKeepalive, paint)}`);
  }
  return text;
}

function latestFirst(a: ShownPeer, b: ShownPeer): number {
  return b.handshakeSeconds - a.handshakeSeconds || b.handshakeNanos - a.handshakeNanos;
}

function ago(seconds: number, paint: Paint): string {
  if (seconds === 0) return 'Now';
  if (seconds < 0) return `(${paint(red, 'System clock wound backward; connection problems may ensue.')})`;
  return `${duration(seconds, paint)} ago`;
}

function duration(seconds: number, paint: Paint): string {
  const units = [
    ['year', Math.floor(seconds / 31_536_000)],
    ['day', Math.floor(seconds / 86_400) % 365],
    ['hour', Math.floor(seconds / 3600) % 24],
    ['minute', Math.floor(seconds / 60) % 60],
    ['second', seconds % 60],
  ] as const;
  return units
    .filter(([, count]) => count > 0)
    .map(([unit, count]) => `${count} ${paint(cyan, count === 1 ? unit : `${unit}s`)}`)
    .join(', ');
}

function bytes(count: bigint, paint: Paint): string {
  if (count < 1024n) return `${count} ${paint(cyan, 'B')}`;
  let value = Number(count);
  let unit = -1;
  while (value >= 1024 && unit < 3) {
    value /= 1024;
    unit++;
  }
  return `${value.toFixed(2)} ${paint(cyan, ['KiB', 'MiB', 'GiB', 'TiB'][unit]!)}`;
}

function keyText(key: Uint8Array | null): string {
  return key === null ? '(none)' : toBase64(key);
}

function fwmarkText(device: ShownDevice): string {
  return device.fwmark ? `0x${device.fwmark.toString(16)}` : 'off';
}

function keepaliveText(peer: ShownPeer): string {
  return peer.persistentKeepalive ? `${peer.persistentKeepalive}` : 'off';
}

function usage(io: ShowIo, status: number): number {
  io.error(`Usage: sallyport show { <interface> | all | interfaces } [${parameters}]\n`);
  return status;
}

function standardIo(): ShowIo {
  return {
    out: text => void process.stdout.write(text),
    error: text => void process.stderr.write(text),
    isTerminal: process.stdout.isTTY === true,
    environment: process.env,
    nowSeconds: Math.floor(Date.now() / 1000),
  };
}
