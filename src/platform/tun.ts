// The TUN device (Linux tuntap): opening order of wireguard-go's CreateTUN, offloads probed by ioctl and never by kernel
// version, reads and writes on arena offsets. With `vnetHeader` every packet is preceded by the 10-byte virtio_net_hdr.
// Knows nothing of IP; what to do on a failing GSO write is the data path's business.

import { utf8 } from '../util/bytes.ts';
import { PlainError } from '../util/errors.ts';
import type { Word } from './ffi/ffi.ts';
import type { Libc } from './libc.ts';
import {
  EBUSY,
  EACCES,
  EINVAL,
  ENOENT,
  EPERM,
  IFF_NO_PI,
  IFF_TUN,
  IFF_VNET_HDR,
  O_RDWR,
  TUNGETIFF,
  TUNSETIFF,
  TUNSETOFFLOAD,
  TUNSETPERSIST,
  TUN_F_CSUM,
  TUN_F_TSO4,
  TUN_F_TSO6,
  TUN_F_USO4,
  TUN_F_USO6,
  errnoText,
} from './constants.ts';

export type TunOffloads = {
  readonly csum: boolean;
  readonly tso4: boolean;
  readonly tso6: boolean;
  readonly uso4: boolean;
  readonly uso6: boolean;
};

export type TunOptions = {
  /** Up to 15 bytes, may hold `%d`; '' lets the kernel choose. */
  readonly name: string;
  /** Super-packets in both directions; without it one packet per call and no header. */
  readonly offload: boolean;
  readonly device?: string;
  readonly persist?: boolean;
};

export class Tun {
  readonly fd: number;
  readonly name: string;
  readonly vnetHeader: boolean;
  readonly offloads: TunOffloads;
  readonly #libc: Libc;
  readonly #word: Word;
  readonly #split: number;

  constructor(libc: Libc, fd: number, name: string, vnetHeader: boolean, offloads: TunOffloads) {
    this.#libc = libc;
    this.fd = fd;
    this.name = name;
    this.vnetHeader = vnetHeader;
    this.offloads = offloads;
    this.#word = libc.ffi.word(fd);
    this.#split = libc.arena.alloc(2 * libc.layout.iovec.bytes);
  }

  /** One packet (with its vnet header) to `at`: bytes or -errno; -EAGAIN when there is none, also while the link is down. */
  read(at: number, max: number): number {
    return this.#libc.read(this.#word, at, max);
  }

  /**
   * As `read`, but bytes beyond the first `head` go to `spill`: an ordinary packet lands where it will be used and only a
   * super-packet spills over.
   */
  readSplit(at: number, head: number, spill: number, spillBytes: number): number {
    const { iovec } = this.#libc.layout;
    this.#libc.setIovec(this.#split, at, head);
    this.#libc.setIovec(this.#split + iovec.bytes, spill, spillBytes);
    return this.#libc.readv(this.#word, this.#split, 2);
  }

  /** -EIO while the link is down. */
  write(at: number, bytes: number): number {
    return this.#libc.write(this.#word, at, bytes);
  }

  /** Writes one packet out of `count` pieces, described by iovec structures at arena offset `iovecs`. */
  writev(iovecs: number, count: number): number {
    return this.#libc.writev(this.#word, iovecs, count);
  }

