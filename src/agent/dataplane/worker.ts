// The worker thread that owns the device, its TUN and its sockets, and ends sessions by itself. It repeats one turn: wait, move
// batches, serve commands, fire deadlines. The control plane may stall or die without effect on traffic or the three-minute rule.

import { isMainThread, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads';
import { Arena } from '../../util/arena.ts';
import { PlainError } from '../../util/errors.ts';
import { type Memory, newMemory } from '../../util/memory.ts';
import { SendBatch } from '../../datapath/batch.ts';
import type { Segmenter } from '../../datapath/segment.ts';
import { Unreachable } from '../../datapath/unreachable.ts';
import { Clock } from '../../platform/clock.ts';
import { chooseCrypto } from '../../platform/crypto/choose.ts';
import { loadFfi } from '../../platform/ffi/load.ts';
import { Libc } from '../../platform/libc.ts';
import { type Link, Netlink } from '../../platform/net/netlink.ts';
import { Poller, Wake } from '../../platform/poll.ts';
import { openTun, tunFromFd, type Tun } from '../../platform/tun.ts';
import { ReceiveSlot } from '../../platform/net/udp.ts';
import { GenerationWatch } from '../../platform/vmgenid.ts';
import { Device, type DeviceOptions } from '../../wireguard/device.ts';
import { Endpoint } from '../../wireguard/peer/endpoint.ts';
import { Counters } from './counters.ts';
import type { CipherSeed } from './offload/cipherworker.ts';
import { SessionGate } from './sessiongate.ts';
import type { DataplaneOptions, DataplaneSeed } from './options.ts';
import { Loop, type PathState } from './loop.ts';
import type { Command, WorkerEvent } from './commands.ts';
import { DataplaneOutbox } from './outbox.ts';
import { makePathState } from './pathstate.ts';
import { portableProviders, preparePortable } from '../portableproviders.ts';
import type { CipherThread } from './offload/cipherthread.ts';
import { Warmup } from './warmup/warmup.ts';
import { Sessions } from './sessionclock.ts';
import { Sockets } from './sockets.ts';

/** Arena: batch (192 KiB), receive slot, segmenter spill, iovecs and small structures, with room to spare. */
const arenaPages = 32; // 2 MiB
/** With a cipher thread, four batches and slots. */
const arenaPagesOfTwo = 64;
const defaultMtu = 1420;
/** The longest wait; after it the next one begins. */
const longestMs = 3_600_000;
/**
 * The warm-up keeps out of the way so long after the start, a command, a packet or news of the link. What comes then must be
 * answered at once: a peer's handshake that finds the port not yet open is not sent again for five seconds.
 */
const breakMs = 100;
/**
 * After a silence this long a packet is taken to be alone: it is read and handled before a second read is tried. If there is
 * one, the next wait ends at once.
 */
const loneMs = 0.3;

export class Dataplane {
  readonly #port: MessagePort;
  readonly #clock: Clock;
  readonly #poller: Poller;
  readonly #wake: Wake;
  readonly #netlink: Netlink;
  readonly #tun: Tun;
  readonly #sockets: Sockets;
  readonly #device: Device;
  readonly #segmenter: Segmenter;
  readonly #batches: readonly SendBatch[];
  readonly #cipherThread: CipherThread | null;
  readonly #counters: Counters;
  readonly #gate: SessionGate;
  readonly #loop: Loop;
  readonly #wakeBit: number;
  readonly #tunBit: number;
  readonly #linkBit: number;
  readonly #routeBit: number;
  readonly #generation: GenerationWatch | null;
  readonly #generationBit: number;
  readonly #packetBits: number;
  readonly #warmup: Warmup | null;
  #playFrom = 0;
  #linkIndex = 0;
  #isMoved = false;
  /** The end of the latest turn. */
  #now = 0;

  private constructor(seed: DataplaneSeed, libc: Libc, memory: Memory, cipherThread: CipherThread | null) {
    const { options } = seed;
    const { arena } = libc;
    this.#port = seed.port;
    this.#cipherThread = cipherThread;
    this.#clock = new Clock(libc);
    this.#counters = new Counters();
    const crypto = chooseCrypto(libc, () => portableProviders(arena, memory), options.crypto);
    this.#tun = openInterface(libc, options);
    const offload = options.offload !== 'off';

    this.#poller = new Poller(libc);
    this.#wake = new Wake(libc, seed.wakeFd);
    this.#wakeBit = this.#poller.add(seed.wakeFd);
    this.#tunBit = this.#poller.add(this.#tun.fd);
    this.#sockets = new Sockets(libc, this.#poller, offload);
    this.#packetBits = (1 << this.#tunBit) | (1 << this.#sockets.bit4) | (1 << this.#sockets.bit6);
    this.#netlink = new Netlink(libc);
    this.#linkBit = this.#poller.add(this.#netlink.watchLinks());
    this.#routeBit = this.#poller.add(this.#netlink.watchRoutes());
    this.#generation = GenerationWatch.open(libc);
    this.#generationBit = this.#poller.add(this.#generation?.fd ?? -1);

    const deviceOptions: DeviceOptions = {
      arena,
      crypto: cipherThread === null ? crypto : cipherThread.lending(crypto),
      random: out => void globalThis.crypto.getRandomValues(out),
      wallMs: () => this.#clock.wallMs(),
      ...(options.maxPeers !== undefined && { maxPeers: options.maxPeers }),
    };
    this.#device = new Device(deviceOptions);
    const mtu = options.mtu ?? defaultMtu;
    this.#device.mtu = mtu;
    const { checksum, ...shared } = makePathState(libc, memory, mtu);
    shared.coalescer.udp = this.#tun.offloads.uso4;
    this.#segmenter = shared.segmenter;
    const slots = [shared.slot];
    const batches = [shared.batch];
    while (batches.length < (cipherThread?.lanes ?? 1)) {
      slots.push(new ReceiveSlot(libc, new Endpoint()));
      batches.push(new SendBatch(arena));
    }
    this.#batches = batches;
    const out = new DataplaneOutbox(this.#sockets, this.#counters);
    const post = (event: WorkerEvent): void => this.#port.postMessage(event);
    const sessions = new Sessions(options.maxPeers);
    this.#gate = new SessionGate({
      ifname: this.#tun.name,
      device: this.#device,
      sessions,
      sockets: this.#sockets,
      out,
      wallMs: () => this.#clock.wallMs(),
      interfaceIndex: name => this.#netlink.interfaceIndex(name),
      counters: () => this.#counters.read(this.#offloads(), crypto.name, cipherThread === null ? 1 : 2),
      post,
    });
    const parts: PathState = {
      ...shared,
      device: this.#device,
      tun: this.#tun,
      sockets: this.#sockets,
      counters: this.#counters,
      out,
    };
    const lost = (): void => this.#log('warn', 'the cipher thread does not answer: going on with one');
    this.#loop = cipherThread === null ? new Loop(parts) : cipherThread.loop(parts, batches, slots, lost);
    // The loop of two threads is another one, and would need its own warm-up. This one has a time of its own, so what
    // remembers times must not be shared with it.
    const played = { ...parts, unreachable: new Unreachable(arena, checksum) };
    this.#warmup =
      cipherThread === null ? Warmup.open(libc, this.#tun, offload, played, deviceOptions) : null;
    out.writePacket = (at, bytes) => this.#loop.writePlain(at, bytes);
    out.handleEvent = event => this.#gate.deviceEvent(this.#clock.bootMs(), event);

    if (options.mtu !== undefined || options.linkUp === true) this.#netlink.setMtu(this.#tun.name, mtu);
    if (options.linkUp === true) this.#netlink.linkUp(this.#tun.name);
    this.#followLink(this.#clock.bootMs());
    this.#port.postMessage({
      ready: {
        ifname: this.#tun.name,
        ffi: libc.ffi.name,
        crypto: crypto.name,
        vnetHeader: this.#tun.vnetHeader,
      },
    });
  }

  static async open(seed: DataplaneSeed): Promise<Dataplane> {
    const ffi = await loadFfi(seed.options.ffi);
    await preparePortable(seed.options.crypto);
    const isTwo = seed.options.threads === 2;
    const pages = isTwo ? arenaPagesOfTwo : arenaPages;
    const memory = newMemory(pages, true);
    const arena = new Arena(memory.buffer);
    const cipherThread = isTwo
      ? await (await import('./offload/cipherthread.ts')).startCipherThread(arena, memory, seed.options)
      : null;
    const libc = new Libc(ffi, arena);
    libc.largePages();
    return new Dataplane(seed, libc, memory, cipherThread);
  }

  /** Until told to stop, or until the interface is deleted. */
  run(): void {
    const warmup = this.#warmup;
    this.#now = this.#clock.bootMs();
    this.#playFrom = this.#now + breakMs;
    let goesOn = true;
    let isPlaying = warmup !== null;
    for (let turn = 0; goesOn;) {
      const breakLeftMs = isPlaying ? this.#playFrom - this.#now : longestMs;
      if (breakLeftMs > 0) goesOn = this.#turn(0, breakLeftMs);
      else {
        // Between two turns of the warm-up one of the real thing, which ends at once and sees input where there may be none.
        isPlaying = warmup!.play();
        this.#wake.signal();
        goesOn = this.#turn(turn++ % 64 === 0 ? ~0 : this.#packetBits, 0);
      }
    }
    if (isPlaying) warmup!.close();
    this.#close(this.#now);
  }

  /** Waits, at most so long, and does what there is to do, and what `extra` says. False at the end. */
  #turn(extra: number, limitMs: number): boolean {
    const gate = this.#gate;
    const polled = this.#poller.wait(Math.min(gate.nextDeadline - this.#now, limitMs));
    const mask = polled | extra;
    const started = this.#clock.bootMs();
    const isLone = started - this.#now > loneMs;
    // Stored whatever comes: a store that the warm-up has not seen would throw away the code that it compiled.
    this.#playFrom = (polled & ~(1 << this.#wakeBit)) !== 0 ? started + breakMs : this.#playFrom;
    if (this.#clock.woke(started)) this.#forgetKeys(started);
    if ((mask & (1 << this.#generationBit)) !== 0 && this.#generation?.changed() === true) this.#beCopy();
    if ((mask & (1 << this.#wakeBit)) !== 0) this.#serve(started);
    if ((mask & (1 << this.#tunBit)) !== 0 && !this.#loop.outbound(started, isLone)) return false;
    const { v4, v6, bit4, bit6 } = this.#sockets;
    if ((mask & (1 << bit4)) !== 0) this.#loop.inbound(started, v4, isLone);
    if ((mask & (1 << bit6)) !== 0) this.#loop.inbound(started, v6, isLone);
    if ((mask & (1 << this.#linkBit)) !== 0 && !this.#followLink(started)) return false;
    if ((mask & (1 << this.#routeBit)) !== 0) this.#forgetSources();
    const now = (this.#now = this.#clock.bootMs());
    gate.poll(now);
    if (now - started > this.#counters.loopLagMs) this.#counters.loopLagMs = now - started;
    return !gate.stopping;
  }

  #serve(now: number): void {
    this.#wake.drain();
    for (
      let next = receiveMessageOnPort(this.#port);
      next !== undefined;
      next = receiveMessageOnPort(this.#port)
    ) {
      const { id, command } = next.message as { id: number; command: Command };
      this.#playFrom = now + breakMs;
      try {
        this.#port.postMessage({ id, result: this.#gate.run(now, command) });
      } catch (error) {
        const code = error instanceof PlainError ? error.code : 'internal';
        const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.#port.postMessage({ id, error: { code, message } });
      }
    }
  }

  /** The device follows its link, as a kernel interface would: up, down, MTU. False when the interface is gone (L6). */
  #followLink(now: number): boolean {
    this.#netlink.drainLinks();
    const link = this.#ownLink();
    if (link === 'gone') return false;
    if (link === 'moved') {
      // Its state cannot be read from here. Reading packets shows it up; while it is down there are none.
      if (!this.#device.isUp) this.#openSockets(now);
      return true;
    }
    if (link.mtu !== this.#segmenter.mtu) {
      this.#segmenter.mtu = link.mtu;
      this.#device.mtu = link.mtu;
    }
    if (link.isUp && !this.#device.isUp) this.#openSockets(now);
    else if (!link.isUp && this.#device.isUp) this.#gate.down(now);
    return true;
  }

  #openSockets(now: number): void {
    const errno = this.#gate.up(now);
    if (errno === 0) for (const batch of this.#batches) batch.maxSegments = this.#sockets.maxSegments;
    if (errno < 0)
      this.#log('error', `cannot open UDP port ${this.#sockets.port}: in use; choose another listen port`);
  }

  /** The interface may be renamed, and moved to another network namespace; the sockets stay where they were made. */
  #ownLink(): Link | 'moved' | 'gone' {
    const name = this.#tun.currentName();
    if (name === null) return 'gone';
    const link = this.#netlink.link(name);
    // Another interface can have the name here after a move.
    const isOwn = link !== null && (this.#linkIndex === 0 || link.index === this.#linkIndex);
    if (!isOwn && !this.#isMoved)
      this.#log('info', `${name} is in another network namespace now: its MTU is not followed there`);
    this.#isMoved = !isOwn;
    if (!isOwn) return 'moved';
    this.#linkIndex = link.index;
    return link;
  }

  /** The machine slept: its memory may have been written to a disk, and what was due then is due now, before any packet (T18). */
  #forgetKeys(now: number): void {
    this.#device.wipeSessions();
    this.#gate.poll(now);
    this.#log('info', 'the machine slept: session keys are wiped, the next packet starts a handshake');
  }

  /** Another copy of this machine has the same keys and counters: nothing more is sealed with them (T18). */
  #beCopy(): void {
    this.#device.expireSendKeys();
    this.#log(
      'warn',
      'this machine was restored or cloned: no packet is sealed any more with the keys from before',
    );
  }

  /** Routes or addresses changed: the next packet of each peer tells anew where it reaches us (E2). */
  #forgetSources(): void {
    this.#netlink.drainRoutes();
    for (const peer of this.#device.peers()) peer.endpoint.clearSource();
  }

  #offloads(): string[] {
    const tun = this.#tun.offloads;
    const udp = this.#sockets.v4 ?? this.#sockets.v6;
    const names = Object.entries(tun).flatMap(([name, on]) => (on ? [name] : []));
    if (udp?.gso === true) names.push('gso');
    if (udp?.gro === true) names.push('gro');
    return names;
  }

  #log(level: 'error' | 'warn' | 'info' | 'debug', message: string): void {
    this.#port.postMessage({ ev: 'log', level, message } satisfies WorkerEvent);
  }

  #close(now: number): void {
    if (!this.#gate.stopping) this.#gate.run(now, { op: 'stop' });
    this.#cipherThread?.stop();
    this.#netlink.close();
    this.#generation?.close();
    this.#tun.close();
    this.#poller.close();
    this.#port.postMessage({ ev: 'closed' } satisfies WorkerEvent);
    this.#port.close();
  }
}

function openInterface(libc: Libc, options: DataplaneOptions): Tun {
  if (options.tunFd !== undefined) return tunFromFd(libc, options.tunFd);
  return openTun(libc, {
    name: options.ifname,
    offload: options.offload !== 'off',
    ...(options.tunDevice !== undefined && { device: options.tunDevice }),
  });
}

async function start(seed: DataplaneSeed): Promise<void> {
  let plane: Dataplane;
  try {
    plane = await Dataplane.open(seed);
  } catch (error) {
    const code = error instanceof PlainError ? error.code : 'internal';
    const message = error instanceof PlainError ? error.message : String((error as Error).stack ?? error);
    seed.port.postMessage({ failed: { code, message } });
    seed.port.close();
    return;
  }
  plane.run();
}

const seed = workerData as Partial<DataplaneSeed & CipherSeed> | null;
if (!isMainThread && seed?.sallyportDataplane === true) void start(seed as DataplaneSeed);
// The cipher thread starts in this file too, because the bundle is one file.
else if (!isMainThread && seed?.sallyportCipher === true)
  void import('./offload/cipherworker.ts').then(({ serve }) => serve(seed as CipherSeed));
