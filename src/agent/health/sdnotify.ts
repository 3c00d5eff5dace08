// sd_notify(3) without libsystemd: one datagram of `NAME=value` lines to the unix socket in $NOTIFY_SOCKET, opened by FFI, since Node has
// no unix datagrams. A failure is only a result: the gateway works without a service manager.

import { utf8 } from '../../util/bytes.ts';
import type { Libc } from '../../platform/libc.ts';

/** What is told to the service manager, and how; replaced in tests. 0 or -errno. */
export type SendDatagram = (path: string, text: string) => number;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_NOSIGNAL = 0x4000;
const CLOCK_MONOTONIC = 1;
const EINVAL = 22;
const ENOSYS = 38;
/** sun_path of struct sockaddr_un. */
const pathBytes = 108;
const familyBytes = 2;

/** A sender over `libc`: one socket per message, for they are rare. */
export function datagramSender(libc: Libc): SendDatagram {
  const sendto = libc.ffi.symbol('sendto', 6);
  const at = libc.arena.alloc(familyBytes + pathBytes, 8);
  const room = 1024;
  const textAt = libc.arena.alloc(room, 8);
  return (path, text) => {
    const address = unixAddress(path);
    const bytes = utf8(text);
    if (sendto === null) return -ENOSYS;
    if (address === null || bytes.length > room) return -EINVAL;
    libc.arena.u8.set(address, at);
    libc.arena.u8.set(bytes, textAt);
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return fd;
    const sent = sendto(fd, libc.base + textAt, bytes.length, MSG_NOSIGNAL, libc.base + at, address.length);
    const errno = sent < 0 ? -libc.ffi.errno() : 0;
    libc.close(fd);
    return errno;
  };
}

/** struct sockaddr_un; a leading `@` is the abstract namespace. Null for what systemd does not use. */
export function unixAddress(path: string): Uint8Array | null {
  if (!/^[/@]/.test(path)) return null;
  const name = utf8(path);
  if (name.length >= pathBytes) return null;
  if (name[0] === 0x40) name[0] = 0;
  const isAbstract = name[0] === 0;
  // The kernel takes the length literally for abstract names; a path ends with its zero.
  const address = new Uint8Array(familyBytes + name.length + (isAbstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(name, familyBytes);
  return address;
}

/** CLOCK_MONOTONIC in whole microseconds, which RELOADING=1 must carry for `Type=notify-reload`. */
export function monotonicClock(libc: Libc): () => number {
  const at = libc.arena.alloc(16);
  const clock = libc.ffi.word(CLOCK_MONOTONIC);
  return () => {
    if (libc.clockGettime(clock, at) < 0) return 0;
    const { view } = libc.arena;
    const nanoseconds = view.getUint32(at + libc.layout.timespec.nanoseconds, true);
    return view.getUint32(at, true) * 1_000_000 + Math.floor(nanoseconds / 1000);
  };
}

export interface NotifyOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly send: SendDatagram;
  readonly monotonicUs: () => number;
  readonly pid: number;
}

export class Notify {
  readonly #path: string;
  readonly #options: NotifyOptions;
  /** Ping this often; 0 without a watchdog. Half of what the manager allows. */
  readonly watchdogMs: number;
  #timer: NodeJS.Timeout | null = null;
  #status = '';

  private constructor(path: string, options: NotifyOptions) {
    this.#path = path;
    this.#options = options;
    const { environment, pid } = options;
    const microseconds = Number(environment['WATCHDOG_USEC'] ?? 0);
    const isOurs = [undefined, '', `${pid}`].includes(environment['WATCHDOG_PID']);
    this.watchdogMs = isOurs && microseconds > 0 ? Math.floor(microseconds / 2000) : 0;
  }

  /** Null where no service manager listens. */
  static of(options: NotifyOptions): Notify | null {
    const path = options.environment['NOTIFY_SOCKET'];
    return path === undefined || path === '' ? null : new Notify(path, options);
  }

  ready(status: string): void {
    this.#status = status;
    this.#send('READY=1', `STATUS=${oneLine(status)}`);
  }

  /** Must be followed by `ready`. */
  reloading(): void {
    this.#send('RELOADING=1', `MONOTONIC_USEC=${this.#options.monotonicUs()}`);
  }

  stopping(): void {
    this.#stopWatchdog();
    this.#send('STOPPING=1');
  }

  /** What `systemctl status` shows; nothing is sent when nothing changed. */
  status(status: string): void {
    if (status === this.#status) return;
    this.#status = status;
    this.#send(`STATUS=${oneLine(status)}`);
  }

  /** Pings as long as `isWell` says so: a hung data plane must look hung. */
  watch(isWell: () => Promise<boolean>, beat: () => void = () => {}): void {
    if (this.watchdogMs === 0) return;
    const turn = async (): Promise<void> => {
      if (await isWell().catch(() => false)) this.#send('WATCHDOG=1');
      beat();
    };
    this.#timer = setInterval(() => void turn(), this.watchdogMs);
    this.#timer.unref();
    void turn();
  }

  #stopWatchdog(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  #send(...lines: string[]): void {
    this.#options.send(this.#path, lines.join('\n'));
  }
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').slice(0, 200);
}
