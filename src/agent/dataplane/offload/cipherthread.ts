// The cipher thread, as the data plane that owns it sees it: started before the first packet, stopped after the last.

import { Worker } from 'node:worker_threads';
import type { SendBatch } from '../../../datapath/batch.ts';
import type { Arena } from '../../../util/arena.ts';
import { errorText, PlainError } from '../../../util/errors.ts';
import type { Memory } from '../../../util/memory.ts';
import type { CryptoProvider } from '../../../wireguard/primitives/provider.ts';
import { type CipherSeed, workspaceBytes } from './cipherworker.ts';
import { PipelinedLoop, lanes } from './pipelinedloop.ts';
import { JobRing } from './jobring.ts';
import { lending } from './lentcipher.ts';
import type { DataplaneSeed } from '../options.ts';
import type { PathState } from '../loop.ts';
import type { Slot } from '../ports.ts';

export class CipherThread {
  readonly lanes: number = lanes;
  readonly jobs: JobRing;
  readonly #worker: Worker;
  #settle: () => void = () => undefined;

  constructor(jobs: JobRing, worker: Worker) {
    this.jobs = jobs;
    this.#worker = worker;
  }

  /** The data plane's ciphers, in a form that batches can be handed over with. */
  lending(crypto: CryptoProvider): CryptoProvider {
    return lending(crypto, () => this.#settle());
  }

  loop(
    parts: PathState,
    batches: readonly SendBatch[],
    slots: readonly Slot[],
    lost: () => void,
  ): PipelinedLoop {
    const abandon = (): void => {
      void this.#worker.terminate(); // a thread that is given up must not keep a key
      lost();
    };
    const loop = new PipelinedLoop({ ...parts, jobs: this.jobs, batches, slots, lost: abandon });
    this.#settle = () => loop.settle();
    return loop;
  }

  stop(): void {
    this.jobs.stop();
  }
}

export async function startCipherThread(
  arena: Arena,
  memory: Memory,
  options: DataplaneSeed['options'],
): Promise<CipherThread> {
  const at = JobRing.room(arena);
  const seed: CipherSeed = {
    sallyportCipher: true,
    memory,
    jobs: at,
    workspace: arena.alloc(workspaceBytes),
    ffi: options.ffi,
    crypto: options.crypto ?? 'auto',
  };
  const here = import.meta.url;
  const entry = here.endsWith('.ts') ? new URL('../worker.ts', here) : new URL(here);
  const worker = new Worker(entry, { name: 'cipher', workerData: seed, stderr: false, stdout: false });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', error =>
      reject(new PlainError('cipher', `the cipher thread does not start: ${errorText(error)}`)),
    );
  });
  worker.unref();
  return new CipherThread(new JobRing(arena, at), worker);
}
