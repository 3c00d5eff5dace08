// The data plane without FFI, on a TUN descriptor that a launcher passed on: the same device, gate, loop and sessions as in worker.ts,
// over node:fs, node:dgram, /proc and /sys, on the main thread. Due sessions end before packets move, however late a turn is. The
// launcher sets addresses, MTU and routes. docs/decisions/0006-tun-from-a-launcher.md.

import { Arena } from '../../../util/arena.ts';
import { PlainError } from '../../../util/errors.ts';
import { newMemory } from '../../../util/memory.ts';
import { SendBatch } from '../../../datapath/batch.ts';
import { createChecksum } from '../../../datapath/checksum.ts';
import { Coalescer } from '../../../datapath/coalesce.ts';
import { Segmenter } from '../../../datapath/segment.ts';
import { Unreachable } from '../../../datapath/unreachable.ts';
import { chooseCrypto } from '../../../platform/crypto/choose.ts';
import { DatagramSlot } from '../../../platform/net/dgram.ts';
import { describeFd, type InheritedFd, InheritedTun } from '../../../platform/inherited.ts';
import { interfaceIndex, type LinkFiles, linkFiles } from '../../../platform/sysfs.ts';
import { Uptime } from '../../../platform/uptime.ts';
import { Device } from '../../../wireguard/device.ts';
import { Endpoint } from '../../../wireguard/peer/endpoint.ts';
import { Counters } from '../counters.ts';
import { Datagrams } from './datagrams.ts';
import { SessionGate } from '../sessiongate.ts';
import type { Host } from '../../host.ts';
import type { DataplaneOptions, DataplaneReady, StartDataplane } from '../options.ts';
import { Loop } from '../loop.ts';
import type { Command, CommandResult, Dataplane, LogLevel, WorkerEvent } from '../commands.ts';
import { DataplaneOutbox } from '../outbox.ts';
import { portableProviders, preparePortable } from '../../portableproviders.ts';
import { Sessions } from '../sessionclock.ts';

const arenaPages = 32; // as worker.ts
const defaultMtu = 1420;
const lookEveryMs = { up: 1000, down: 250 };

/** What the plane stands on; replaced in tests. */
export interface Footing {
  readonly clock: Pick<Uptime, 'bootMs' | 'wallMs' | 'woke'>;
  readonly openTun: (arena: Arena, fd: InheritedFd, onReadable: () => void) => InheritedTun;
  readonly link: (name: string) => LinkFiles | null;
}

export class InheritedPlane implements Dataplane {
  readonly ready: DataplaneReady;
  readonly closed: Promise<number>;
  readonly #footing: Footing;
  readonly #tun: InheritedTun;
  readonly #sockets: Datagrams;
  readonly #device: Device;
  readonly #segmenter: Segmenter;
  readonly #counters = new Counters();
  readonly #gate: SessionGate;
  readonly #loop: Loop;
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #resolveClosed!: (code: number) => void;
  #isClosed = false;
  #isScheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Infinity;
  #lookAt = 0;
  /** The interface was seen in /sys: when it is not any more, it is gone. */
  #wasSeen = false;
  #refusedPort = -1;

