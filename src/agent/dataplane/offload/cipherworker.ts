// The cipher thread of a data plane that was given two (`threads = 2`). It seals and opens what `jobring.ts` hands
// it and knows nothing else: no peer, no counter, no socket, no clock. It has a key only while it works on a job under that
// key, so nothing has to be told to it when a session ends.

import { parentPort } from 'node:worker_threads';
import { Arena } from '../../../util/arena.ts';
import type { Memory } from '../../../util/memory.ts';
import { atEnd } from '../../../util/scope.ts';
import { chooseCrypto } from '../../../platform/crypto/choose.ts';
import type { FfiName } from '../../../platform/ffi/ffi.ts';
import { loadFfi } from '../../../platform/ffi/load.ts';
import { Libc } from '../../../platform/libc.ts';
import type { CryptoProvider } from '../../../wireguard/primitives/provider.ts';
import { JobRing } from './jobring.ts';
import { portableProviders, preparePortable } from '../../portableproviders.ts';

export interface CipherSeed {
  readonly sallyportCipher: true;
  readonly memory: Memory;
  /** Offset of the jobs, and of `workspaceBytes` that no other thread touches. */
  readonly jobs: number;
  readonly workspace: number;
  readonly ffi: FfiName | 'auto';
  /** As for the data plane. */
  readonly crypto: string;
}

export const workspaceBytes: number = 64 << 10;

/** Works until told to stop. */
export function work(jobs: JobRing, crypto: Pick<CryptoProvider, 'aead'>): void {
  const key = new Uint8Array(new ArrayBuffer(32)); // beside the heap, where no collector makes copies of it
  for (let job = jobs.next(key); job !== null; job = jobs.next(key)) {
    let ok = false;
    try {
      const aead = crypto.aead(key);
      try {
        job.run(aead);
        ok = true;
      } finally {
        aead.destroy();
      }
    } finally {
      key.fill(0);
      jobs.finish(job, ok ? 'done' : 'failed');
    }
  }
}

/** The whole life of the worker. */
export async function serve(seed: CipherSeed): Promise<void> {
  const ffi = await loadFfi(seed.ffi);
  await preparePortable(seed.crypto);
  const { memory } = seed;
  const arena = new Arena(memory.buffer, seed.workspace);
  const jobs = new JobRing(arena, seed.jobs);
  using _end = atEnd(() => jobs.leave());
  const crypto = chooseCrypto(new Libc(ffi, arena), () => portableProviders(arena, memory), seed.crypto);
  if (arena.alloc(0) > seed.workspace + workspaceBytes) throw new Error('the workspace is too small');
  parentPort?.postMessage('ready');
  work(jobs, crypto);
}
