// UDP sockets of the tunnel, one per address family on one port: whole GRO and GSO batches, the local address a peer reached us on
// (E2), ECN both ways (D10). Every offload has a fall-back at run time that sends the same batch again. Knows no WireGuard:
// EndpointLike has the shape of its Endpoint.

import { PlainError } from '../../util/errors.ts';
import type { Word } from '../ffi/ffi.ts';
import type { Libc } from '../libc.ts';
import * as c from '../constants.ts';
import { sockaddrIn, sockaddrIn6 } from './kernelstructs.ts';
import type { EndpointLike, ReceiveSlot } from './receiveslot.ts';
import type { Outgoing } from './outgoing.ts';
import { outgoing } from './outgoing.ts';

export type { EndpointLike } from './receiveslot.ts';
export { ReceiveSlot } from './receiveslot.ts';

export type UdpOptions = {
  readonly family: 4 | 6;
  /** 0: the kernel chooses. */
  readonly port: number;
  readonly mark?: number;
  /** Local address bytes; any when absent. */
  readonly address?: Uint8Array;
  /** False switches off UDP_SEGMENT and UDP_GRO. */
  readonly offload?: boolean;
  readonly receiveBuffer?: number;
  readonly sendBuffer?: number;
};

/** Fall-backs taken since the socket was opened; exported as metrics. */
export type UdpCounters = {
  /** 1 when GSO was given up for good (EIO: the device cannot checksum). */
  gsoDisabled: number;
  /** Batches sent again one datagram at a time (EINVAL, EMSGSIZE: path MTU or driver). */
  gsoRetries: number;
  /** Sends repeated without the remembered local address. */
  sourceResets: number;
  /** Datagrams dropped for want of buffer space (ENOBUFS, EAGAIN). */
  sendDrops: number;
  /** Datagrams the kernel dropped because the receive queue was full (SO_RXQ_OVFL). */
  receiveOverflow: number;
};

const socketBuffer = 7 << 20;
/** After a batch was refused, so many batches go singly before GSO is tried again. */
const gsoPause = 256;

export class Udp {
  readonly fd: number;
  readonly family: 4 | 6;
  readonly port: number;
  readonly gro: boolean;
  readonly maxSegments: number;
  readonly counters: UdpCounters = {
    gsoDisabled: 0,
    gsoRetries: 0,
    sourceResets: 0,
    sendDrops: 0,
    receiveOverflow: 0,
  };
  readonly #libc: Libc;
  readonly #word: Word;
  readonly #out: Outgoing;
  #gso: boolean;
  #paused = 0;

  constructor(libc: Libc, fd: number, family: 4 | 6, port: number, gro: boolean, maxSegments: number) {
    this.#libc = libc;
    this.fd = fd;
    this.family = family;
    this.port = port;
    this.gro = gro;
    this.maxSegments = maxSegments;
    this.#gso = maxSegments > 1;
    this.#word = libc.ffi.word(fd);
    this.#out = outgoing(libc, family);
  }

  /** Whether `send` may be given several segments with profit. Turns false for good after EIO. */
  get gso(): boolean {
    return this.#gso;
  }

  /**
   * One datagram, or a GRO batch, into the slot: its bytes, or -errno (-EAGAIN when the queue is empty). Fills
   * `slot.segment`, `slot.ecn`, `slot.truncated`, and `slot.from` when it differs from the slot's previous sender.
   */
  receive(slot: ReceiveSlot): number {
    slot.arm();
    const bytes = this.#libc.recvmsg(this.#word, slot.header);
    if (bytes < 0) return bytes;
    slot.read(bytes);
    if (slot.overflow !== 0) this.counters.receiveOverflow = slot.overflow;
    return bytes;
  }

