// System calls over an arena: buffers and structures are arena offsets, results are >= 0 or -errno, nothing throws on what
// the kernel says. The calls of the packet path take a prepared file descriptor word and allocate nothing but bigints.

import { utf8 } from '../util/bytes.ts';
import type { Arena } from '../util/arena.ts';
import type { Ffi, NativeFunction, RawFunction, ResultKind, Word } from './ffi/ffi.ts';
import {
  AF_UNIX,
  EINVAL,
  EINTR,
  F_GETFL,
  F_SETFL,
  MADV_HUGEPAGE,
  O_CLOEXEC,
  O_NONBLOCK,
} from './constants.ts';
import { SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK } from './constants.ts';
import type { Layout } from './net/kernelstructs.ts';
import { layoutOf } from './net/kernelstructs.ts';

const scratchBytes = 512;
const high = 2 ** 32;

export class Libc {
  readonly ffi: Ffi;
  readonly arena: Arena;
  readonly layout: Layout;
  /** Address of arena offset 0, as a number and as a register. */
  readonly base: number;
  readonly baseWord: Word;
  /** 512 bytes for paths, option values and small structures of the slow calls; contents last until the next call. */
  readonly scratch: number;

  readonly #zero: Word;
  readonly #eight: Word;
  readonly #read: RawFunction;
  readonly #write: RawFunction;
  readonly #writev: RawFunction;
  readonly #readv: RawFunction;
  readonly #sendmsg: RawFunction;
  readonly #recvmsg: RawFunction;
  readonly #epollWait: RawFunction;
  readonly #gettime: RawFunction;
  readonly #open: NativeFunction;
  readonly #close: NativeFunction;
  readonly #ioctl: NativeFunction;
  readonly #fcntl: NativeFunction;
  readonly #socket: NativeFunction;
  readonly #bind: NativeFunction;
  readonly #setsockopt: NativeFunction;
  readonly #getsockopt: NativeFunction;
  readonly #getsockname: NativeFunction;
  readonly #eventfd: NativeFunction;
  readonly #epollCreate: NativeFunction;
  readonly #epollCtl: NativeFunction;
  readonly #socketpair: NativeFunction;

  constructor(ffi: Ffi, arena: Arena) {
    this.ffi = ffi;
    this.arena = arena;
    this.layout = layoutOf(ffi.pointerBytes);
    this.base = ffi.address(arena.buffer);
    this.baseWord = ffi.word(this.base);
    this.scratch = arena.alloc(scratchBytes, 64);
    this.#zero = ffi.word(0);
    this.#eight = ffi.word(8);
    this.#read = this.#symbol('read', 3).raw;
    this.#write = this.#symbol('write', 3).raw;
    this.#writev = this.#symbol('writev', 3).raw;
    this.#readv = this.#symbol('readv', 3).raw;
    this.#sendmsg = this.#symbol('sendmsg', 3).raw;
    this.#recvmsg = this.#symbol('recvmsg', 3).raw;
    this.#epollWait = this.#symbol('epoll_wait', 4).raw;
    this.#gettime = this.#symbol('clock_gettime', 2).raw;
    this.#open = this.#symbol('open', 3);
    this.#close = this.#symbol('close', 1);
    this.#ioctl = this.#symbol('ioctl', 3);
    this.#fcntl = this.#symbol('fcntl', 3);
    this.#socket = this.#symbol('socket', 3);
    this.#bind = this.#symbol('bind', 3);
    this.#setsockopt = this.#symbol('setsockopt', 5);
    this.#getsockopt = this.#symbol('getsockopt', 5);
    this.#getsockname = this.#symbol('getsockname', 3);
    this.#eventfd = this.#symbol('eventfd', 2);
    this.#epollCreate = this.#symbol('epoll_create1', 1);
    this.#epollCtl = this.#symbol('epoll_ctl', 4);
    this.#socketpair = this.#symbol('socketpair', 4);
  }

  // The packet path.

  read(fd: Word, at: number, bytes: number): number {
    return this.#result(this.#read(fd, this.ffi.add(this.baseWord, at), this.ffi.add(this.#zero, bytes)));
  }

  write(fd: Word, at: number, bytes: number): number {
    return this.#result(this.#write(fd, this.ffi.add(this.baseWord, at), this.ffi.add(this.#zero, bytes)));
  }

  /** `iov` is the offset of `count` iovec structures. */
  writev(fd: Word, iov: number, count: number): number {
    return this.#result(this.#writev(fd, this.ffi.add(this.baseWord, iov), this.ffi.add(this.#zero, count)));
  }

  readv(fd: Word, iov: number, count: number): number {
    return this.#result(this.#readv(fd, this.ffi.add(this.baseWord, iov), this.ffi.add(this.#zero, count)));
  }

  sendmsg(fd: Word, header: number): number {
    return this.#result(this.#sendmsg(fd, this.ffi.add(this.baseWord, header), this.#zero));
  }

  recvmsg(fd: Word, header: number): number {
    return this.#result(this.#recvmsg(fd, this.ffi.add(this.baseWord, header), this.#zero));
  }

  /** Up to `count` events at offset `events`; waits `timeoutMs` at most, a whole number. */
  epollWait(epoll: Word, events: number, count: number, timeoutMs: number): number {
    return this.#result(
      this.#epollWait(
        epoll,
        this.ffi.add(this.baseWord, events),
        this.ffi.add(this.#zero, count),
        this.ffi.add(this.#zero, timeoutMs),
      ),
    );
  }

