// The control plane's end of the line to the data-plane worker. Requests go over a MessagePort, each followed by a write to an
// eventfd, because the worker blocks in epoll_wait and runs no event loop. Answers and events come back over the same port, which
// needs no event loop on the sender's side.

import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { PlainError } from '../../util/errors.ts';
import { Arena } from '../../util/arena.ts';
import { newMemory } from '../../util/memory.ts';
import { findRoute } from '../../platform/ffi/route.ts';
import { Wake } from '../../platform/poll.ts';
import { Libc } from '../../platform/libc.ts';
import { trimMemory } from '../../platform/trim.ts';
import type { Command, CommandResult, Dataplane, WorkerEvent } from './commands.ts';
import type { DataplaneOptions, DataplaneReady, DataplaneSeed } from './options.ts';

/** Start-up, and the first login to Core, are over by then. */
const trimAfterMs = 2000;

type Answer = {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { code: string; message: string };
};
type Pending = { resolve(result: unknown): void; reject(error: Error): void };

export class DataplaneClient implements Dataplane {
  readonly ready: DataplaneReady;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #wake: () => void;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  readonly closed: Promise<number>;
  #nextId = 1;
  #gone = false;

  constructor(worker: Worker, port: MessagePort, wake: () => void, ready: DataplaneReady) {
    this.#worker = worker;
    this.#port = port;
    this.#wake = wake;
    this.ready = ready;
    port.on('message', (message: Answer | WorkerEvent) => this.#receive(message));
    this.closed = new Promise(resolve => {
      worker.on('error', error => {
        this.#emit({
          ev: 'fatal',
          message: error instanceof Error ? (error.stack ?? error.message) : String(error),
        });
      });
      worker.on('exit', code => {
        this.#gone = true;
        for (const pending of this.#pending.values()) pending.reject(gone());
        this.#pending.clear();
        port.close();
        resolve(code);
      });
    });
  }

  request<C extends Command>(command: C): Promise<CommandResult[C['op']]> {
    if (this.#gone) return Promise.reject(gone());
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve: result => resolve(result as CommandResult[C['op']]), reject });
      this.#port.postMessage({ id, command });
      this.#wake();
    });
  }

  onEvent(listener: (event: WorkerEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async stop(): Promise<void> {
    if (this.#gone) return;
    const timer = setTimeout(() => void this.#worker.terminate(), 2000);
    await this.request({ op: 'stop' }).catch(() => undefined);
    await this.closed;
    clearTimeout(timer);
  }

  #receive(message: Answer | WorkerEvent): void {
    if ('ev' in message) return this.#emit(message);
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (message.error) pending?.reject(new PlainError(message.error.code, message.error.message));
    else pending?.resolve(message.result);
  }

  #emit(event: WorkerEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function gone(): PlainError {
  return new PlainError('dataplane-gone', 'the data plane has stopped: see the log line before this one');
}

/** Only the options: a worker's data must be cloneable. */
function plain(options: DataplaneOptions): DataplaneOptions {
  const known = [
    'ifname',
    'mtu',
    'tunDevice',
    'tunFd',
    'offload',
    'ffi',
    'crypto',
    'threads',
    'linkUp',
    'maxPeers',
  ] as const;
  return Object.fromEntries(known.map(name => [name, options[name]])) as unknown as DataplaneOptions;
}

/** Opens the TUN and starts the worker, or without FFI the plane of this thread; rejects with one clear line when it cannot. */
export async function startDataplane(
  options: DataplaneOptions,
): Promise<Dataplane & { readonly ready: DataplaneReady }> {
  const ffi = await findRoute(options.ffi, options.tunFd);
  if (ffi === null) return (await import('./noffi/inherited.ts')).startInherited(options);
  const memory = newMemory(1, true);
  const libc = new Libc(ffi, new Arena(memory.buffer));
  const wake = new Wake(libc);
  const { port1, port2 } = new MessageChannel();
  const seed: DataplaneSeed = {
    sallyportDataplane: true,
    options: { ...plain(options), ffi: ffi.name },
    port: port2,
    wakeFd: wake.fd,
  };
  // From source the worker has its own module; the bundle is one file and starts itself again.
  const here = import.meta.url;
  const entry = here.endsWith('.ts') ? new URL('./worker.ts', here) : new URL(here);
  const worker = new Worker(entry, { workerData: seed, transferList: [port2], stderr: false, stdout: false });
  const ready = await new Promise<DataplaneReady>((resolve, reject) => {
    const failed = (error: unknown): void => {
      port1.close();
      wake.close();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    worker.once('error', failed);
    port1.once('message', (first: { ready?: DataplaneReady; failed?: { code: string; message: string } }) => {
      worker.off('error', failed);
      if (first.ready) resolve(first.ready);
      else
        failed(
          new PlainError(first.failed?.code ?? 'dataplane', first.failed?.message ?? 'data plane failed'),
        );
    });
  });
  const link = new DataplaneClient(worker, port1, () => wake.signal(), ready);
  void link.closed.then(() => wake.close());
  setTimeout(() => trimMemory(ffi), trimAfterMs).unref();
  return link;
}
