// Sockets: the two UDP sockets of the device, opened when it comes up and rebound when the port changes (E3, E4). Sessions survive
// a rebind; one that fails says EADDRINUSE and leaves the sockets and the port as they were, as the kernel does.

import { PlainError } from '../../util/errors.ts';
import type { Libc } from '../../platform/libc.ts';
import type { Poller } from '../../platform/poll.ts';
import { openUdpPair, type Udp } from '../../platform/net/udp.ts';

const EADDRINUSE = 98;
const EPERM = 1;

export class Sockets {
  v4: Udp | null = null;
  v6: Udp | null = null;
  /** The bound port while open, the wished one (0 = any) otherwise. */
  port = 0;
  mark = 0;
  readonly #libc: Libc;
  readonly #poller: Poller;
  readonly #offload: boolean;
  readonly bit4: number;
  readonly bit6: number;
  #isOpen = false;

  constructor(libc: Libc, poller: Poller, offload: boolean) {
    this.#libc = libc;
    this.#poller = poller;
    this.#offload = offload;
    this.bit4 = poller.add(-1);
    this.bit6 = poller.add(-1);
  }

  /** The socket that reaches addresses of `family`, or null. */
  of(family: number): Udp | null {
    return family === 4 ? this.v4 : family === 6 ? this.v6 : null;
  }

  /** Segments that one send of either socket may carry. */
  get maxSegments(): number {
    return Math.min(this.v4?.maxSegments ?? Infinity, this.v6?.maxSegments ?? Infinity);
  }

  /** Fresh sockets on `port`; 0 or a negative errno. */
  bind(): number {
    this.close();
    return this.#open(this.port);
  }

  /** While closed only a wish. Any port but the present one is opened before the present sockets are closed. */
  setPort(port: number): number {
    if (!this.#isOpen) this.port = port;
    else if (port !== this.port) return this.#open(port);
    return 0;
  }

  #open(port: number): number {
    let pair;
    try {
      pair = openUdpPair(this.#libc, { port, mark: this.mark, offload: this.#offload });
    } catch (error) {
      if (error instanceof PlainError) return -EADDRINUSE;
      throw error;
    }
    this.close();
    this.v4 = pair.v4;
    this.v6 = pair.v6;
    this.port = pair.port;
    this.#poller.replace(this.bit4, this.v4?.fd ?? -1);
    this.#poller.replace(this.bit6, this.v6?.fd ?? -1);
    this.#isOpen = true;
    return 0;
  }

  setMark(mark: number): number {
    this.mark = mark;
    const failed = (this.v4?.setMark(mark) ?? 0) < 0 || (this.v6?.setMark(mark) ?? 0) < 0;
    return failed ? -EPERM : 0;
  }

  close(): void {
    this.#poller.replace(this.bit4, -1);
    this.#poller.replace(this.bit6, -1);
    this.v4?.close();
    this.v6?.close();
    this.v4 = this.v6 = null;
    this.#isOpen = false;
  }
}