  /**
   * Sends `bytes` bytes at `at` to `to`: one datagram when `segment` is 0 or not below `bytes`, else datagrams of `segment` bytes
   * (the last may be shorter), at most `maxSegments` and 65507 bytes. `tos` is the whole TOS or traffic class byte. Bytes sent, or
   * -errno when nothing was. Clears `to`'s local source when the kernel refuses it.
   */
  send(at: number, bytes: number, segment: number, to: EndpointLike, tos: number): number {
    const many = segment > 0 && segment < bytes;
    if (many && this.#paused > 0) {
      this.#paused--;
      return this.#sendEach(at, bytes, segment, to, tos);
    }
    if (many && !this.#gso) return this.#sendEach(at, bytes, segment, to, tos);
    const result = this.#sendOne(at, bytes, many ? segment : 0, to, tos);
    if (result >= 0) return result;
    if (!many) return this.#dropped(result, 1);
    if (result === -c.EIO) {
      this.#gso = false;
      this.counters.gsoDisabled = 1;
      return this.#sendEach(at, bytes, segment, to, tos);
    }
    if (result === -c.EINVAL || result === -c.EMSGSIZE) {
      this.#paused = gsoPause;
      this.counters.gsoRetries++;
      return this.#sendEach(at, bytes, segment, to, tos);
    }
    return this.#dropped(result, Math.ceil(bytes / segment));
  }

  setMark(mark: number): number {
    return this.#libc.setOption(this.fd, c.SOL_SOCKET, c.SO_MARK, mark);
  }

  close(): void {
    this.#libc.close(this.fd);
  }

  #sendEach(at: number, bytes: number, segment: number, to: EndpointLike, tos: number): number {
    let sent = 0;
    let failure = 0;
    for (let done = 0; done < bytes; done += segment) {
      const size = bytes - done < segment ? bytes - done : segment;
      const result = this.#sendOne(at + done, size, 0, to, tos);
      if (result >= 0) sent += result;
      else failure = this.#dropped(result, 1);
    }
    return sent > 0 ? sent : failure;
  }

  /** One sendmsg; repeated without the sticky source when that is what the kernel may be refusing. */
  #sendOne(at: number, bytes: number, segment: number, to: EndpointLike, tos: number): number {
    const result = this.#libc.sendmsg(this.#word, this.#out.message(at, bytes, segment, to, tos));
    if (result >= 0 || to.sourceFamily !== to.family || !mayBlameSource(result)) return result;
    to.clearSource();
    const again = this.#libc.sendmsg(this.#word, this.#out.message(at, bytes, segment, to, tos));
    this.counters.sourceResets++;
    return again;
  }

  #dropped(result: number, datagrams: number): number {
    if (result === -c.ENOBUFS || result === -c.EAGAIN) this.counters.sendDrops += datagrams;
    return result;
  }
}

function mayBlameSource(result: number): boolean {
  switch (-result) {
    case c.EINVAL:
    case c.ENODEV:
    case c.ENXIO:
    case c.EADDRNOTAVAIL:
    case c.ENETUNREACH:
    case c.EHOSTUNREACH:
      return true;
    default:
      return false;
  }
}

export function openUdp(libc: Libc, options: UdpOptions): Udp {
  const made = tryUdp(libc, options);
  if (typeof made === 'number') throw openError(options.family, options.port, made);
  return made;
}

/**
 * Both families on one port (E3): v6 is absent where the host has none, and a chosen port is tried again
 * when the other family holds it. Throws when not even one socket can be had.
 */
export function openUdpPair(
  libc: Libc,
  options: Omit<UdpOptions, 'family' | 'address'>,
): { v4: Udp | null; v6: Udp | null; port: number } {
  for (let attempt = 0; ; attempt++) {
    const four = tryUdp(libc, { ...options, family: 4 });
    if (typeof four === 'number' && four !== -c.EAFNOSUPPORT) throw openError(4, options.port, four);
    const v4 = typeof four === 'number' ? null : four;
    const six = tryUdp(libc, { ...options, family: 6, port: v4?.port ?? options.port });
    if (typeof six !== 'number') return { v4, v6: six, port: six.port };
    if ((six === -c.EAFNOSUPPORT || six === -c.EADDRNOTAVAIL) && v4 !== null)
      return { v4, v6: null, port: v4.port };
    const port = v4?.port ?? options.port;
    v4?.close();
    if (six !== -c.EADDRINUSE || options.port !== 0 || attempt === portAttempts)
      throw openError(6, port, six);
  }
}

const portAttempts = 100;

function openError(family: 4 | 6, port: number, result: number): PlainError {
  const where = `UDP port ${port} (IPv${family})`;
  if (result === -c.EADDRINUSE)
    return new PlainError('port-in-use', `cannot listen on ${where}: in use; choose another listen port`);
  return new PlainError('udp-open', `cannot listen on ${where}: ${c.errnoText(result)}`);
}

