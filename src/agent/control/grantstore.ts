// What the gateway remembers about grants over a restart: per device the highest epoch and the sealed grant in force, and the
// ends that Core has not noted yet. PSKs are in it only as Core sealed them. An acknowledgement leaves this machine after
// what it acknowledges is on the disk, so a revoked grant cannot come back with a power cut.

import type { HeldGrant } from '../../control/trust/grant.ts';
import { grantMaxBytes } from '../../control/trust/grant.ts';
import type { Counters } from '../../control/clientapi/words.ts';
import { type EndReason, endReasons } from '../../control/clientapi/reasons.ts';
import {
  boolean,
  count,
  id,
  integer,
  key32,
  list,
  literal,
  object,
  optional,
  type Shape,
  string,
  time,
} from '../../control/validate.ts';
import { readState, writeState } from './statefile.ts';

/** Times are unix milliseconds by Core's clock. */
export interface StoredGrant {
  readonly device: string;
  readonly id: string;
  readonly epoch: number;
  readonly live: boolean;
  /** The signed text; only while live. */
  readonly grant?: string;
  /** When the lease runs out, 0 without one. */
  readonly until: number;
  /** When it ended; the epoch is remembered for as long as an older grant could still be valid. */
  readonly endedAt: number;
}

/** The end of a session, repeated to Core until it is noted. */
export interface EndReport {
  readonly id: string;
  readonly reason: EndReason;
  readonly counters: Counters;
  readonly sinceHandshakeMs: number;
  readonly endpoint?: string;
}

const storedGrant: Shape<StoredGrant> = object({
  device: key32,
  id,
  epoch: count,
  live: boolean,
  grant: optional(string(grantMaxBytes, 1)),
  until: time,
  endedAt: time,
});

const endReport: Shape<EndReport> = object({
  id,
  reason: literal(...endReasons),
  counters: object({ rx: count, tx: count, handshakes: count }),
  sinceHandshakeMs: count,
  endpoint: optional(string(64)),
});

const maxDevices = 131_072;
const maxReports = 10_000;

const fileShape = object({
  v: literal(1),
  agentId: id,
  seenAt: integer(0, 9_000_000_000_000),
  grants: list(storedGrant, maxDevices),
  reports: list(endReport, maxReports),
});

export interface GrantStoreOptions {
  readonly path: string;
  readonly agentId: string;
  readonly warn: (message: string) => void;
  /** Replaced in tests. */
  readonly write?: (path: string, content: unknown) => Promise<void>;
}

export class GrantStore {
  readonly #options: GrantStoreOptions;
  readonly #grants = new Map<string, StoredGrant>();
  readonly #reports = new Map<string, EndReport>();
  #live = 0;
  #seenAt = 0;
  #isDirty = false;
  #writing: Promise<void> | null = null;

  private constructor(options: GrantStoreOptions) {
    this.#options = options;
  }

  static load(options: GrantStoreOptions): GrantStore {
    const store = new GrantStore(options);
    const stored = readState(options.path, fileShape, options.warn);
    if (stored === null) return store;
    store.#seenAt = stored.seenAt;
    // After a new enrolment the grants of the old one are worth nothing.
    if (stored.agentId !== options.agentId) return store;
    for (const grant of stored.grants) store.put(grant);
    for (const report of stored.reports) store.#reports.set(report.id, report);
    store.#isDirty = false;
    return store;
  }

  /** The latest time of Core's clock this gateway has lived through. */
  get seenAt(): number {
    return this.#seenAt;
  }

  get liveCount(): number {
    return this.#live;
  }

  held(device: string): HeldGrant | undefined {
    return this.#grants.get(device);
  }

  of(device: string): StoredGrant | undefined {
    return this.#grants.get(device);
  }

  live(): StoredGrant[] {
    return [...this.#grants.values()].filter(grant => grant.live);
  }

  put(grant: StoredGrant): void {
    const before = this.#grants.get(grant.device);
    this.#live += Number(grant.live) - Number(before?.live ?? false);
    this.#grants.set(grant.device, grant);
    this.#isDirty = true;
  }

  /** Remembers the epoch and forgets the seal. Does nothing for another grant of the device. */
  end(device: string, grantId: string, now: number): void {
    const held = this.#grants.get(device);
    if (held?.id !== grantId || !held.live) return;
    const { grant: _sealed, ...rest } = held;
    this.put({ ...rest, live: false, endedAt: now });
  }

  /** False when no live grant has this id. */
  renew(grantId: string, until: number): StoredGrant | null {
    for (const held of this.#grants.values()) {
      if (held.id !== grantId || !held.live) continue;
      const renewed = { ...held, until: Math.max(held.until, until) };
      this.put(renewed);
      return renewed;
    }
    return null;
  }

  report(report: EndReport): void {
    // Full only when Core was away for ten thousand logouts: the oldest are the least interesting then.
    if (this.#reports.size >= maxReports) this.#reports.delete(this.#reports.keys().next().value!);
    this.#reports.set(report.id, report);
    this.#isDirty = true;
  }

  noted(grantId: string): void {
    if (this.#reports.delete(grantId)) this.#isDirty = true;
  }

  reports(): EndReport[] {
    return [...this.#reports.values()];
  }

  /** Time goes on: forgets ended epochs that no valid grant can be older than. */
  see(now: number, maxLifeMs: number): void {
    if (now - this.#seenAt > 60_000) this.#isDirty = true;
    this.#seenAt = Math.max(this.#seenAt, now);
    for (const grant of this.#grants.values()) {
      if (!grant.live && grant.endedAt + maxLifeMs + 60_000 < now) this.#grants.delete(grant.device);
    }
  }

  /** Resolves when all that was changed before the call is on the disk; calls meanwhile share one write. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (!this.#isDirty) return;
    this.#isDirty = false;
    this.#writing = (this.#options.write ?? writeState)(this.#options.path, {
      v: 1,
      agentId: this.#options.agentId,
      seenAt: this.#seenAt,
      grants: [...this.#grants.values()],
      reports: [...this.#reports.values()],
    });
    try {
      await this.#writing;
    } catch (error) {
      this.#isDirty = true;
      throw error;
    } finally {
      this.#writing = null;
    }
  }
}
