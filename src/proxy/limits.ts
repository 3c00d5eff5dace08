// How much one source may ask: a token bucket per address, in a table of bounded size. Pure: time is an
// argument. When the table is full the longest-quiet entry goes, so a flood of sources costs memory only up to the bound.

import { sourceNetwork } from '../util/inet.ts';

interface Bucket {
  tokens: number;
  at: number;
}

export interface LimitRule {
  readonly perSecond: number;
  readonly burst: number;
  readonly sourcesMax: number;
}

/** 200 people behind one address log in within ten seconds, with three requests each. */
export const publicRule: LimitRule = { perSecond: 40, burst: 600, sourcesMax: 16_384 };

export class Limits {
  readonly #rule: LimitRule;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rule: LimitRule = publicRule) {
    this.#rule = rule;
  }

  /** True when the source may go on. `now` in milliseconds of any steady clock. */
  take(source: string, now: number): boolean {
    const key = sourceNetwork(source);
    const { perSecond, burst, sourcesMax } = this.#rule;
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now };
    // Re-inserting keeps the map in the order of last use.
    this.#buckets.delete(key);
    if (this.#buckets.size >= sourcesMax) this.#buckets.delete(this.#buckets.keys().next().value!);
    const tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
    const enough = tokens >= 1;
    this.#buckets.set(key, { tokens: enough ? tokens - 1 : tokens, at: now });
    return enough;
  }

  get size(): number {
    return this.#buckets.size;
  }
}
