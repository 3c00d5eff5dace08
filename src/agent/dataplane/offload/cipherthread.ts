// The second thread, as the data plane that owns it sees it: started before the first packet, stopped after the last.

import { Worker } from 'node:worker_threads';
import type { SendBatch } from '../../../datapath/batch.ts';
import type { Arena } from '../../../util/arena.ts';
import { errorText, PlainError } from '../../../util/errors.ts';
import type { CryptoProvider } from '../../../wireguard/primitives/provider.ts';
import { type CryptorSeed, workspaceBytes } from './cipherworker.ts';
import { HandoffLoop, lanes } from './pipelinedloop.ts';
import { Jobs } from './jobring.ts';
import { keeping } from './lentcipher.ts';
import type { DataplaneSeed } from '../options.ts';
import type { LoopParts } from '../loop.ts';
import type { Slot } from '../ports.ts';

export class Second {
  readonly lanes: number = lanes;
  readonly jobs: Jobs;
  readonly #worker: Worker;
  #settle: () => void = () => undefined;

  constructor(jobs: Jobs, worker: Worker) {
    this.jobs = jobs;
    this.#worker = worker;
  }

  /** The data plane's ciphers, in a form that can be lent. */
  keeping(crypto: CryptoProvider): CryptoProvider {
    return keeping(crypto, () => this.#settle());
  }

  loop(
    parts: LoopParts,
    batches: readonly SendBatch[],
    slots: readonly Slot[],
    lost: () => void,
  ): HandoffLoop {
    const abandon = (): void => {
      void this.#worker.terminate(); // whatever it does, it must not keep a key
      lost();
    };
    const loop = new HandoffLoop({ ...parts, jobs: this.jobs, batches, slots, lost: abandon });
    this.#settle = () => loop.settle();
    return loop;
  }

  stop(): void {
    this.jobs.stop();
  }
}

export async function startSecond(
  arena: Arena,
  memory: WebAssembly.Memory,
  options: DataplaneSeed['options'],
): Promise<Second> {
  const at = Jobs.room(arena);
  const seed: CryptorSeed = {
    sallyportCryptor: true,
    memory,
    jobs: at,
    workspace: arena.alloc(workspaceBytes),
    ffi: options.ffi,
    crypto: options.crypto ?? 'auto',
  };
  const here = import.meta.url;
  const entry = here.endsWith('.ts') ? new URL('../worker.ts', here) : new URL(here);
  const worker = new Worker(entry, { name: 'cryptor', workerData: seed, stderr: false, stdout: false });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', error =>
      reject(new PlainError('cryptor', `the second thread does not start: ${errorText(error)}`)),
    );
  });
  worker.unref();
  return new Second(new Jobs(arena, at), worker);
}