  constructor(options: DataplaneOptions, fd: InheritedFd, footing: Footing) {
    this.#footing = footing;
    const { clock } = footing;
    this.closed = new Promise(resolve => (this.#resolveClosed = resolve));
    const memory = newMemory(arenaPages, false);
    const arena = new Arena(memory.buffer);
    const crypto = chooseCrypto({ arena }, () => portableProviders(arena, memory), options.crypto);
    const wallMs = (): number => clock.wallMs();
    const onReadable = (): void => this.#schedule();
    this.#tun = footing.openTun(arena, fd, onReadable);
    const sockets = new Datagrams({
      arena,
      onReadable,
      onError: () => this.#counters.sendErrors++,
      warn: message => this.#log('warn', message),
    });
    this.#sockets = sockets;
    const device = new Device({
      arena,
      crypto,
      random: out => void globalThis.crypto.getRandomValues(out),
      wallMs,
      ...(options.maxPeers !== undefined && { maxPeers: options.maxPeers }),
    });
    this.#device = device;
    const checksum = createChecksum(memory, arena);
    this.#segmenter = new Segmenter(arena, checksum, options.mtu ?? defaultMtu);
    device.mtu = this.#segmenter.mtu;
    const batch = new SendBatch(arena);
    batch.maxSegments = 1;
    const out = new DataplaneOutbox(sockets, this.#counters);
    this.#gate = new SessionGate({
      ifname: fd.name,
      device,
      sessions: new Sessions(options.maxPeers),
      sockets,
      out,
      wallMs,
      interfaceIndex: name => interfaceIndex(name),
      counters: () => this.#counters.read([], crypto.name, 1),
      post: event => this.#post(event),
    });
    this.#loop = new Loop({
      arena,
      device,
      tun: this.#tun,
      sockets,
      slot: new DatagramSlot(arena, new Endpoint()),
      batch,
      segmenter: this.#segmenter,
      coalescer: new Coalescer(arena, checksum, { base: 0, pointerBytes: 4 }), // joins nothing without a header
      unreachable: new Unreachable(arena, checksum),
      counters: this.#counters,
      out,
    });
    out.writePacket = (at, bytes) => this.#loop.writePlain(at, bytes);
    out.handleEvent = event => this.#gate.deviceEvent(clock.bootMs(), event);
    this.ready = { ifname: fd.name, ffi: 'inherited-fd', crypto: crypto.name, vnetHeader: false };
    this.#log('info', `no FFI: MTU, addresses and routes of ${fd.name} are left to the program that made it`);
    this.#schedule();
  }

  async request<C extends Command>(command: C): Promise<CommandResult[C['op']]> {
    if (this.#isClosed)
      throw new PlainError('dataplane-gone', 'the data plane has stopped: see the log line before this one');
    const now = this.#now();
    // Copies, as over the port of a worker: both sides wipe what they hold of a key.
    const result = structuredClone(this.#gate.run(now, structuredClone(command)));
    if (this.#gate.stopping) this.#close(now);
    else this.#arm();
    return result as CommandResult[C['op']];
  }

  onEvent(listener: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    if (!this.#isClosed) await this.request({ op: 'stop' });
    await this.closed;
  }

  /** Ends what is due, moves what is there, ends what that made due. */
  turn(): void {
    if (this.#isClosed) return;
    const { clock } = this.#footing;
    const started = this.#now();
    try {
      this.#gate.poll(started);
      if (started >= this.#lookAt && !this.#followLink(started)) return this.#close(started);
      const { v4, v6 } = this.#sockets;
      while (v4 !== null && v4.waiting > 0) this.#loop.inbound(started, v4);
      while (v6 !== null && v6.waiting > 0) this.#loop.inbound(started, v6);
      if (!this.#loop.outbound(started)) return this.#close(started);
      if (!this.#tun.isDrained) this.#schedule();
      const now = clock.bootMs();
      this.#gate.poll(now);
      if (now - started > this.#counters.loopLagMs) this.#counters.loopLagMs = now - started;
    } catch (error) {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#post({ ev: 'fatal', message });
      return this.#close(started);
    }
    this.#arm();
  }

  /** The present. A machine that slept may have had its memory written to a disk, and what was due then is due now (T18). */
  #now(): number {
    const { clock } = this.#footing;
    const now = clock.bootMs();
    if (!clock.woke()) return now;
    this.#device.wipeSessions();
    this.#gate.poll(now);
    this.#log('info', 'the machine slept: session keys are wiped, the next packet starts a handshake');
    return now;
  }

  /** One turn for all that came while the event loop was at it: at the end of its round. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.turn();
    });
  }

  /** A timer for the next deadline or look at the link, whichever comes first. One that is early only turns and is armed again. */
  #arm(): void {
    const at = Math.min(this.#gate.nextDeadline, this.#lookAt);
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(
      () => {
        this.#timerAt = Infinity;
        this.turn();
      },
      Math.max(0, at - this.#footing.clock.bootMs()),
    );
  }

  /** As worker.ts, by looking. Where /sys does not show the interface it counts as up. False when it is gone (L6). */
  #followLink(now: number): boolean {
    const link = this.#footing.link(this.#tun.name);
    if (link === null && this.#wasSeen) return false;
    this.#wasSeen = link !== null;
    const isUp = link?.isUp ?? true;
    this.#lookAt = now + (isUp ? lookEveryMs.up : lookEveryMs.down);
    if (link !== null && link.mtu !== this.#segmenter.mtu) this.#segmenter.mtu = this.#device.mtu = link.mtu;
    if (isUp) {
      this.#tun.start();
      if (!this.#device.isUp) this.#up(now);
    } else if (this.#device.isUp) this.#gate.down(now);
    return true;
  }

  #up(now: number): void {
    if (this.#gate.up(now) === 0) {
      this.#refusedPort = -1;
      return;
    }
    const { port } = this.#sockets;
    if (port !== this.#refusedPort)
      this.#log('error', `cannot open UDP port ${port}: in use; choose another listen port`);
    this.#refusedPort = port;
  }

  #log(level: LogLevel, message: string): void {
    this.#post({ ev: 'log', level, message });
  }

  /** Later, as from a worker: the listener may send a command to the gate, which is in the middle of one. */
  #post(event: WorkerEvent): void {
    setImmediate(() => {
      for (const listener of this.#listeners) listener(event);
    });
  }

  #close(now: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    if (!this.#gate.stopping) this.#gate.run(now, { op: 'stop' });
    this.#tun.close();
    if (this.#tun.isStuck) endStuckProcess();
    this.#post({ ev: 'closed' });
    setImmediate(() => this.#resolveClosed(0));
  }
}

/**
 * A thread that waits in read(2) can neither be called off nor left behind, so once everything else is done (`main` has set the
 * exit status) the process ends by SIGTERM instead of status 0. Only on a blocking descriptor.
 */
function endStuckProcess(): void {
  setInterval(() => {
    if (process.exitCode === undefined) return;
    process.removeAllListeners('SIGTERM');
    process.kill(process.pid, 'SIGTERM');
  }, 20).unref();
}

export async function startInherited(options: DataplaneOptions): Promise<InheritedPlane> {
  if (process.versions['deno'] !== undefined)
    throw new PlainError('no-ffi', 'Deno cannot use an inherited descriptor: start it with --allow-ffi');
  await preparePortable(options.crypto);
  return new InheritedPlane(options, describeFd(options.tunFd!, options.tunOwner), {
    clock: new Uptime(),
    openTun: (arena, fd, onReadable) => new InheritedTun(arena, fd, onReadable),
    link: linkFiles,
  });
}

/** The agent's host on this route: no interface is configured, and systemd's datagrams cannot be sent. */
export function inheritedHost(start: StartDataplane): Host {
  const clock = new Uptime();
  return { start, kernel: null, bootMs: () => clock.bootMs(), wallMs: () => clock.wallMs() };
}
