// Admission: judges every grant before any state changes (size, form, signature, audience, version, time, epoch, local policy, seal),
// then installs it. Also revocation, renewal, ends, and resuming sessions after a restart. Trusts only what a pinned key signed. Runs
// one step at a time, in the order of Core's frames.

import {
  type Grant,
  type GrantRefusal,
  type LocalPolicy,
  transcriptOf,
  verifyGrant,
} from '../../control/trust/grant.ts';
import type { LeasedGrant } from '../../control/wire/agentchannel.ts';
import type { EndReason } from '../../control/clientapi/reasons.ts';
import { open } from '../../control/trust/seal.ts';
import { bytesOf, id as idShape, object, read } from '../../control/validate.ts';
import { fromHex, isZero, toBase64, toHex, wipe } from '../../util/bytes.ts';
import { errorText } from '../../util/errors.ts';
import type { Log } from '../../control/log.ts';
import type { CoreClock } from './coreclock.ts';
import type { EndReport, GrantStore } from './grantstore.ts';
import type { Enrolment, Identity } from './identity.ts';
import type { GrantRefusal as LinkRefusal, Link, SessionEvent } from '../dataplane/commands.ts';

export interface AdmissionOptions {
  readonly link: Link;
  readonly store: GrantStore;
  readonly identity: Identity;
  readonly enrolment: Enrolment;
  readonly clock: CoreClock;
  /** Asked each time: a HUP may change it. */
  readonly policy: () => LocalPolicy;
  readonly log: Log;
  /** What became of sessions; corechannel.ts tells Core. Ends are already in the store. */
  readonly onSession: (event: SessionEvent) => void;
}

/** `id` is null when the text was too broken to name one. */
export type Verdict =
  | { readonly ok: true; readonly id: string }
  | { readonly ok: false; readonly id: string | null; readonly code: GrantRefusal };

export type Refused = { readonly id: string; readonly code: GrantRefusal };

export class Admission {
  readonly #o: AdmissionOptions;
  #turn: Promise<unknown> = Promise.resolve();
  #isResumed = false;
  /** By result: `granted`, `again` or the code of a refusal. */
  readonly results: Map<string, number> = new Map();
  readonly ends: Map<EndReason, number> = new Map();

  constructor(options: AdmissionOptions) {
    this.#o = options;
    options.link.onEvent(event => {
      if (event.ev === 'session') this.#onSession(event);
    });
  }

  /** Resolves when the peer is in force and remembered. `until` is the end of its lease, 0 for none. */
  async grant(text: string, until: number): Promise<Verdict> {
    const verdict = await this.#inTurn(() => this.#admit(text, until, false));
    // Outside the turn: the next grant is judged meanwhile and shares a write. Not remembered means lost with a restart, no more.
    await this.#o.store
      .flush()
      .catch((error: unknown) =>
        this.#o.log.error('a grant cannot be remembered', { why: errorText(error) }),
      );
    return verdict;
  }

  /** Ends the device's session unless a newer one has begun, and bars grants up to `epoch`. Resolves when remembered. */
  async revoke(id: string, device: string, epoch: number, reason: EndReason): Promise<void> {
    await this.#inTurn(() => this.#revoke(id, device, epoch, reason));
    await this.#o.store.flush();
  }

  renew(id: string, until: number): Promise<boolean> {
    return this.#inTurn(() => this.#renew(id, until));
  }

  /** Core's whole truth: what it omits is over. */
  snapshot(grants: readonly LeasedGrant[]): Promise<{ grants: number; refused: Refused[] }> {
    return this.#inTurn(() => this.#reconcile(grants));
  }

  /** After a restart: what was in force and is not over comes back without a new login. Once, as soon as time is known. */
  resume(): Promise<number> {
    return this.#inTurn(() => this.#resume());
  }

