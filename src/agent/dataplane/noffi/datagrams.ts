// The device's two sockets on the route without FFI, as sockets.ts is on the others (E3, E4).

import { openDgram, type DgramUdp } from '../../../platform/net/dgram.ts';
import type { Arena } from '../../../util/arena.ts';
import type { Sockets } from '../ports.ts';

const EADDRINUSE = 98;
const EPERM = 1;
/** While the kernel chooses the port, IPv6 may have given it to another socket. */
const portAttempts = 100;

export interface DatagramsParts {
  readonly arena: Arena;
  readonly onReadable: () => void;
  /** A datagram that was thought sent was not. */
  readonly onError: () => void;
  readonly warn: (message: string) => void;
}

export class Datagrams implements Sockets {
  v4: DgramUdp | null = null;
  v6: DgramUdp | null = null;
  port = 0;
  readonly mark = 0;
  readonly #parts: DatagramsParts;
  #isOpen = false;

  constructor(parts: DatagramsParts) {
    this.#parts = parts;
  }

  of(family: number): DgramUdp | null {
    return family === 4 ? this.v4 : family === 6 ? this.v6 : null;
  }

  bind(): number {
    this.close();
    return this.#open(this.port);
  }

  /** As sockets.ts: a port that is taken changes nothing. */
  setPort(port: number): number {
    if (!this.#isOpen) this.port = port;
    else if (port !== this.port) return this.#open(port);
    return 0;
  }

  #open(port: number): number {
    const { arena, onReadable, onError } = this.#parts;
    for (let attempt = port === 0 ? portAttempts : 1; attempt > 0; attempt--) {
      const v4 = openDgram(arena, 4, port, onReadable, onError);
      const other = typeof v4 === 'object' && v4 !== null ? v4.port : port;
      const v6 = openDgram(arena, 6, other, onReadable, onError);
      if (typeof v4 === 'object' && typeof v6 === 'object' && (v4 ?? v6) !== null) {
        this.close();
        this.v4 = v4;
        this.v6 = v6;
        this.port = (v4 ?? v6)!.port;
        this.#isOpen = true;
        return 0;
      }
      if (typeof v4 === 'object') v4?.close();
      if (typeof v6 === 'object') v6?.close();
    }
    return -EADDRINUSE;
  }

  /** Node cannot set SO_MARK, so only the mark 0 is accepted. */
  setMark(mark: number): number {
    if (mark === 0) return 0;
    this.#parts.warn(`fwmark ${mark} is refused: it takes FFI to mark packets; leave it 0`);
    return -EPERM;
  }

  close(): void {
    this.v4?.close();
    this.v6?.close();
    this.v4 = this.v6 = null;
    this.#isOpen = false;
  }
}