function tryUdp(libc: Libc, options: UdpOptions): Udp | number {
  const six = options.family === 6;
  const fd = libc.socket(six ? c.AF_INET6 : c.AF_INET, c.SOCK_DGRAM | c.SOCK_NONBLOCK | c.SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const failure = configure(libc, fd, options);
  const port = failure < 0 ? failure : bindTo(libc, fd, options);
  if (port < 0) {
    libc.close(fd);
    return port;
  }
  const offload = options.offload !== false;
  // GRO counts as present only when it can be read back: kernels before 5.12 set it and get it wrong.
  const gro =
    offload &&
    libc.setOption(fd, c.SOL_UDP, c.UDP_GRO, 1) >= 0 &&
    libc.option(fd, c.SOL_UDP, c.UDP_GRO) === 1;
  const segments = offload && libc.option(fd, c.SOL_UDP, c.UDP_SEGMENT) >= 0 ? probeSegments(libc) : 1;
  return new Udp(libc, fd, options.family, port, gro, segments);
}

/** Options that must hold, the rest is best effort. */
function configure(libc: Libc, fd: number, options: UdpOptions): number {
  grow(libc, fd, c.SO_RCVBUFFORCE, c.SO_RCVBUF, options.receiveBuffer ?? socketBuffer);
  grow(libc, fd, c.SO_SNDBUFFORCE, c.SO_SNDBUF, options.sendBuffer ?? socketBuffer);
  libc.setOption(fd, c.SOL_SOCKET, c.SO_RXQ_OVFL, 1);
  if (options.mark !== undefined && options.mark !== 0) {
    const result = libc.setOption(fd, c.SOL_SOCKET, c.SO_MARK, options.mark);
    if (result < 0) return result;
  }
  if (options.family === 4) {
    libc.setOption(fd, c.IPPROTO_IP, c.IP_RECVTOS, 1);
    libc.setOption(fd, c.IPPROTO_IP, c.IP_MTU_DISCOVER, c.PMTUDISC_DONT);
    return libc.setOption(fd, c.IPPROTO_IP, c.IP_PKTINFO, 1);
  }
  libc.setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVTCLASS, 1);
  libc.setOption(fd, c.IPPROTO_IPV6, c.IPV6_MTU_DISCOVER, c.PMTUDISC_DONT);
  // The kernel's WireGuard sends flow label 0; the automatic one is a hash that tells streams apart (D11).
  libc.setOption(fd, c.IPPROTO_IPV6, c.IPV6_AUTOFLOWLABEL, 0);
  const only = libc.setOption(fd, c.IPPROTO_IPV6, c.IPV6_V6ONLY, 1);
  return only < 0 ? only : libc.setOption(fd, c.IPPROTO_IPV6, c.IPV6_RECVPKTINFO, 1);
}

/** The FORCE form passes the sysctl limit and needs CAP_NET_ADMIN; the plain one takes what it can get. */
function grow(libc: Libc, fd: number, force: number, plain: number, bytes: number): void {
  if (libc.setOption(fd, c.SOL_SOCKET, force, bytes) < 0) libc.setOption(fd, c.SOL_SOCKET, plain, bytes);
}

/** Binds and gives the port, or -errno. */
function bindTo(libc: Libc, fd: number, options: UdpOptions): number {
  const at = libc.scratch + 64;
  const { view, u8 } = libc.arena;
  const shape = options.family === 4 ? sockaddrIn : sockaddrIn6;
  u8.fill(0, at, at + shape.bytes);
  view.setUint16(at + shape.family, options.family === 4 ? c.AF_INET : c.AF_INET6, true);
  view.setUint16(at + shape.port, options.port);
  if (options.address !== undefined)
    u8.set(options.address.subarray(0, options.family === 4 ? 4 : 16), at + shape.address);
  const result = libc.bind(fd, at, shape.bytes);
  if (result < 0) return result;
  const length = libc.getsockname(fd, at, shape.bytes);
  return length < 0 ? length : view.getUint16(at + shape.port);
}

/**
 * How many segments one send may carry: 128 on newer kernels, 64 before, and no version number to tell them apart.
 * Tries it on a loopback socket of its own.
 */
function probeSegments(libc: Libc): number {
  const known = segmentLimits.get(libc);
  if (known !== undefined) return known;
  const limit = sendsTo(libc, 128) ? 128 : 64;
  segmentLimits.set(libc, limit);
  return limit;
}

const segmentLimits = new WeakMap<Libc, number>();

function sendsTo(libc: Libc, segments: number): boolean {
  const fd = libc.socket(c.AF_INET, c.SOCK_DGRAM | c.SOCK_CLOEXEC | c.SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  const local = Uint8Array.of(127, 0, 0, 1);
  const port = bindTo(libc, fd, { family: 4, port: 0, address: local });
  let sent = -1;
  if (port > 0) {
    const to = {
      family: 4,
      address: local,
      port,
      scopeId: 0,
      sourceFamily: 0,
      source: local,
      sourceInterface: 0,
    };
    const message = outgoing(libc, 4).message(
      libc.scratch + 128,
      segments,
      1,
      { ...to, clearSource() {} },
      0,
    );
    sent = libc.sendmsg(libc.ffi.word(fd), message);
  }
  libc.close(fd);
  return sent === segments;
}
