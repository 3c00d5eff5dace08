// Requests that were answered, by path and status, and how long they took: bounded, because paths are those that are served.

import { histogram, type Sample } from '../prometheus.ts';

const boundsSeconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class RequestCounts {
  readonly #counts = new Map<string, { path: string; status: string; count: number }>();
  readonly #buckets = boundsSeconds.map(() => 0).concat(0);
  #sum = 0;

  add(path: string, status: string, seconds: number): void {
    const key = `${path} ${status}`;
    const entry = this.#counts.get(key) ?? { path, status, count: 0 };
    entry.count++;
    this.#counts.set(key, entry);
    const at = boundsSeconds.findIndex(bound => seconds <= bound);
    this.#buckets[at < 0 ? boundsSeconds.length : at]!++;
    this.#sum += seconds;
  }

  samples(): Sample[] {
    return [...this.#counts.values()].map(({ path, status, count }) => ({
      labels: { path, status },
      value: count,
    }));
  }

  seconds(): Sample[] {
    return histogram({ bounds: boundsSeconds, counts: this.#buckets, sum: this.#sum });
  }
}
