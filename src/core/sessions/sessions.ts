// From an accepted login to the typed reason of the end. A session becomes active only after an agent has acknowledged its grant.
// Renewal, snapshots, supersession, revocation and expiry go through here, and every watcher of a session is told. No sockets and no
// timers: agents are reached through the hub, time comes with `tick(now)`.

import type { GrantRefusal } from '../../control/trust/grant.ts';
import type { Log } from '../../control/log.ts';
import type { AgentConfig, SessionStats } from '../../control/wire/agentchannel.ts';
import type { SessionInfo } from '../../control/clientapi/bodies.ts';
import type { Counters } from '../../control/clientapi/words.ts';
import type { EndReason } from '../../control/clientapi/reasons.ts';
import { type Answer, Answers } from './answers.ts';
import type { Authorised, NotAuthorised } from './authorised.ts';
import { type Check, Checks, scanEveryMs } from './checks.ts';
import { againMs, nextLease, type Renewal } from './lease.ts';
import { goesOn } from './localends.ts';
import { leaseEnd, mint } from './mint.ts';
import { type End, Owed } from './owed.ts';
import { infoOf, pendingSession } from './record.ts';
import { isPermitted } from './permitted.ts';
import { Hub } from '../agents/hub.ts';
import type { HeldGrant, HubEvents } from '../agents/hub.ts';
import { hashToken, newId, newToken } from '../ids.ts';
import type { Random } from '../ids.ts';
import type { LoginState } from '../login/login.ts';
import { agentConfig, policyOf } from '../policy/policy.ts';
import type { Location } from '../store/places.ts';
import type { Session, StoredGrant } from '../store/sessions.ts';
import type { Store } from '../store/store.ts';
import { withoutTrouble } from '../store/trouble.ts';
import { type Watcher, Watchers } from './watchers.ts';

const ackWithinMs = 5000;
const warnAtMs = [600_000, 120_000];

export interface SessionsOptions {
  readonly store: Store;
  readonly clock: () => number;
  readonly random: Random;
  readonly log: Log;
}

export class Sessions implements HubEvents {
  readonly hub: Hub;
  /** Since the start: what became of proved logins, and why sessions ended. */
  readonly counts: { readonly grants: Map<string, number>; readonly ends: Map<string, number> } = {
    grants: new Map(),
    ends: new Map(),
  };
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #random: Random;
  readonly #log: Log;
  readonly #answers = new Answers();
  readonly #watchers = new Watchers();
  /** Of the active sessions. */
  readonly #checks = new Checks();
  readonly #owed = new Owed(ends => this.#writeEnds(ends));

  constructor(options: SessionsOptions) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#random = options.random;
    this.#log = options.log;
    this.hub = new Hub(this);
    // A session that was pending when Core stopped was never answered: no client has its key.
    for (const session of this.#store.sessions.live())
      if (session.status === 'pending') this.end(session.id, 'policy', 'core');
      else this.#checks.plan(session.id, 0);
  }

  /**
   * Grants a fully proved login. `commit` runs in the transaction that records the session: it uses the codes up and saves
   * the login, and answers false when a code was used already. Nothing of it happens when no agent is there.
   */
  async authorise(
    login: LoginState,
    source: string,
    commit: () => boolean,
  ): Promise<Authorised | NotAuthorised> {
    const result = await this.#authorise(login, source, commit);
    bump(this.counts.grants, result.ok ? 'granted' : result.code);
    return result;
  }