  /** An error in one does not stop the next. */
  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(act);
    this.#turn = mine.catch(() => undefined);
    return mine;
  }

  async #admit(text: string, until: number, resumed: boolean): Promise<Verdict> {
    const { store, clock, enrolment, identity, policy, log } = this.#o;
    const now = clock.wallMs;
    const verdict = verifyGrant(text, {
      coreKeys: enrolment.coreKeys,
      audiences: [enrolment.agentId, enrolment.location],
      wallMs: now,
      // On resumption the store holds the very grant that is being judged, and nothing is in force yet.
      held: device => (resumed ? undefined : store.held(device)),
      peers: resumed ? 0 : store.liveCount,
      policy: policy(),
    });
    if (!verdict.ok) return this.#refuse(namedId(text), verdict.code);
    const { grant, ips } = verdict;
    if (now === null) return this.#refuse(grant.id, 'clock');
    if (verdict.again) {
      this.#count('again');
      if (until !== 0) await this.#renew(grant.id, until);
      return { ok: true, id: grant.id };
    }
    const leaseMs = leaseLeft(grant, until, now);
    if (leaseMs < 0) return this.#refuse(grant.id, 'expired');
    const psk = open(identity.kem, 'agent', transcriptOf(grant), grant.psk, {
      allowX25519: identity.kem.kem === 'x25519',
    });
    // All zero is WireGuard's "no PSK": a peer without one cannot be expressed here.
    if (psk === null || isZero(psk)) return this.#refuse(grant.id, 'seal');
    const result = await this.#o.link
      .request({
        op: 'grant',
        grant: {
          id: grant.id,
          epoch: grant.epoch,
          device: bytesOf(grant.device),
          user: grant.user,
          psk,
          allowedIps: ips,
          staleAfterMs: grant.stale * 1000,
          idleAfterMs: grant.idle * 1000,
          // The client does not know that we restarted; it notices when its keys are not answered.
          claimWithinMs: (resumed ? Math.max(grant.claim, grant.stale) : grant.claim) * 1000,
          leaseMs,
          expiresInMs: grant.exp - now,
          onRoam: grant.onRoam,
        },
      })
      .catch((error: unknown) => {
        log.error('the data plane did not take a grant', { session: grant.id, why: errorText(error) });
        return { ok: false, code: null } as const;
      })
      .finally(() => wipe(psk));
    if (!result.ok) return this.#refuse(grant.id, result.code === null ? 'busy' : refusalOf(result.code));
    store.put({
      device: grant.device,
      id: grant.id,
      epoch: grant.epoch,
      live: true,
      grant: text,
      until,
      endedAt: 0,
    });
    this.#count(resumed ? 'resumed' : 'granted');
    log.info(resumed ? 'session resumed' : 'granted', {
      session: grant.id,
      user: grant.user,
      ips: grant.ips.join(','),
      epoch: grant.epoch,
    });
    return { ok: true, id: grant.id };
  }

  async #revoke(id: string, device: string, epoch: number, reason: EndReason): Promise<void> {
    const { store, link, clock, log } = this.#o;
    const held = store.of(device);
    if (held !== undefined && held.epoch > epoch) return; // a newer login: this revoke is about an older one
    const now = clock.wallMs ?? store.seenAt;
    if (held?.live === true) {
      log.info('revoked', { session: held.id, reason });
      await link.request({ op: 'revoke', device: toHex(bytesOf(device)), reason });
      store.end(device, held.id, now);
    }
    store.put({ device, id, epoch, live: false, until: 0, endedAt: now });
  }

  async #renew(id: string, until: number): Promise<boolean> {
    const { store, link, clock } = this.#o;
    const now = clock.wallMs;
    const held = store.renew(id, until);
    if (held?.grant === undefined || now === null) return false;
    const leaseMs = leaseLeft(unverified(held.grant), until, now);
    const result = await link.request({ op: 'renew', id, untilMs: Math.max(0, leaseMs) });
    return result.renewed;
  }

  async #reconcile(grants: readonly LeasedGrant[]): Promise<{ grants: number; refused: Refused[] }> {
    const { store, log } = this.#o;
    const named = new Set(grants.map(({ grant }) => namedId(grant)));
    // First what is over, so that its addresses and places are free for what is new.
    for (const held of store.live()) {
      if (named.has(held.id)) continue;
      log.info('not in the snapshot', { session: held.id });
      await this.#revoke(held.id, held.device, held.epoch, 'policy');
    }
    const refused: Refused[] = [];
    let accepted = 0;
    for (const { grant, until } of grants) {
      const verdict = await this.#admit(grant, until, false);
      if (verdict.ok) {
        accepted++;
        continue;
      }
      if (verdict.id === null) continue;
      refused.push({ id: verdict.id, code: verdict.code });
      // Held until now and refused today, because the local policy became stricter.
      const held = store.live().find(live => live.id === verdict.id);
      if (held !== undefined && verdict.code.startsWith('policy-'))
        await this.#revoke(held.id, held.device, held.epoch, 'policy');
    }
    await store.flush();
    return { grants: accepted, refused };
  }

  async #resume(): Promise<number> {
    const { store, clock, log } = this.#o;
    if (this.#isResumed) return 0;
    const held = store.live();
    const now = clock.wallMs;
    if (now === null && held.length > 0) {
      log.warn('the clock is not sane: sessions of before the restart wait for Core', {
        sessions: held.length,
      });
      return 0;
    }
    this.#isResumed = true;
    let resumed = 0;
    for (const stored of held) {
      const verdict = await this.#admit(stored.grant ?? '', stored.until, true);
      if (verdict.ok) {
        resumed++;
        continue;
      }
      const reason = verdict.code === 'expired' ? this.#overdue(stored.grant ?? '', now ?? 0) : 'policy';
      store.end(stored.device, stored.id, now ?? 0);
      this.#over({ id: stored.id, reason, counters: noCounters, sinceHandshakeMs: 0 });
    }
    await store
      .flush()
      .catch((error: unknown) => log.error('grants cannot be remembered', { why: errorText(error) }));
    return resumed;
  }

  /** Why a grant that was in force before the restart is over now. */
  #overdue(text: string, now: number): EndReason {
    return unverified(text).exp <= now ? 'expired' : 'lease';
  }

  #onSession(event: SessionEvent): void {
    const { store, clock, log, onSession } = this.#o;
    if (event.kind === 'ended') {
      // We stop; the session does not. It resumes with us, or ends by its own clocks.
      if (event.reason === 'agent-stopped') return;
      const reason = event.reason ?? 'policy';
      store.end(toBase64(fromHex(event.device)!), event.id, clock.wallMs ?? store.seenAt);
      this.#over({
        id: event.id,
        reason,
        counters: event.counters,
        sinceHandshakeMs: Math.max(0, Math.round(event.sinceHandshakeMs)),
        ...(event.endpoint !== null && { endpoint: event.endpoint }),
      });
      log.info('session ended', { session: event.id, reason, rx: event.counters.rx, tx: event.counters.tx });
      store
        .flush()
        .catch((error: unknown) => log.error('an end cannot be remembered', { why: errorText(error) }));
    } else log.info(`session ${event.kind}`, { session: event.id });
    onSession(event);
  }

  #over(report: EndReport): void {
    this.ends.set(report.reason, (this.ends.get(report.reason) ?? 0) + 1);
    this.#o.store.report(report);
  }

  #refuse(id: string | null, code: GrantRefusal): Verdict {
    this.#count(code);
    this.#o.log.warn('grant refused', { session: id ?? '?', why: code });
    return { ok: false, id, code };
  }

  #count(result: string): void {
    this.results.set(result, (this.results.get(result) ?? 0) + 1);
  }
}

