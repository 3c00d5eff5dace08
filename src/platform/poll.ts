// Waiting: ppoll over a handful of descriptors, and an eventfd by which another thread (with its own Ffi) ends the wait.

import type { Word } from './ffi/ffi.ts';
import type { Libc } from './libc.ts';
import {
  EFD_CLOEXEC,
  EFD_NONBLOCK,
  EINTR,
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLNVAL,
  errnoText,
} from './constants.ts';
import { pollfd } from './layout.ts';

/** Waiting longer than this is cut short; the caller simply waits again. */
const longestMs = 3_600_000;

export class Poller {
  readonly #libc: Libc;
  readonly #fds: number;
  readonly #timeout: number;
  readonly #capacity: number;
  #count = 0;

  constructor(libc: Libc, capacity = 8) {
    this.#libc = libc;
    this.#capacity = Math.min(capacity, 30);
    this.#fds = libc.arena.alloc(this.#capacity * pollfd.bytes);
    this.#timeout = libc.arena.alloc(16);
  }

  /** Watches `fd` for input and gives its bit number in the mask. A negative `fd` keeps the place free. */
  add(fd: number): number {
    if (this.#count === this.#capacity) throw new Error(`poller holds at most ${this.#capacity} descriptors`);
    const bit = this.#count++;
    this.replace(bit, fd);
    return bit;
  }

  /** Puts another descriptor (or -1) in an existing place. */
  replace(bit: number, fd: number): void {
    const at = this.#fds + bit * pollfd.bytes;
    this.#libc.arena.view.setInt32(at + pollfd.fd, fd, true);
    this.#libc.arena.view.setUint32(at + pollfd.events, POLLIN, true);
  }

  /**
   * Bits of the descriptors that have input, output room or trouble; 0 on timeout or signal. `timeoutMs` may be
   * fractional; 0 does not wait, Infinity waits for an hour at most.
   */
  wait(timeoutMs: number): number {
    const { view } = this.#libc.arena;
    const { timespec } = this.#libc.layout;
    const ms = Math.max(0, Math.min(timeoutMs, longestMs));
    const seconds = Math.floor(ms / 1000);
    this.#libc.setSize(this.#timeout, seconds);
    this.#libc.setSize(this.#timeout + timespec.nanoseconds, Math.floor((ms - seconds * 1000) * 1e6));
    const result = this.#libc.ppoll(this.#fds, this.#count, this.#timeout);
    if (result === 0 || result === -EINTR) return 0;
    if (result < 0) throw new Error(`ppoll: ${errnoText(result)}`);
    let mask = 0;
    for (let bit = 0; bit < this.#count; bit++) {
      if (view.getUint16(this.#fds + bit * pollfd.bytes + pollfd.revents, true) !== 0) mask |= 1 << bit;
    }
    return mask;
  }

  /** After `wait`: true when the descriptor only reported an error or hang-up, so that reading would spin. */
  failed(bit: number): boolean {
    const at = this.#fds + bit * pollfd.bytes + pollfd.revents;
    const events = this.#libc.arena.view.getUint16(at, true);
    return (events & POLLIN) === 0 && (events & (POLLERR | POLLHUP | POLLNVAL)) !== 0;
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

  /** Makes the descriptor quiet again; false when nobody had signalled. */
  drain(): boolean {
    return this.#libc.read(this.#word, this.#sink, 8) === 8;
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}
