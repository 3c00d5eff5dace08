// Memory for an arena: WebAssembly's where the runtime has it, so that its code can work there, plain bytes elsewhere
// (`node --jitless`).

export interface Memory {
  readonly buffer: ArrayBufferLike;
}

const pageBytes = 65_536;

/** False under `node --jitless`, and wherever memory must not be writable and executable. */
export const hasWebAssembly: boolean = typeof WebAssembly === 'object';

/** `pages` of 64 KiB that never grow; shared memory can be given to another thread. */
export function newMemory(pages: number, isShared: boolean): Memory {
  if (hasWebAssembly) return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: isShared });
  const bytes = pages * pageBytes;
  return { buffer: isShared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes) };
}
