// The generation of a virtual machine. A restored or cloned one continues with old keys and counters; two copies would seal different
// packets under one nonce. The kernel learns of it from the hypervisor (drivers/virt/vmgenid.c) and sends a uevent, from Linux 6.10 on.

import { utf8 } from '../util/bytes.ts';
import { AF_NETLINK, ENOBUFS, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from './constants.ts';
import type { Word } from './ffi/ffi.ts';
import { sockaddrNl } from './net/kernelstructs.ts';
import type { Libc } from './libc.ts';

const NETLINK_KOBJECT_UEVENT = 15;
const kernelGroup = 1;
const eventBytes = 8192;
const sign = utf8('\0NEW_VMGENID=1\0');

export class GenerationWatch {
  readonly fd: number;
  readonly #libc: Libc;
  readonly #word: Word;
  readonly #event: number;

  private constructor(libc: Libc, fd: number) {
    this.fd = fd;
    this.#libc = libc;
    this.#word = libc.ffi.word(fd);
    this.#event = libc.arena.alloc(eventBytes);
  }

  /** Null where such a socket is not to be had: clones go unnoticed then. */
  static open(libc: Libc): GenerationWatch | null {
    const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_KOBJECT_UEVENT);
    if (fd < 0) return null;
    const at = libc.scratch + 64;
    libc.arena.u8.fill(0, at, at + sockaddrNl.bytes);
    libc.arena.view.setUint16(at + sockaddrNl.family, AF_NETLINK, true);
    libc.arena.view.setUint32(at + sockaddrNl.groups, kernelGroup, true);
    if (libc.bind(fd, at, sockaddrNl.bytes) >= 0) return new GenerationWatch(libc, fd);
    libc.close(fd);
    return null;
  }

  /** Reads what has come; true when this machine is a copy now. An overrun may have hidden it, so it counts as one. */
  changed(): boolean {
    let isCopy = false;
    for (let reads = 0; reads < 1000; reads++) {
      const bytes = this.#libc.read(this.#word, this.#event, eventBytes);
      if (bytes === -ENOBUFS) isCopy = true;
      else if (bytes < 0) break;
      else if (saysCopy(this.#libc.arena.u8.subarray(this.#event, this.#event + bytes))) isCopy = true;
    }
    return isCopy;
  }

  close(): void {
    this.#libc.close(this.fd);
  }
}

/** Whether a uevent (`ACTION@PATH`, then KEY=VALUE, each with a zero) is the one. */
export function saysCopy(event: Uint8Array): boolean {
  const last = event.length - sign.length;
  for (let at = 0; at <= last; at++) {
    let i = 0;
    while (i < sign.length && event[at + i] === sign[i]) i++;
    if (i === sign.length) return true;
  }
  return false;
}
