// The hub: which agents are connected, what was sent to each and is not acknowledged yet. Per connection it counts `seq`, sends
// the snapshot, repeats grants and revokes until they are acknowledged, and gives a silent agent up. It decides nothing about
// sessions; it reports to them through `HubEvents`. Sockets are in listener.ts, time comes in as `now`.

import { CloseCode } from '../../control/wire/channel.ts';
import type { GrantRefusal } from '../../control/trust/grant.ts';
import type { AgentConfig, AgentFrame, CoreFrame, SessionStats } from '../../control/wire/agentchannel.ts';
import type { Counters } from '../../control/clientapi/words.ts';
import { snapshotChunk } from '../../control/wire/agentchannel.ts';
import type { EndReason } from '../../control/clientapi/reasons.ts';

/** The sending half of a channel to one agent. */
export interface AgentLine {
  send(frame: CoreFrame): boolean;
  close(code: number, reason: string): void;
}

export interface HeldGrant {
  readonly id: string;
  readonly grant: string;
  readonly until: number;
}

export interface HubEvents {
  /** Everything the agent should hold now. */
  snapshot(agent: string): readonly HeldGrant[];
  config(agent: string): AgentConfig;
  granted(agent: string, id: string): void;
  refused(agent: string, id: string, code: GrantRefusal): void;
  ended(agent: string, id: string, reason: EndReason, counters: Counters): void;
  confirmed(agent: string, id: string, endpoint: string | undefined): void;
  roamed(agent: string, id: string, endpoint: string | undefined): void;
  stats(agent: string, sessions: readonly SessionStats[]): void;
}

interface Unacked {
  readonly frame: (seq: number) => CoreFrame;
  sentAt: number;
  tries: number;
}

interface Connection {
  readonly line: AgentLine;
  readonly location: string;
  seq: number;
  /** Ids of the snapshot that `synced` will acknowledge, and its sequence number. */
  snapshot: { readonly seq: number; readonly ids: readonly string[] };
  pings: number;
  lastPingAt: number;
  readonly unacked: Map<string, Unacked>;
  /** Closed with this as soon as nothing waits for an acknowledgement. */
  leaving: { readonly code: number; readonly reason: string } | null;
}

const retryEveryMs = 2000;
const maxTries = 4;
const pingEveryMs = 10_000;

export class Hub {
  readonly #events: HubEvents;
  readonly #connections = new Map<string, Connection>();

  constructor(events: HubEvents) {
    this.#events = events;
  }

