// The tunnel's UDP sockets by node:dgram, for the route without FFI: one system call per datagram. Missing against udp.ts: GSO, GRO,
// ECN, DSCP, sticky source, flow label, fwmark, large buffers. Node queues an unsent datagram by reference and without bound, so each
// socket has one buffer of its own, and while something is queued the next datagrams are dropped.

import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import type { Arena } from '../../util/arena.ts';
import { formatAddress, parseAddress } from '../../util/inet.ts';
import { EADDRNOTAVAIL, EAFNOSUPPORT, EAGAIN, EINVAL } from '../constants.ts';
import type { EndpointLike } from './receiveslot.ts';
import { interfaceIndex, interfaceName } from '../sysfs.ts';

const capacity = 65536;
const headroom = 64;
const socketBuffer = 7 << 20;

/** Where a received datagram is put, and its sender; the shape of ReceiveSlot. */
export class DatagramSlot {
  readonly at: number;
  readonly from: EndpointLike;
  readonly ecn = 0;
  readonly truncated = false;
  segment = 0;
  readonly #u8: Uint8Array;
  #address = '';
  #port = 0;

  /** `from` is a fresh wireguard Endpoint. */
  constructor(arena: Arena, from: EndpointLike) {
    this.#u8 = arena.u8;
    this.from = from;
    this.at = arena.alloc(capacity + headroom) + headroom;
  }

  fill(datagram: Uint8Array, { address, port }: RemoteInfo): void {
    this.#u8.set(datagram, this.at);
    this.segment = datagram.length;
    if (port === this.#port && address === this.#address) return;
    this.#address = address;
    this.#port = this.from.port = port;
    const [host, zone] = address.split('%');
    const ip = parseAddress(host!)!;
    this.from.family = ip.family;
    this.from.address.fill(0).set(ip.address);
    this.from.scopeId = zone === undefined ? 0 : interfaceIndex(zone);
  }
}

export class DgramUdp {
  readonly port: number;
  readonly #socket: Socket;
  readonly #u8: Uint8Array;
  readonly #copy = new Uint8Array(capacity);
  readonly #datagrams: Uint8Array[] = [];
  readonly #senders: RemoteInfo[] = [];
  #next = 0;
  #isClosed = false;
  // The last destination as bytes and as the text that Node takes.
  readonly #to = new Uint8Array(16);
  #toScope = -1;
  #toText = '';
  readonly #sent: (error: Error | null) => void;

  /** `onReadable` must only take note; `onError` hears of sends that failed after `send` had returned. */
  constructor(arena: Arena, socket: Socket, onReadable: () => void, onError: () => void) {
    this.#u8 = arena.u8;
    this.#socket = socket;
    this.port = socket.address().port;
    this.#sent = error => {
      if (error !== null) onError();
    };
    socket.on('message', (datagram, sender) => {
      this.#datagrams.push(datagram);
      this.#senders.push(sender);
      onReadable();
    });
  }

  /** Datagrams that `receive` has not given out. */
  get waiting(): number {
    return this.#datagrams.length - this.#next;
  }

  receive(slot: DatagramSlot): number {
    if (this.waiting === 0) {
      this.#datagrams.length = this.#senders.length = this.#next = 0;
      return -EAGAIN;
    }
    slot.fill(this.#datagrams[this.#next]!, this.#senders[this.#next]!);
    this.#next++;
    return slot.segment;
  }

  /** As Udp's, without TOS. The kernel's refusal of a datagram comes later, to `onError`. */
  send(at: number, bytes: number, segment: number, to: EndpointLike): number {
    const size = segment > 0 && segment < bytes ? segment : bytes;
    let sent = 0;
    let failure = 0;
    for (let done = 0; done < bytes; done += size) {
      const result = this.#sendOne(at + done, Math.min(size, bytes - done), to);
      if (result >= 0) sent += result;
      else failure = result;
    }
    return sent > 0 ? sent : failure;
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.close();
  }

  #sendOne(at: number, bytes: number, to: EndpointLike): number {
    if (this.#isClosed || to.port === 0) return -EINVAL;
    if (this.#socket.getSendQueueCount() > 0) return -EAGAIN;
    this.#copy.set(this.#u8.subarray(at, at + bytes));
    this.#socket.send(this.#copy, 0, bytes, to.port, this.#textOf(to), this.#sent);
    return bytes;
  }

  #textOf({ family, address, scopeId }: EndpointLike): string {
    const length = family === 4 ? 4 : 16;
    let isSame = scopeId === this.#toScope;
    for (let i = 0; isSame && i < length; i++) isSame = address[i] === this.#to[i];
    if (isSame) return this.#toText;
    this.#to.set(address);
    this.#toScope = scopeId;
    const zone = scopeId === 0 ? '' : `%${interfaceName(scopeId)}`;
    return (this.#toText = formatAddress(address.subarray(0, length)) + zone);
  }
}

/**
 * Bound when it returns, for Node waits only for a resolver and this one answers at once. Null where the host has no such family,
 * -errno when the port cannot be had. `onReadable` and `onError` as DgramUdp's.
 */
export function openDgram(
  arena: Arena,
  family: 4 | 6,
  port: number,
  onReadable: () => void,
  onError: () => void,
): DgramUdp | null | number {
  const socket = createSocket({
    type: `udp${family}`,
    ipv6Only: family === 6,
    recvBufferSize: socketBuffer,
    sendBufferSize: socketBuffer,
    lookup: (host, _options, done) => done(null, host, family),
  });
  let errno = 0;
  // Later on too: an ICMP error is no reason to end, and without a listener it would be.
  socket.on('error', (error: NodeJS.ErrnoException) => (errno = error.errno ?? -EINVAL));
  socket.bind({ port });
  if (errno === 0) return new DgramUdp(arena, socket, onReadable, onError);
  socket.close();
  return errno === -EAFNOSUPPORT || errno === -EADDRNOTAVAIL ? null : errno;
}
