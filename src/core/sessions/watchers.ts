// The clients that watch a session while it lives: a few for each session, so that the table is bounded.

import type { SessionEvent } from '../../control/clientapi/bodies.ts';

export type Watcher = (event: SessionEvent) => void;

const perSession = 8;

export class Watchers {
  readonly #all = new Map<string, Set<Watcher>>();

  /** Returns the function that stops watching, or null when too many watch already. */
  add(id: string, watcher: Watcher): (() => void) | null {
    const watchers = this.#all.get(id) ?? new Set();
    if (watchers.size >= perSession) return null;
    watchers.add(watcher);
    this.#all.set(id, watchers);
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0 && this.#all.get(id) === watchers) this.#all.delete(id);
    };
  }

  /** A listener may stop watching, or start another, while it is told. */
  tell(id: string, event: SessionEvent): void {
    for (const watcher of [...(this.#all.get(id) ?? [])]) watcher(event);
  }

  /** Nothing more will come. */
  forget(id: string): void {
    this.#all.delete(id);
  }
}