  /** The agent has proved its key. A second connection of the same agent replaces the first. */
  connect(agent: string, location: string, line: AgentLine, now: number): void {
    this.#connections.get(agent)?.line.close(CloseCode.replaced, 'a newer connection took over');
    this.#connections.set(agent, {
      line,
      location,
      seq: 0,
      snapshot: { seq: 0, ids: [] },
      pings: 0,
      lastPingAt: now,
      unacked: new Map(),
      leaving: null,
    });
    this.#sendSnapshot(agent);
  }

  /** Only the connection that is current counts: a replaced one closes later. */
  disconnect(agent: string, line: AgentLine): boolean {
    if (this.#connections.get(agent)?.line !== line) return false;
    return this.#connections.delete(agent);
  }

  isConnected(agent: string): boolean {
    return this.#connections.get(agent)?.leaving === null;
  }

  connected(location?: string): string[] {
    return [...this.#connections]
      .filter(([, c]) => c.leaving === null && (location === undefined || c.location === location))
      .map(([agent]) => agent);
  }

  grant(agent: string, id: string, text: string, until: number, now: number): boolean {
    return this.#sendAcked(agent, `grant/${id}`, seq => ({ type: 'grant', seq, grant: text, until }), now);
  }

  revoke(agent: string, id: string, device: string, epoch: number, reason: EndReason, now: number): boolean {
    this.#connections.get(agent)?.unacked.delete(`grant/${id}`);
    return this.#sendAcked(
      agent,
      `revoke/${id}`,
      seq => ({ type: 'revoke', seq, id, device, epoch, reason }),
      now,
    );
  }

  /** Not acknowledged: the next renewal comes in time, and a lost one ends in a lease that runs out. */
  renew(agent: string, id: string, until: number): boolean {
    return this.#sendDelta(agent, seq => ({ type: 'renew', seq, id, until }));
  }

  configure(agent: string): boolean {
    const config = this.#events.config(agent);
    return this.#sendDelta(agent, seq => ({ type: 'config', seq, config }));
  }

  /** The agent is given up once it has acknowledged what it was told: first told, then forgotten. */
  dismiss(agent: string, code: number, reason: string): void {
    const connection = this.#connections.get(agent);
    if (connection === undefined) return;
    connection.leaving = { code, reason };
    this.#settle(agent, connection);
  }

  closeAll(code: number, reason: string): void {
    for (const { line } of this.#connections.values()) line.close(code, reason);
  }

  /** One frame of a connected agent. False for a frame that has no place here: the caller closes the channel. */
  receive(agent: string, frame: AgentFrame): boolean {
    const connection = this.#connections.get(agent);
    if (connection === undefined) return true; // a replaced connection still talking
    switch (frame.type) {
      case 'hello':
        return false;
      case 'granted':
        connection.unacked.delete(`grant/${frame.id}`);
        this.#events.granted(agent, frame.id);
        return true;
      case 'refused':
        connection.unacked.delete(`grant/${frame.id}`);
        this.#events.refused(agent, frame.id, frame.code);
        return true;
      case 'revoked':
        connection.unacked.delete(`revoke/${frame.id}`);
        this.#settle(agent, connection);
        return true;
      case 'synced':
        this.#synced(agent, connection, frame);
        this.#settle(agent, connection);
        return true;
      case 'resync':
        this.#sendSnapshot(agent);
        return true;
      case 'session':
        this.#session(agent, connection, frame);
        return true;
      case 'stats':
        this.#events.stats(agent, frame.sessions);
        return true;
      case 'pong':
        return true;
      default:
        frame satisfies never;
        return false;
    }
  }

  /** Pings, repeats what is not acknowledged and closes the channel of an agent that does not answer. */
  tick(now: number): void {
    for (const [agent, connection] of this.#connections) {
      if (now - connection.lastPingAt >= pingEveryMs) {
        connection.lastPingAt = now;
        connection.line.send({ type: 'ping', n: ++connection.pings, time: now });
      }
      for (const waiting of connection.unacked.values()) {
        if (now - waiting.sentAt < retryEveryMs) continue;
        if (waiting.tries >= maxTries) {
          // The snapshot of its next connection brings it up to date.
          connection.line.close(CloseCode.silent, 'no acknowledgement');
          this.#connections.delete(agent);
          break;
        }
        waiting.tries++;
        waiting.sentAt = now;
        connection.line.send(waiting.frame(++connection.seq));
      }
    }
  }

  #settle(agent: string, connection: Connection): void {
    const { leaving, unacked, line } = connection;
    if (leaving === null || unacked.size > 0) return;
    this.#connections.delete(agent);
    line.close(leaving.code, leaving.reason);
  }

  #synced(agent: string, connection: Connection, frame: Extract<AgentFrame, { type: 'synced' }>): void {
    if (frame.seq !== connection.snapshot.seq) return; // a newer snapshot is under way
    const refused = new Map(frame.refused.map(({ id, code }) => [id, code]));
    for (const id of connection.snapshot.ids) {
      const code = refused.get(id);
      if (code === undefined) this.#events.granted(agent, id);
      else this.#events.refused(agent, id, code);
    }
    connection.snapshot = { seq: 0, ids: [] };
  }

  #session(agent: string, connection: Connection, frame: Extract<AgentFrame, { type: 'session' }>): void {
    switch (frame.event) {
      case 'confirmed':
        this.#events.confirmed(agent, frame.id, frame.endpoint);
        return;
      case 'roamed':
        this.#events.roamed(agent, frame.id, frame.endpoint);
        return;
      case 'ended':
        connection.unacked.delete(`grant/${frame.id}`);
        this.#events.ended(agent, frame.id, frame.reason ?? 'agent-stopped', frame.counters);
        connection.line.send({ type: 'noted', id: frame.id });
        return;
      default:
        frame.event satisfies never;
    }
  }

  #sendSnapshot(agent: string): void {
    const connection = this.#connections.get(agent);
    if (connection === undefined) return;
    connection.unacked.clear(); // the snapshot replaces them
    const grants = this.#events.snapshot(agent);
    for (let at = 0; at < grants.length; at += snapshotChunk)
      connection.line.send({
        type: 'snapshot',
        grants: grants.slice(at, at + snapshotChunk).map(({ grant, until }) => ({ grant, until })),
      });
    connection.line.send({ type: 'snapshotEnd', seq: ++connection.seq });
    connection.snapshot = { seq: connection.seq, ids: grants.map(({ id }) => id) };
  }

  #sendAcked(agent: string, key: string, frame: (seq: number) => CoreFrame, now: number): boolean {
    const connection = this.#connections.get(agent);
    if (connection === undefined) return false;
    connection.unacked.set(key, { frame, sentAt: now, tries: 1 });
    return connection.line.send(frame(++connection.seq));
  }

  #sendDelta(agent: string, frame: (seq: number) => CoreFrame): boolean {
    const connection = this.#connections.get(agent);
    return connection !== undefined && connection.line.send(frame(++connection.seq));
  }
}
