// What the gateway remembers about grants over a restart: per device the highest epoch and the sealed grant in force, and the
// ends that Core has not noted yet. PSKs are in it only as Core sealed them. An acknowledgement leaves after what it acknowledges is on
// the disk, so a revoked grant cannot come back with a power cut. Changes go to a journal beside the file; decision 0042 tells more.

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
import { appendJournal, journalLine, readJournal } from './journal.ts';
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

/** Version 1 had no journal and was written anew for every change. */
const fileShape = object({
  v: literal(1, 2),
  agentId: id,
  seenAt: integer(0, 9_000_000_000_000),
  /** Lines of a journal with another number are older than this file. */
  journal: optional(count),
  grants: list(storedGrant, maxDevices),
  reports: list(endReport, maxReports),
});

const entryShape = object({
  journal: count,
  seenAt: integer(0, 9_000_000_000_000),
  grants: list(storedGrant, maxDevices),
  reports: list(endReport, maxReports),
  noted: list(id, maxReports),
});

/** A journal this long, and longer than the whole file was, is folded into the file. */
const journalMaxBytes = 1_048_576;
/** Seals of ended sessions leave the disk after this time at the latest. */
const sealsKeptMs = 3_600_000;

export interface GrantStoreOptions {
  readonly path: string;
  readonly agentId: string;
  readonly warn: (message: string) => void;
  /** Replaced in tests. */
  readonly write?: (path: string, content: unknown) => Promise<void>;
  readonly append?: (path: string, line: string, isFirst: boolean) => Promise<void>;
}

export class GrantStore {
  readonly #options: GrantStoreOptions;
  readonly #grants = new Map<string, StoredGrant>();
  readonly #reports = new Map<string, EndReport>();
  readonly #deviceOf = new Map<string, string>();
  /** What the next line of the journal takes. */
  readonly #changed = new Set<string>();
  readonly #reported = new Set<string>();
  readonly #noted = new Set<string>();
  #live = 0;
  #seenAt = 0;
  #isTimeDue = false;
  #writing: Promise<void> | null = null;
  #journal = 0;
  #journalBytes = 0;
  #wholeBytes = 0;
  /** The next flush writes the whole file and begins a journal. */
  #isWholeDue = true;
  /** Since when, by Core's clock, the disk has had a seal too many; 0 when it has none. */
  #sealsSince = 0;

  private constructor(options: GrantStoreOptions) {
    this.#options = options;
  }

  static load(options: GrantStoreOptions): GrantStore {
    const store = new GrantStore(options);
    const stored = readState(options.path, fileShape, options.warn);
    if (stored === null) return store;
    store.#seenAt = stored.seenAt;
    store.#journal = stored.journal ?? 0;
    const isOurs = stored.agentId === options.agentId;
    // After a new enrolment the grants of the old one are worth nothing.
    if (isOurs) store.#take(stored.grants, stored.reports);
    if (stored.journal !== undefined) store.#replay(isOurs);
    store.#clean();
    return store;
  }

  #replay(isOurs: boolean): void {
    const { path, warn } = this.#options;
    const { entries, trusted, damaged } = readJournal(journalPath(path), entryShape, warn);
    const isDamaged = damaged && entries.some(entry => entry.journal === this.#journal);
    for (const [index, entry] of entries.entries()) {
      // What is lost may have been the end of any session that was in force then.
      if (isDamaged && index === trusted) this.#endAll();
      if (entry.journal !== this.#journal) continue;
      this.#seenAt = Math.max(this.#seenAt, entry.seenAt);
      if (!isOurs) continue;
      this.#take(entry.grants, entry.reports);
      for (const grantId of entry.noted) this.#reports.delete(grantId);
    }
    if (isDamaged) warn(`${journalPath(path)} is damaged: sessions of before the damage need a new login`);
  }

  #take(grants: readonly StoredGrant[], reports: readonly EndReport[]): void {
    for (const grant of grants) this.put(grant);
    for (const report of reports) this.#reports.set(report.id, report);
  }

  #endAll(): void {
    for (const held of this.live()) this.end(held.device, held.id, this.#seenAt);
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
    if (before !== undefined && before.id !== grant.id) this.#deviceOf.delete(before.id);
    if (before?.live === true && (!grant.live || before.id !== grant.id))
      this.#sealsSince ||= this.#seenAt || 1;
    this.#live += Number(grant.live) - Number(before?.live ?? false);
    this.#grants.set(grant.device, grant);
    this.#deviceOf.set(grant.id, grant.device);
    this.#changed.add(grant.device);
  }