const noCounters = { rx: 0, tx: 0, handshakes: 0 };

/** Milliseconds to the end of lease and grace; 0 without a lease, negative when over. */
function leaseLeft(grant: Pick<Grant, 'grace'>, until: number, now: number): number {
  if (until === 0) return 0;
  const left = until + grant.grace * 1000 - now;
  return left === 0 ? -1 : left;
}

/** Only for a text that `verifyGrant` accepted before and this machine kept. */
function unverified(text: string): Grant {
  return JSON.parse(payloadOf(text)) as Grant;
}

/** The id a grant claims to have, whatever else is wrong with it: a refusal has to be addressed. */
function namedId(text: string): string | null {
  const claimed = read(object({ id: idShape }), payloadOf(text.slice(0, 16_384)));
  return claimed.ok ? claimed.value.id : null;
}

function payloadOf(text: string): string {
  return Buffer.from(text.split('.')[1] ?? '', 'base64url').toString('utf8');
}

function refusalOf(code: LinkRefusal): GrantRefusal {
  switch (code) {
    case 'older-epoch':
      return 'epoch';
    case 'no-psk':
      return 'seal';
    case 'own-key':
    case 'address-taken':
    case 'bad-address':
      return 'policy-ips';
    case 'too-many-peers':
      return 'policy-peers';
    case 'already-over':
      return 'expired';
    default:
      return code satisfies never;
  }
}
