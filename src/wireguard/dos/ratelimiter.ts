// Limits handshakes under load (M9; the kernel's ratelimiter.c): 20 a second, burst 5, per IPv4 address or IPv6 /64, after a valid
// mac2. A fixed set-associative table: memory does not grow with the number of sources. A bucket idle for 250 ms is full again, so
// its place may be reused; when a set is full of live buckets, a new source is refused.

import type { Endpoint } from '../peer/endpoint.ts';

const perSecond = 20;
const burst = 5;
const costMs = 1000 / perSecond;
const fullMs = costMs * burst;
const ways = 8;

export class RateLimiter {
  readonly #seed: number;
  readonly #mask: number;
  readonly #keyHigh: Int32Array;
  readonly #keyLow: Int32Array;
  readonly #family: Uint8Array; // 0 = never used
  readonly #credit: Float64Array; // milliseconds saved up, at `#last`
  readonly #last: Float64Array;

  /** `seed` is 32 random bits, so that an attacker cannot aim at one set; `capacity` is a power of two. */
  constructor(seed: number, capacity = 8192) {
    this.#seed = seed | 0;
    this.#mask = capacity / ways - 1;
    this.#keyHigh = new Int32Array(capacity);
    this.#keyLow = new Int32Array(capacity);
    this.#family = new Uint8Array(capacity);
    this.#credit = new Float64Array(capacity);
    this.#last = new Float64Array(capacity);
  }

  /** Whether one more handshake from this source may be worked on; takes the token. */
  allow(now: number, from: Endpoint): boolean {
    const a = from.address;
    const high = (a[0]! << 24) | (a[1]! << 16) | (a[2]! << 8) | a[3]!;
    const low = from.family === 6 ? (a[4]! << 24) | (a[5]! << 16) | (a[6]! << 8) | a[7]! : 0;

    const set = (mix(mix(high ^ this.#seed) ^ low ^ from.family) & this.#mask) * ways;
    let free = -1;
    for (let at = set; at < set + ways; at++) {
      const idle = now - this.#last[at]!;
      const known = this.#family[at]! !== 0;
      if (
        known &&
        this.#keyHigh[at] === high &&
        this.#keyLow[at] === low &&
        this.#family[at] === from.family
      ) {
        const credit = Math.min(fullMs, this.#credit[at]! + idle);
        this.#last[at] = now;
        this.#credit[at] = credit < costMs ? credit : credit - costMs;
        return credit >= costMs;
      }
      if (!known || idle >= fullMs) free = at;
    }
    if (free < 0) return false;
    this.#keyHigh[free] = high;
    this.#keyLow[free] = low;
    this.#family[free] = from.family;
    this.#last[free] = now;
    this.#credit[free] = fullMs - costMs;
    return true;
  }
}

/** murmur3's finaliser: every input bit reaches every output bit. */
function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}