  clockGettime(clock: Word, at: number): number {
    return this.#result(this.#gettime(clock, this.ffi.add(this.baseWord, at)));
  }

  /** Adds one to an eventfd counter; `at` holds the eight-byte value 1. */
  write8(fd: Word, at: number): number {
    return this.#result(this.#write(fd, this.ffi.add(this.baseWord, at), this.#eight));
  }

  // Set-up.

  open(path: string, flags: number): number {
    const at = this.text(path);
    return at < 0 ? at : this.#number(this.#open(this.base + at, flags | O_CLOEXEC, 0));
  }

  close(fd: number): number {
    return this.#number(this.#close(fd));
  }

  ioctl(fd: number, request: number, at: number): number {
    return this.#number(this.#ioctl(fd, request, this.base + at));
  }

  /** An ioctl whose argument is a plain number. */
  ioctlValue(fd: number, request: number, value: number): number {
    return this.#number(this.#ioctl(fd, request, value));
  }

  setNonBlocking(fd: number): number {
    const flags = this.#number(this.#fcntl(fd, F_GETFL, 0));
    return flags < 0 ? flags : this.#number(this.#fcntl(fd, F_SETFL, flags | O_NONBLOCK));
  }

  socket(family: number, type: number, protocol: number): number {
    return this.#number(this.#socket(family, type, protocol));
  }

  bind(fd: number, at: number, bytes: number): number {
    return this.#number(this.#bind(fd, this.base + at, bytes));
  }

  /** The bound address goes to `at`; the result is its length. */
  getsockname(fd: number, at: number, room: number): number {
    const length = this.scratch + scratchBytes - 8;
    this.arena.view.setUint32(length, room, true);
    const result = this.#number(this.#getsockname(fd, this.base + at, this.base + length));
    return result < 0 ? result : this.arena.view.getUint32(length, true);
  }

  setOption(fd: number, level: number, name: number, value: number): number {
    this.arena.view.setInt32(this.scratch, value, true);
    return this.#number(this.#setsockopt(fd, level, name, this.base + this.scratch, 4));
  }

  /** The int value, or -errno: only for options that are never negative. */
  option(fd: number, level: number, name: number): number {
    const { view } = this.arena;
    view.setInt32(this.scratch, 0, true);
    view.setUint32(this.scratch + 8, 4, true);
    const result = this.#number(
      this.#getsockopt(fd, level, name, this.base + this.scratch, this.base + this.scratch + 8),
    );
    return result < 0 ? result : view.getInt32(this.scratch, true);
  }

  eventfd(flags: number): number {
    return this.#number(this.#eventfd(0, flags));
  }

  epollCreate(flags: number): number {
    return this.#number(this.#epollCreate(flags));
  }

  /** `event` is the offset of an epoll_event. */
  epollCtl(epoll: number, action: number, fd: number, event: number): number {
    return this.#number(this.#epollCtl(epoll, action, fd, this.base + event));
  }

  /** Two connected datagram sockets that do not block; or twice the same -errno. */
  socketPair(): readonly [number, number] {
    const { scratch, arena } = this;
    const type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
    const result = this.#number(this.#socketpair(AF_UNIX, type, 0, this.base + scratch));
    if (result < 0) return [result, result];
    return [arena.view.getInt32(scratch, true), arena.view.getInt32(scratch + 4, true)];
  }

  /**
   * Asks for large pages under the arena, before anything is in it. A packet after a silence touches a dozen of the small ones,
   * each of them a walk through tables that have gone cold. 0, or -EINVAL from a kernel that has none.
   */
  largePages(): number {
    return this.#number(this.#symbol('madvise', 3)(this.base, this.arena.u8.length, MADV_HUGEPAGE));
  }

  // Structures.

  /** Writes a pointer to arena offset `target` at `at`. */
  setPointer(at: number, target: number): void {
    const address = this.base + target;
    this.arena.view.setUint32(at, address % high, true);
    if (this.layout.pointer === 8) this.arena.view.setUint32(at + 4, Math.floor(address / high), true);
  }

  /** Writes a size_t below 2^32. */
  setSize(at: number, value: number): void {
    this.arena.view.setUint32(at, value, true);
    if (this.layout.pointer === 8) this.arena.view.setUint32(at + 4, 0, true);
  }

  /** Writes an iovec for `bytes` bytes at arena offset `target`. */
  setIovec(iovec: number, target: number, bytes: number): void {
    this.setPointer(iovec + this.layout.iovec.base, target);
    this.setSize(iovec + this.layout.iovec.length, bytes);
  }

  /** A zero-terminated copy in the scratch area; -EINVAL when it cannot be a C string of that size. */
  text(value: string): number {
    const bytes = utf8(value);
    if (bytes.length >= scratchBytes - 8 || bytes.includes(0)) return -EINVAL;
    this.arena.u8.set(bytes, this.scratch);
    this.arena.u8[this.scratch + bytes.length] = 0;
    return this.scratch;
  }

  #result(word: Word): number {
    const value = this.ffi.int(word);
    return value >= 0 ? value : -this.ffi.errno();
  }

  #number(value: number): number {
    return value >= 0 ? value : -this.ffi.errno();
  }

  #symbol(name: string, parameters: number, result: ResultKind = 'int'): NativeFunction {
    const found = this.ffi.symbol(name, parameters, result);
    if (found === null) throw new Error(`libc does not export ${name}`);
    return found;
  }
}

/** A result that means "nothing now, try again", not a failure. */
export function isTransient(result: number): boolean {
  return result === -EINTR || result === -11;
}
