// A TUN that a launcher opened and passed on, read and written by node:fs, as plain packets. The descriptor's flags
// (/proc/self/fdinfo) tell how input is noticed: by SIGURG, then read until empty, or by one blocking read at a time in libuv's pool.
// Only one: several deliver packets out of order. docs/decisions/0006-tun-from-a-launcher.md.

import fs from 'node:fs';
import { PlainError, errorText } from '../util/errors.ts';
import type { Arena } from '../util/arena.ts';
import { EAGAIN, EINVAL, EIO, IFF_NO_PI, IFF_TUN, IFF_VNET_HDR } from './constants.ts';
import { linkFiles } from './sysfs.ts';

/** The signal the launcher asks for. */
const signal = 'SIGURG';
const O_NONBLOCK = 0o4000;
const O_ASYNC = 0o20000;
const kindFlags = 0xf; // IFF_TUN or IFF_TAP
/** Packets read ahead of the loop on a blocking descriptor, and room for each. */
const slots = 4;
const slotBytes = 65536;

export type InheritedFd = { readonly fd: number; readonly name: string; readonly signals: boolean };

/** The system calls; replaced in tests. */
export type Files = Pick<typeof fs, 'read' | 'readSync' | 'writeSync' | 'closeSync'>;

/** What the descriptor is, or one line about what it should be. `owner` is the process the launcher made it signal. */
export function describeFd(
  fd: number,
  owner: number | undefined,
  read: (path: string) => string = path => fs.readFileSync(path, 'latin1'),
): InheritedFd {
  const refuse = (what: string): PlainError =>
    new PlainError('tun-fd', `file descriptor ${fd} (WG_TUN_FD) ${what}`);
  let text: string;
  try {
    text = read(`/proc/self/fdinfo/${fd}`);
  } catch (error) {
    throw refuse(`is not open: ${errorText(error)}; start through firmware/launcher`);
  }
  const name = /^iff:\t(.+)$/m.exec(text)?.[1];
  if (name === undefined) throw refuse('is no TUN with a name: the launcher must issue TUNSETIFF');
  const link = linkFiles(name, read);
  const kind = link === null ? 0 : link.tunFlags & (kindFlags | IFF_NO_PI | IFF_VNET_HDR);
  if (kind !== 0 && kind !== (IFF_TUN | IFF_NO_PI))
    throw refuse(`must be IFF_TUN | IFF_NO_PI and nothing else`);
  const flags = parseInt(/^flags:\s*([0-7]+)$/m.exec(text)?.[1] ?? '0', 8);
  if ((flags & O_NONBLOCK) === 0) return { fd, name, signals: false };
  if ((flags & O_ASYNC) === 0)
    throw refuse('is O_NONBLOCK without O_ASYNC: set it up as firmware/launcher does');
  if (owner !== process.pid)
    throw refuse(
      `signals process ${owner} (WG_TUN_PID), not ${process.pid}: the launcher must exec node itself, in the foreground`,
    );
  return { fd, name, signals: true };
}

export class InheritedTun {
  readonly name: string;
  readonly vnetHeader = false;
  readonly #arena: Arena;
  readonly #fd: number;
  readonly #signals: boolean;
  readonly #files: Files;
  readonly #onReadable: () => void;
  // Blocking: a ring of packets, [first, first + count) of which are here; a negative length is an errno.
  readonly #ring: Uint8Array;
  readonly #lengths = new Int32Array(slots);
  #first = 0;
  #count = 0;
  #isReading = false;
  #isClosed = false;
  /** Whether the last read found nothing more: until then no signal says that there is. */
  isDrained = true;

  /** `onReadable` must only take note: it is called from inside a read's completion or a signal. */
  constructor(arena: Arena, from: InheritedFd, onReadable: () => void, files: Files = fs) {
    this.#arena = arena;
    this.name = from.name;
    this.#fd = from.fd;
    this.#signals = from.signals;
    this.#onReadable = onReadable;
    this.#files = files;
    this.#ring = new Uint8Array(from.signals ? 0 : slots * slotBytes);
    if (from.signals) process.on(signal, onReadable);
  }

  /** Begins to wait; to be called again after a failed read, when it may be worth it. */
  start(): void {
    if (this.#signals) this.#onReadable();
    else this.#readAhead();
  }

  /** As Tun's: a packet of at most `head` bytes to `at`. One that is longer (the MTU grew) is cut to one byte, which is dropped. */
  readSplit(at: number, head: number): number {
    const bytes = this.#signals ? this.#readNow(at, head + 1) : this.#readRing(at, head);
    this.isDrained = bytes <= 0;
    return bytes > head ? 1 : bytes;
  }

  /** -EIO while the link is down. */
  write(at: number, bytes: number): number {
    try {
      return this.#files.writeSync(this.#fd, this.#arena.u8, at, bytes);
    } catch (error) {
      return errnoOf(error);
    }
  }

  /** Super-packets only. */
  writev(): number {
    return -EINVAL;
  }

  /** A thread waits in a read that only a packet ends: this process cannot exit by itself. */
  get isStuck(): boolean {
    return this.#isReading;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#signals) process.off(signal, this.#onReadable);
    this.#files.closeSync(this.#fd);
  }

  #readNow(at: number, room: number): number {
    // The end of every batch is an exception: without a stack it costs half.
    const depth = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
      return this.#files.readSync(this.#fd, this.#arena.u8, at, room, null);
    } catch (error) {
      return errnoOf(error);
    } finally {
      Error.stackTraceLimit = depth;
    }
  }

  #readRing(at: number, head: number): number {
    if (this.#count === 0) return -EAGAIN;
    const bytes = this.#lengths[this.#first]!;
    const from = this.#first * slotBytes;
    if (bytes > 0 && bytes <= head) this.#arena.u8.set(this.#ring.subarray(from, from + bytes), at);
    this.#first = (this.#first + 1) % slots;
    this.#count--;
    if (bytes >= 0) this.#readAhead();
    return bytes;
  }

  #readAhead(): void {
    if (this.#isReading || this.#isClosed || this.#count === slots) return;
    const slot = (this.#first + this.#count) % slots;
    this.#isReading = true;
    this.#files.read(this.#fd, this.#ring, slot * slotBytes, slotBytes, null, (error, bytes) => {
      this.#isReading = false;
      if (this.#isClosed) return;
      this.#lengths[slot] = error === null ? bytes : errnoOf(error);
      this.#count++;
      if (error === null) this.#readAhead();
      this.#onReadable();
    });
  }
}

function errnoOf(error: unknown): number {
  return (error as { errno?: number }).errno ?? -EIO;
}
