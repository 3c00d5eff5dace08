// Waiting: epoll over a handful of descriptors, and an eventfd by which another thread (with its own Ffi) ends the wait. Not
// ppoll, which looks at every descriptor twice per wait: 4 % of the processor time of a lone packet.

import type { Word } from './ffi/ffi.ts';
import type { Libc } from './libc.ts';
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EINTR,
  EPOLLIN,
  EPOLL_CLOEXEC,
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  errnoText,
} from './constants.ts';
import { epollEvent } from './net/kernelstructs.ts';

/** Waiting longer than this is cut short; the caller simply waits again. */
const longestMs = 3_600_000;

export class Poller {
  readonly #libc: Libc;
  readonly #epoll: number;
  readonly #word: Word;
  readonly #events: number;
  readonly #capacity: number;
  /** The descriptor in each place, -1 for none. */
  readonly #fds: number[] = [];

  constructor(libc: Libc, capacity = 8) {
    this.#libc = libc;
    this.#capacity = Math.min(capacity, 30);
    this.#events = libc.arena.alloc(this.#capacity * epollEvent.bytes, 8);
    this.#epoll = libc.epollCreate(EPOLL_CLOEXEC);
    if (this.#epoll < 0) throw new Error(`epoll: ${errnoText(this.#epoll)}`);
    this.#word = libc.ffi.word(this.#epoll);
  }

  /** Watches `fd` for input and gives its bit number in the mask. A negative `fd` keeps the place free. */
  add(fd: number): number {
    const bit = this.#fds.push(-1) - 1;
    if (bit === this.#capacity) throw new Error(`poller holds at most ${this.#capacity} descriptors`);
    this.replace(bit, fd);
    return bit;
  }

  /** Puts another descriptor (or -1) in an existing place; to be done before the old one is closed. */
  replace(bit: number, fd: number): void {
    const { view } = this.#libc.arena;
    view.setUint32(this.#events, EPOLLIN, true);
    view.setUint32(this.#events + epollEvent.data, bit, true);
    const old = this.#fds[bit]!;
    this.#fds[bit] = fd;
    if (old >= 0) this.#libc.epollCtl(this.#epoll, EPOLL_CTL_DEL, old, this.#events);
    const result = fd < 0 ? 0 : this.#libc.epollCtl(this.#epoll, EPOLL_CTL_ADD, fd, this.#events);
    if (result < 0) throw new Error(`epoll: ${errnoText(result)}`);
  }

  /**
   * Bits of the descriptors that have input or trouble; 0 on timeout or signal. A fraction of a millisecond is a whole one;
   * 0 does not wait, Infinity waits for an hour at most.
   */
  wait(timeoutMs: number): number {
    const { view } = this.#libc.arena;
    const ms = Math.ceil(Math.max(0, Math.min(timeoutMs, longestMs)));
    const count = this.#libc.epollWait(this.#word, this.#events, this.#capacity, ms);
    let mask = 0;
    for (let i = 0; i < count; i++)
      mask |= 1 << view.getUint32(this.#events + i * epollEvent.bytes + epollEvent.data, true);
    if (count < 0 && count !== -EINTR) throw new Error(`epoll: ${errnoText(count)}`);
    return mask;
  }

  close(): void {
    this.#libc.close(this.#epoll);
  }
}

/** An eventfd. The waiting thread makes it; another thread wraps the same `fd` with its own Libc to signal. */
export class Wake {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #word: Word;
  readonly #value: number;
  readonly #sink: number;

  constructor(libc: Libc, fd: number = libc.eventfd(EFD_NONBLOCK | EFD_CLOEXEC)) {
    if (fd < 0) throw new Error(`eventfd: ${errnoText(fd)}`);
    this.fd = fd;
    this.#libc = libc;
    this.#word = libc.ffi.word(fd);
    this.#value = libc.arena.alloc(8, 8);
    this.#sink = libc.arena.alloc(8, 8);
    libc.arena.view.setUint32(this.#value, 1, true);
    libc.arena.view.setUint32(this.#value + 4, 0, true);
  }

  signal(): void {
    this.#libc.write8(this.#word, this.#value);
  }

  /** Makes the descriptor quiet again; false when it was not signalled. */
  drain(): boolean {
    return this.#libc.read(this.#word, this.#sink, 8) === 8;
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}