  /** Remembers the epoch and forgets the seal. Does nothing for another grant of the device. */
  end(device: string, grantId: string, now: number): void {
    const held = this.#grants.get(device);
    if (held?.id !== grantId || !held.live) return;
    const { grant: _sealed, ...rest } = held;
    this.put({ ...rest, live: false, endedAt: now });
  }

  /** Null when no live grant has this id. Writes nothing: after a restart Core's snapshot says it, or the last written lease holds. */
  renew(grantId: string, until: number): StoredGrant | null {
    const held = this.#grants.get(this.#deviceOf.get(grantId) ?? '');
    if (held?.id !== grantId || !held.live) return null;
    const renewed = { ...held, until: Math.max(held.until, until) };
    this.#grants.set(held.device, renewed);
    return renewed;
  }

  report(report: EndReport): void {
    // Full only when Core was away for ten thousand logouts: the oldest are the least interesting then.
    if (this.#reports.size >= maxReports) this.noted(this.#reports.keys().next().value!);
    this.#reports.set(report.id, report);
    this.#noted.delete(report.id);
    this.#reported.add(report.id);
  }

  noted(grantId: string): void {
    if (!this.#reports.delete(grantId)) return;
    this.#reported.delete(grantId);
    this.#noted.add(grantId);
  }

  reports(): EndReport[] {
    return [...this.#reports.values()];
  }

  /** Time goes on: forgets ended epochs that no valid grant can be older than. */
  see(now: number, maxLifeMs: number): void {
    if (now - this.#seenAt > 60_000) this.#isTimeDue = true;
    this.#seenAt = Math.max(this.#seenAt, now);
    for (const grant of this.#grants.values()) {
      if (grant.live || grant.endedAt + maxLifeMs + 60_000 >= now) continue;
      this.#grants.delete(grant.device);
      this.#deviceOf.delete(grant.id);
      this.#changed.delete(grant.device);
    }
  }

  /** Resolves when all that was changed before the call is on the disk; calls meanwhile share one write. */
  async flush(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
    if (!this.#isDirty) return;
    this.#writing = this.#isWholeDue || this.#isFoldDue ? this.#writeWhole() : this.#writeChanges();
    try {
      await this.#writing;
    } catch (error) {
      // A line that failed may be there by half, or not at all, or wholly: the next file starts without it.
      this.#isWholeDue = true;
      this.#isTimeDue = true;
      throw error;
    } finally {
      this.#writing = null;
    }
  }

  get #isDirty(): boolean {
    return this.#isTimeDue || this.#changed.size + this.#reported.size + this.#noted.size > 0;
  }

  get #isFoldDue(): boolean {
    if (this.#journalBytes > Math.max(journalMaxBytes, this.#wholeBytes)) return true;
    return this.#sealsSince !== 0 && this.#seenAt - this.#sealsSince > sealsKeptMs;
  }

  #clean(): void {
    this.#changed.clear();
    this.#reported.clear();
    this.#noted.clear();
    this.#isTimeDue = false;
  }

  async #writeWhole(): Promise<void> {
    const { path, agentId, write } = this.#options;
    this.#journal++;
    this.#clean();
    this.#sealsSince = 0;
    const grants = [...this.#grants.values()];
    const reports = [...this.#reports.values()];
    this.#wholeBytes = grants.reduce((sum, { grant }) => sum + 200 + (grant?.length ?? 0), 0);
    await (write ?? writeState)(path, {
      v: 2,
      agentId,
      seenAt: this.#seenAt,
      journal: this.#journal,
      grants,
      reports,
    });
    this.#isWholeDue = false;
    this.#journalBytes = 0;
  }

  async #writeChanges(): Promise<void> {
    const { path, append } = this.#options;
    const line = journalLine({
      journal: this.#journal,
      seenAt: this.#seenAt,
      grants: [...this.#changed].map(device => this.#grants.get(device)!),
      reports: [...this.#reported].map(grantId => this.#reports.get(grantId)!),
      noted: [...this.#noted].slice(-maxReports),
    });
    this.#clean();
    const isFirst = this.#journalBytes === 0;
    this.#journalBytes += line.length;
    await (append ?? appendJournal)(journalPath(path), line, isFirst);
  }
}

function journalPath(path: string): string {
  return `${path}.journal`;
}