  /** The name it has now, in whatever network namespace it is; null when the interface is gone. */
  currentName(): string | null {
    const { scratch, arena, layout } = this.#libc;
    arena.u8.fill(0, scratch, scratch + layout.ifreq.bytes);
    return this.#libc.ioctl(this.fd, TUNGETIFF, scratch) < 0 ? null : ifreqName(this.#libc);
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}

export function openTun(libc: Libc, options: TunOptions): Tun {
  const device = options.device ?? '/dev/net/tun';
  if (utf8(options.name).length > 15)
    throw new PlainError('tun-name', `interface name '${options.name}' is longer than 15 bytes`, 2);
  const fd = libc.open(device, O_RDWR);
  if (fd < 0) throw openError(device, fd);
  const wanted = IFF_TUN | IFF_NO_PI;
  let result = attach(libc, fd, options.name, options.offload ? wanted | IFF_VNET_HDR : wanted);
  // A persistent device made without the header refuses the flag: take it as it is.
  if (result === -EINVAL && options.offload) result = attach(libc, fd, options.name, wanted);
  if (result < 0) {
    libc.close(fd);
    throw attachError(options.name, result);
  }
  if (options.persist !== undefined) libc.ioctlValue(fd, TUNSETPERSIST, options.persist ? 1 : 0);
  try {
    return adopt(libc, fd, options.offload);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** A TUN descriptor opened by another program (`WG_TUN_FD`): asks the kernel what it is. */
export function tunFromFd(libc: Libc, fd: number): Tun {
  return adopt(libc, fd, true);
}

function adopt(libc: Libc, fd: number, offload: boolean): Tun {
  const { scratch, arena } = libc;
  libc.setNonBlocking(fd);
  arena.u8.fill(0, scratch, scratch + libc.layout.ifreq.bytes);
  const result = libc.ioctl(fd, TUNGETIFF, scratch);
  if (result < 0)
    throw new PlainError('tun-fd', `file descriptor ${fd} is not a TUN device: ${errnoText(result)}`);
  const flags = arena.view.getUint16(scratch + libc.layout.ifreq.value, true);
  if ((flags & IFF_TUN) === 0 || (flags & IFF_NO_PI) === 0)
    throw new PlainError('tun-fd', `file descriptor ${fd} must be a tun (not tap) device with IFF_NO_PI`);
  const name = ifreqName(libc);
  const vnetHeader = (flags & IFF_VNET_HDR) !== 0;
  return new Tun(libc, fd, name, vnetHeader, setOffloads(libc, fd, vnetHeader && offload));
}

function ifreqName({ arena, scratch }: Libc): string {
  return new TextDecoder().decode(arena.u8.slice(scratch, scratch + 16)).replace(/\0.*$/s, '');
}

/** First what every kernel knows, then USO (6.2 and later): an error means "without". */
function setOffloads(libc: Libc, fd: number, wanted: boolean): TunOffloads {
  const tcp = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
  const csum = wanted && libc.ioctlValue(fd, TUNSETOFFLOAD, tcp) >= 0;
  if (!wanted) libc.ioctlValue(fd, TUNSETOFFLOAD, 0); // an inherited device may still have them on
  const uso = csum && libc.ioctlValue(fd, TUNSETOFFLOAD, tcp | TUN_F_USO4 | TUN_F_USO6) >= 0;
  return { csum, tso4: csum, tso6: csum, uso4: uso, uso6: uso };
}

function attach(libc: Libc, fd: number, name: string, flags: number): number {
  const { scratch, arena, layout } = libc;
  arena.u8.fill(0, scratch, scratch + layout.ifreq.bytes);
  arena.u8.set(utf8(name), scratch);
  arena.view.setUint16(scratch + layout.ifreq.value, flags, true);
  return libc.ioctl(fd, TUNSETIFF, scratch);
}

function openError(device: string, result: number): PlainError {
  const what = `cannot open ${device}: ${errnoText(result)}`;
  if (result === -ENOENT)
    return new PlainError('tun-missing', `${what}; load the tun module, or pass the device to the container`);
  if (result === -EACCES || result === -EPERM)
    return new PlainError('tun-denied', `${what}; run as root or give this user read and write access to it`);
  return new PlainError('tun-open', what);
}

function attachError(name: string, result: number): PlainError {
  const what = `cannot create interface '${name}': ${errnoText(result)}`;
  if (result === -EBUSY)
    return new PlainError('tun-busy', `${what}; another program holds it, stop that or choose another name`);
  if (result === -EPERM)
    return new PlainError(
      'tun-denied',
      `${what}; needs CAP_NET_ADMIN, or a device made for this user with 'ip tuntap add'`,
    );
  return new PlainError('tun-create', what);
}