  async #authorise(
    login: LoginState,
    source: string,
    commit: () => boolean,
  ): Promise<Authorised | NotAuthorised> {
    const location = this.#store.places.location(login.location);
    if (location === undefined) return { ok: false, code: 'denied' };
    const connected = this.hub.connected(location.id);
    if (connected.length === 0) return { ok: false, code: 'no-agent' };
    const host = this.#store.places.allocate(location, login.device);
    if (host === null) return { ok: false, code: 'network-full' };
    const now = this.#clock();
    const id = newId('s', this.#random);
    const epoch = this.#store.sessions.nextEpoch(location.id, login.deviceKey);
    const agents = this.#store.places.agents(location.id);
    const order = { id, epoch, login, location, agents, host, now };
    const minted = await mint(order, this.#store.signKey.privateKey, this.#random);
    if (minted === null) return { ok: false, code: 'kem-refused' };
    const asked = minted.grants.filter(({ agent }) => this.hub.isConnected(agent));
    if (asked.length === 0) return { ok: false, code: 'no-agent' };
    const token = newToken('sps', this.#random);
    const session = pendingSession(order, minted, policyOf(location.settings), hashToken(token));
    const recorded = this.#store.db.transaction(() => {
      // Looked at again: minting took a moment in which an administrator may have acted.
      if (!isPermitted(this.#store, session) || !commit()) return false;
      this.#store.sessions.add(session, minted.grants);
      return true;
    });
    if (!recorded) return { ok: false, code: 'denied' };
    const result = await this.#askAgents(session, asked);
    if (result === 'acked' && this.#activateOrEnd(session, location, source))
      return { ok: true, session, granted: minted.forClient, loginDigest: minted.loginDigest, token };
    this.end(id, 'policy', 'core');
    if (result === 'timeout') return { ok: false, code: 'agent-timeout' };
    if (result === 'acked' || result === 'ended') return { ok: false, code: 'denied' };
    return { ok: false, code: 'agent-refused', detail: result };
  }

  /** Ends a session everywhere. False when it had ended before. */
  end(id: string, reason: EndReason, who: string): boolean {
    const session = this.#store.sessions.session(id);
    if (session === undefined || session.status === 'ended' || this.#owed.has(id)) return false;
    const now = this.#clock();
    const holders = this.#store.sessions
      .grants(id)
      .filter(grant => grant.state !== 'ended' && grant.state !== 'refused');
    this.#owed.record({ session, reason, who, at: now });
    for (const { agent } of holders)
      this.hub.revoke(agent, id, session.deviceKey, session.epoch, reason, now);
    this.#over(session, reason);
    return true;
  }

  /** Ends every live session that matches. */
  endWhere(matches: (session: Session) => boolean, reason: EndReason, who: string): number {
    const ended = this.#store.sessions.live().filter(matches);
    return ended.filter(session => this.end(session.id, reason, who)).length;
  }

  /** After users, devices, groups or locations changed: ends what is no longer permitted. */
  enforce(who: string): number {
    return this.endWhere(session => !isPermitted(this.#store, session), 'policy', who);
  }

  info(session: Session): SessionInfo {
    return infoOf(session, this.#clock());
  }

  /** Calls `watcher` with the state now and with everything that follows. Null when too many watch already. */
  watch(session: Session, watcher: Watcher): (() => void) | null {
    if (session.status === 'ended' || this.#owed.has(session.id)) {
      watcher({ event: 'ended', reason: session.reason ?? 'policy' });
      return () => {};
    }
    const stop = this.#watchers.add(session.id, watcher);
    if (stop !== null)
      watcher({ event: 'state', session: this.info(session), confirmed: session.confirmedAt !== null });
    return stop;
  }

  /** Call it a few times a second. */
  tick(now: number): void {
    this.#answers.tick(now);
    this.hub.tick(now);
    this.#owed.settle();
    const renewals: Renewal[] = [];
    for (const [id, check] of this.#checks.due(now)) {
      const session = this.#store.sessions.session(id);
      if (session?.status !== 'active') this.#checks.forget(id);
      else this.#scan(session, check, now, renewals);
    }
    this.#renew(renewals);
  }

  // --- what the hub asks and reports --------------------------------------------------------------------------------------

  snapshot(agent: string): HeldGrant[] {
    const now = this.#clock();
    const held = this.#store.sessions
      .grantsFor(agent, now)
      .filter(({ session }) => !this.#owed.has(session.id))
      // The lease starts over: it bounds the absence of Core, and Core is back.
      .map(({ grant, session: { id, policy, expiresAt } }) => ({
        id,
        grant: grant.text,
        until: leaseEnd(now, policy.lease, expiresAt),
      }));
    // A lease that could not be written down is renewed early: no harm.
    withoutTrouble(() => this.#setLeases(held.filter(({ until }) => until !== 0)));
    return held;
  }

  config(agent: string): AgentConfig {
    const location = this.#store.places.location(this.#store.places.agent(agent)?.location ?? '');
    if (location === undefined) throw new Error(`agent ${agent} has no location`);
    return agentConfig(location);
  }

  granted(agent: string, id: string): void {
    const grant = this.#store.sessions.grants(id).find(held => held.agent === agent);
    if (grant?.state === 'sent') this.#store.sessions.setGrant(id, agent, 'acked');
    this.#answers.granted(id, agent);
  }

  refused(agent: string, id: string, code: GrantRefusal): void {
    this.#log.warn('grant refused', { agent, session: id, why: code });
    this.#store.sessions.setGrant(id, agent, 'refused', code);
    if (this.#checks.has(id)) this.#checks.plan(id, this.#clock() + scanEveryMs);
    this.#answers.refused(id, agent, code);
  }

  ended(agent: string, id: string, reason: EndReason, counters: Counters): void {
    const session = this.#session(agent, id);
    if (session === null) return;
    const { rx, tx } = counters;
    this.#log.info('session ended at the gateway', { agent, session: id, reason, rx, tx });
    const others = this.#store.sessions.grants(id).filter(grant => grant.agent !== agent);
    this.#store.sessions.setGrant(id, agent, 'ended', reason);
    if (!goesOn(reason, others)) this.end(id, reason, `agent ${agent}`);
  }

  confirmed(agent: string, id: string, endpoint: string | undefined): void {
    const session = this.#session(agent, id);
    if (session === null) return;
    const first = session.confirmedAt === null;
    this.#store.db.transaction(() => {
      this.#store.sessions.setGrant(id, agent, 'live');
      this.#store.sessions.confirm(id, this.#clock());
      if (first)
        this.#audit(
          'session.confirmed',
          session,
          `agent ${agent}`,
          endpoint === undefined ? {} : { from: endpoint },
        );
    });
    if (first)
      this.#watchers.tell(session.id, { event: 'state', session: this.info(session), confirmed: true });
  }

  roamed(agent: string, id: string, endpoint: string | undefined): void {
    const session = this.#session(agent, id);
    const from = endpoint === undefined ? {} : { from: endpoint };
    if (session !== null) this.#audit('session.roamed', session, `agent ${agent}`, from);
  }

  stats(agent: string, sessions: readonly SessionStats[]): void {
    this.#store.db.transaction(() => {
      for (const { id, rx, tx, handshakes } of sessions)
        if (this.#session(agent, id) !== null) this.#store.sessions.addCounters(id, rx, tx, handshakes);
    });
  }

  // --- inside ---------------------------------------------------------------------------------------------------------------

  #askAgents(session: Session, asked: readonly { agent: string; text: string }[]): Promise<Answer> {
    const now = this.#clock();
    const agents = asked.map(({ agent }) => agent);
    const answer = this.#answers.wait(session.id, session.policy.ack, agents, now + ackWithinMs);
    for (const { agent, text } of asked) this.hub.grant(agent, session.id, text, session.leaseUntil, now);
    return answer;
  }

  /** An activation that the database cannot take leaves nothing at the gateways. */
  #activateOrEnd(session: Session, location: Location, source: string): boolean {
    try {
      return this.#activate(session, location, source);
    } catch (error) {
      this.end(session.id, 'policy', 'core');
      throw error;
    }
  }

  /** Commits the session and ends the older ones of the device here. The newer grant has replaced theirs on every agent that took it. */
  #activate(session: Session, location: Location, source: string): boolean {
    const older = this.#store.sessions
      .liveOf(session.deviceKey, session.location)
      .filter(other => other.epoch < session.epoch);
    const now = this.#clock();
    const holding = (g: StoredGrant): boolean => g.state === 'acked' || g.state === 'live';
    const took = new Set(
      this.#store.sessions
        .grants(session.id)
        .filter(holding)
        .map(g => g.agent),
    );
    const leftovers = older.map(other => ({
      other,
      agents: this.#store.sessions.grants(other.id).filter(g => g.state !== 'ended' && !took.has(g.agent)),
    }));
    const active = this.#store.db.transaction(() => {
      if (!this.#store.sessions.activate(session.id)) return false;
      const who = this.#store.people.user(session.user)?.name ?? session.user;
      this.#audit('session.granted', session, who, { from: source, method: session.methods.join('+') });
      for (const other of older) {
        this.#store.sessions.end(other.id, 'superseded', now);
        this.#audit('session.ended', other, who, { reason: 'superseded' });
      }
      return true;
    });
    if (!active) return false;
    for (const { other, agents } of leftovers) {
      for (const { agent } of agents)
        this.hub.revoke(agent, other.id, other.deviceKey, other.epoch, 'superseded', now);
      this.#over(other, 'superseded');
    }
    this.#checks.plan(session.id, 0);
    const { id, user, epoch } = session;
    this.#log.info('session granted', { session: id, user, location: location.name, epoch });
    return true;
  }

  #scan(session: Session, check: Check, now: number, renewals: Renewal[]): void {
    // Agents end an expired session themselves and report its counters; Core does it for those that are away.
    const over = session.expiresAt + 2000;
    if (now >= over) return void this.end(session.id, 'expired', 'core');
    if (!isPermitted(this.#store, session)) return void this.end(session.id, 'policy', 'core');
    const grants = this.#store.sessions.grants(session.id).filter(isHeld);
    if (grants.length === 0) return void this.end(session.id, 'agent-stopped', 'core');
    const left = session.expiresAt - now;
    for (const at of warnAtMs)
      if (check.last > 0 && left <= at && session.expiresAt - check.last > at)
        this.#watchers.tell(session.id, { event: 'warn', secondsLeft: Math.round(left / 1000) });
    const warnings = warnAtMs.map(at => session.expiresAt - at).filter(at => at > now);
    const connected = grants.map(({ agent }) => agent).filter(agent => this.hub.isConnected(agent));
    const { next, renewal } = nextLease(session, connected, now);
    if (renewal !== null) renewals.push(renewal);
    this.#checks.done(check, now, Math.min(over, next, ...warnings));
  }

  /** All of one scan in one transaction, and only then on the wire. */
  #renew(renewals: readonly Renewal[]): void {
    if (renewals.length === 0) return;
    if (!withoutTrouble(() => this.#setLeases(renewals)))
      for (const { id } of renewals) this.#checks.plan(id, this.#clock() + againMs);
    // Agents are told all the same: a fault of the database ends no session.
    for (const { id, until, agents } of renewals)
      for (const agent of agents) this.hub.renew(agent, id, until);
  }

  #setLeases(leases: readonly { id: string; until: number }[]): void {
    if (leases.length === 0) return;
    this.#store.db.transaction(() => {
      for (const { id, until } of leases) this.#store.sessions.setLease(id, until);
    });
  }

  #writeEnds(ends: readonly End[]): void {
    this.#store.db.transaction(() => {
      for (const { session, reason, who, at } of ends) {
        this.#store.sessions.end(session.id, reason, at);
        this.#audit('session.ended', session, who, { reason });
      }
    });
  }

  /** The live session, if this agent was given it. */
  #session(agent: string, id: string): Session | null {
    const session = this.#store.sessions.session(id);
    if (session === undefined || session.status === 'ended' || this.#owed.has(id)) return null;
    return this.#store.sessions.grants(id).some(grant => grant.agent === agent) ? session : null;
  }

  #over(session: Session, reason: EndReason): void {
    this.#log.info('session ended', { session: session.id, user: session.user, reason });
    bump(this.counts.ends, reason);
    this.#checks.forget(session.id);
    this.#answers.ended(session.id);
    this.#watchers.tell(session.id, { event: 'ended', reason });
    this.#watchers.forget(session.id);
  }

  #audit(
    what: string,
    session: Session,
    who: string,
    more: { reason?: EndReason; from?: string; method?: string },
  ): void {
    const device = this.#store.people.device(session.device)?.name ?? session.device;
    const location = this.#store.places.location(session.location)?.name ?? session.location;
    this.#store.audit.append(this.#clock(), { what, who, session: session.id, device, location, ...more });
  }
}

function bump(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function isHeld({ state }: StoredGrant): boolean {
  return state === 'sent' || state === 'acked' || state === 'live';
}
