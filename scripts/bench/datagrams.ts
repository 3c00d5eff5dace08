// Many datagrams per system call, for the measuring programs: a vector of sendmmsg and recvmmsg over the project's own FFI.
// Every datagram is an skb of its own, as from an ordinary program: no UDP_SEGMENT, no UDP_GRO, which would hand the
// tunnel super-packets and measure something else. What is saved is only the system call per datagram.

import type { NativeFunction } from '../../src/platform/ffi/ffi.ts';
import { AF_INET } from '../../src/platform/constants.ts';
import { sockaddrIn } from '../../src/platform/net/kernelstructs.ts';
import type { Libc } from '../../src/platform/libc.ts';
import { openUdp } from '../../src/platform/net/udp.ts';

/** Datagrams per call; more gain nothing measurable and make longer bursts. */
export const vectorLength = 64;
const MSG_DONTWAIT = 0x40;

function symbol(libc: Libc, name: string, parameters: number): NativeFunction {
  const found = libc.ffi.symbol(name, parameters);
  if (found === null) throw new Error(`libc does not export ${name}`);
  return found;
}

/** A socket whose buffers are never where datagrams get lost, however long its reader was away from the processor. */
export function openSocket(libc: Libc, address: string, port: number): number {
  const bytes = Uint8Array.from(address.split('.').map(Number));
  return openUdp(libc, {
    ...{ family: 4, address: bytes, port, offload: false },
    ...{ receiveBuffer: 64 << 20, sendBuffer: 8 << 20 },
  }).fd;
}

export class Datagrams {
  readonly #libc: Libc;
  readonly #room: number;
  readonly #vector: number;
  readonly #stride: number;
  readonly #name: number;
  readonly #iovecs: number;
  readonly #data: number;
  readonly #sendmmsg: NativeFunction;
  readonly #recvmmsg: NativeFunction;

  /** `count` buffers of `room` bytes; at most `vectorLength` of them go in one call. */
  constructor(libc: Libc, count: number, room: number) {
    const { arena, layout } = libc;
    this.#libc = libc;
    this.#room = (room + 63) & ~63;
    // struct mmsghdr: a msghdr, then an unsigned int, padded to the word.
    this.#stride = (layout.msghdr.bytes + 4 + layout.pointer - 1) & -layout.pointer;
    this.#vector = arena.alloc(count * this.#stride);
    this.#iovecs = arena.alloc(count * layout.iovec.bytes);
    this.#name = arena.alloc(sockaddrIn.bytes);
    this.#data = arena.alloc(count * this.#room);
    this.#sendmmsg = symbol(libc, 'sendmmsg', 4);
    this.#recvmmsg = symbol(libc, 'recvmmsg', 5);
    arena.u8.fill(0, this.#vector, this.#vector + count * this.#stride);
    for (let i = 0; i < count; i++) {
      const header = this.#vector + i * this.#stride;
      const iovec = this.#iovecs + i * layout.iovec.bytes;
      libc.setIovec(iovec, this.at(i), this.#room);
      libc.setPointer(header + layout.msghdr.iov, iovec);
      libc.setSize(header + layout.msghdr.iovLength, 1);
    }
    for (let i = 0; i < count; i++) this.#setTarget(i);
  }

  /** Where datagram `i` is in the arena. */
  at(i: number): number {
    return this.#data + i * this.#room;
  }

  /** Its length as sent; as room to receive it is left alone. */
  setBytes(i: number, bytes: number): void {
    this.#libc.setIovec(this.#iovecs + i * this.#libc.layout.iovec.bytes, this.at(i), bytes);
  }

  /** Where all of them go from now on. */
  target(address: string, port: number): void {
    const { u8, view } = this.#libc.arena;
    view.setUint16(this.#name, AF_INET, true);
    view.setUint16(this.#name + sockaddrIn.port, port);
    u8.set(Uint8Array.from(address.split('.').map(Number)), this.#name + sockaddrIn.address);
  }

  /** Sends `count` from `first` on; how many the kernel took, or -errno. */
  send(fd: number, first: number, count: number): number {
    return this.#result(
      this.#sendmmsg(fd, this.#address(first), Math.min(count, vectorLength), MSG_DONTWAIT),
    );
  }

  /** How many came, or -errno; their sender is not asked for. Only for vectors that had no `target`. */
  receive(fd: number, count: number): number {
    return this.#result(this.#recvmmsg(fd, this.#address(0), Math.min(count, vectorLength), MSG_DONTWAIT, 0));
  }

  #address(i: number): number {
    return this.#libc.base + this.#vector + i * this.#stride;
  }

  #result(value: number): number {
    return value >= 0 ? value : -this.#libc.ffi.errno();
  }

  #setTarget(i: number): void {
    const { msghdr } = this.#libc.layout;
    const header = this.#vector + i * this.#stride;
    this.#libc.setPointer(header + msghdr.name, this.#name);
    this.#libc.setSize(header + msghdr.nameLength, sockaddrIn.bytes);
  }
}
