// Probes for `doctor`: each looks at one thing this host must give us and says in one line what it found and, when it is
// not good, what to do. They leave nothing behind. `ok` is false only for what stops the agent or makes it unsafe.

import { readFileSync } from 'node:fs';
import { errorText } from '../util/errors.ts';
import * as c from './constants.ts';
import { Clock } from './clock.ts';
import { type CryptoCandidate, compareCrypto, type Portable } from './crypto/choose.ts';
import type { Libc } from './libc.ts';
import { openTun } from './tun.ts';
import { openUdpPair } from './net/udp.ts';

export type Finding = {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What to do; empty when there is nothing to do. */
  readonly repair: string;
};
type ReadText = (path: string) => string;

const readText: ReadText = path => readFileSync(path, 'utf8');
/** No correct clock shows less: the first release. */
const earliestWallMs = Date.UTC(2026, 0, 1);
const goodBuffer = 1 << 20;

export function probeFfi(libc: Libc): Finding {
  const { name, pointerBytes } = libc.ffi;
  return finding('ffi', true, `${name}, ${pointerBytes * 8} bit`);
}

export function probeTun(libc: Libc, device = '/dev/net/tun'): Finding {
  try {
    const tun = openTun(libc, { name: '', offload: true, device });
    tun.close();
    const on = Object.entries(tun.offloads).flatMap(([name, is]) => (is ? [name] : []));
    if (on.length > 0) return finding('tun', true, `${device}, offloads ${on.join(' ')}`);
    return finding(
      'tun',
      true,
      `${device} without offloads`,
      'a newer kernel would make bulk traffic much faster',
    );
  } catch (error) {
    const text = errorText(error);
    const split = text.indexOf('; ');
    return finding(
      'tun',
      false,
      split < 0 ? text : text.slice(0, split),
      split < 0 ? '' : text.slice(split + 2),
    );
  }
}

export function probeUdp(libc: Libc): Finding {
  try {
    const { v4, v6 } = openUdpPair(libc, { port: 0 });
    const socket = v4 ?? v6!;
    const buffer = libc.option(socket.fd, c.SOL_SOCKET, c.SO_RCVBUF) / 2; // the kernel doubles what was asked for
    const detail = [
      v4 === null ? 'no IPv4' : 'IPv4',
      v6 === null ? 'no IPv6' : 'IPv6',
      socket.gso ? `GSO of ${socket.maxSegments} segments` : 'no GSO',
      socket.gro ? 'GRO' : 'no GRO',
      `receive buffer ${Math.round(buffer / 1024)} KiB`,
    ].join(', ');
    v4?.close();
    v6?.close();
    const repair = buffer < goodBuffer ? 'grant CAP_NET_ADMIN or raise net.core.rmem_max to 7340032' : '';
    return finding('udp', true, detail, repair);
  } catch (error) {
    return finding('udp', false, errorText(error), 'allow this user to open UDP sockets');
  }
}

export function probeCrypto(libc: Libc, portable: Portable): Finding {
  const { provider, candidates } = compareCrypto(libc, portable);
  const wrong = candidates.filter(one => one.failure !== null);
  const best = candidates.find(one => one.name === provider?.name);
  const micros = (one: CryptoCandidate): string => `${one.name}, ${(one.seal1440 / 1000).toFixed(2)} us`;
  const speed = best && `${micros(best)} per full packet`;
  const others = candidates.filter(one => one !== best && one.failure === null).map(micros);
  const detail = [
    speed ?? 'none',
    ...(others.length > 0 ? [`also ${others.join(', ')}`] : []),
    ...wrong.map(one => `${one.name} ${one.failure}`),
  ].join('; ');
  const repair = best?.name.startsWith('openssl')
    ? ''
    : best?.name === 'stablelib'
      ? 'the runtime has neither OpenSSL nor WebAssembly (--jitless?): encryption takes ten to a thousand times as long'
      : 'install libcrypto (OpenSSL 3) or use an official Node: encryption takes two to four times as long';
  return finding(
    'crypto',
    wrong.length === 0,
    detail,
    wrong.length === 0 ? repair : 'report this with the versions',
  );
}

export function probeClock(libc: Libc, wallMs: () => number = Date.now): Finding {
  const clock = new Clock(libc);
  const before = clock.bootMs();
  const wall = wallMs();
  if (!(before > 0) || clock.bootMs() < before)
    return finding('clock', false, 'CLOCK_BOOTTIME does not advance', 'use Linux 2.6.39 or newer');
  const shown = new Date(wall).toISOString().slice(0, 19);
  if (wall >= earliestWallMs) return finding('clock', true, `${shown}Z`);
  return finding(
    'clock',
    false,
    `the clock says ${shown}Z: grants and certificates will be refused`,
    'start NTP and wait for it before the agent',
  );
}

/** CAP_NET_ADMIN in the effective set: needed to create a TUN, set marks and pass buffer limits. */
export function probeNetAdmin(read: ReadText = readText): Finding {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(attempt(read, '/proc/self/status'))?.[1];
  if (effective === undefined) return finding('net-admin', true, 'unknown: no /proc/self/status');
  const has = (BigInt(`0x${effective}`) & (1n << 12n)) !== 0n;
  if (has) return finding('net-admin', true, 'CAP_NET_ADMIN is held');
  return finding(
    'net-admin',
    true,
    'CAP_NET_ADMIN is not held',
    "give the capability, or prepare the interface with 'ip tuntap add dev NAME mode tun user USER'",
  );
}

/** A gateway forwards; a client need not. */
export function probeForwarding(read: ReadText = readText): Finding {
  const four = attempt(read, '/proc/sys/net/ipv4/ip_forward').trim() === '1';
  const six = attempt(read, '/proc/sys/net/ipv6/conf/all/forwarding').trim() === '1';
  const detail = `IPv4 ${four ? 'on' : 'off'}, IPv6 ${six ? 'on' : 'off'}`;
  return finding('forwarding', true, detail, four ? '' : 'a gateway needs sysctl net.ipv4.ip_forward=1');
}

function attempt(read: ReadText, path: string): string {
  try {
    return read(path);
  } catch {
    return '';
  }
}

function finding(name: string, ok: boolean, detail: string, repair = ''): Finding {
  return { name, ok, detail, repair };
}
