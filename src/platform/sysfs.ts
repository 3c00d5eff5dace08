// What Node can learn of a network interface without netlink: the files of /sys/class/net. Changes nothing: without FFI, addresses and
// link state are set by whatever starts this program.

import { readFileSync } from 'node:fs';

export type LinkFiles = { readonly isUp: boolean; readonly mtu: number; readonly tunFlags: number };

const root = '/sys/class/net';
const IFF_UP = 1;

type ReadText = (path: string) => string;
const readText: ReadText = path => readFileSync(path, 'latin1');

/** Null where there is no such interface, or no /sys. `tunFlags` is 0 when the interface is none of tun's. */
export function linkFiles(name: string, read: ReadText = readText): LinkFiles | null {
  const field = (file: string): number => number(`${root}/${name}/${file}`, read);
  const mtu = field('mtu');
  const flags = field('flags');
  if (!(mtu > 0) || Number.isNaN(flags)) return null;
  return { isUp: (flags & IFF_UP) !== 0, mtu, tunFlags: field('tun_flags') || 0 };
}

const names = new Map<number, string>();

/** 0 when there is none of that name. */
export function interfaceIndex(name: string, read: ReadText = readText): number {
  const index = number(`${root}/${name}/ifindex`, read) || 0;
  names.set(index, name);
  return index;
}

/** The name by which `interfaceIndex` was asked for it: libuv takes the zone of an address in no other form. */
export function interfaceName(index: number): string {
  return names.get(index) ?? `${index}`;
}

function number(path: string, read: ReadText): number {
  try {
    return Number(read(path));
  } catch {
    return NaN;
  }
}
