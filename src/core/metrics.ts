// Prometheus text of Core. Users, devices and addresses are never labels: cardinality and privacy. Pure: facts in, text out.

import { endReasons } from '../control/clientapi/reasons.ts';
import { addProcess, labelled, MetricsText } from '../control/prometheus.ts';
import type { ProcessFacts, Sample } from '../control/prometheus.ts';

export interface CoreFacts {
  /** Agents of a location, and how many of them are connected. */
  readonly agents: readonly {
    readonly location: string;
    readonly known: number;
    readonly connected: number;
  }[];
  readonly sessions: readonly { readonly location: string; readonly state: string; readonly count: number }[];
  readonly users: number;
  readonly devices: number;
  readonly proxies: { readonly configured: number; readonly connected: number };
  readonly ends: ReadonlyMap<string, number>;
  /** What became of logins in which everything was proved: "granted" or why not. */
  readonly grants: ReadonlyMap<string, number>;
  readonly requests: { readonly counts: readonly Sample[]; readonly seconds: readonly Sample[] };
  readonly auditRecords: number;
  readonly process: ProcessFacts;
}

export function coreMetrics(facts: CoreFacts): string {
  const text = new MetricsText();
  const ends = new Map<string, number>(endReasons.map(reason => [reason, 0]));
  for (const [reason, count] of facts.ends) ends.set(reason, count);
  const agents = (state: string, count: (of: CoreFacts['agents'][number]) => number): Sample[] =>
    facts.agents.map(of => ({ labels: { location: of.location, state }, value: count(of) }));
  text.add('sallyport_core_agents', 'gauge', 'Agents by location, connected or away.', [
    ...agents('connected', of => of.connected),
    ...agents('away', of => of.known - of.connected),
  ]);
  text.add(
    'sallyport_core_sessions',
    'gauge',
    'Live sessions by location: pending, active (granted, unused) or confirmed.',
    facts.sessions.map(({ location, state, count }) => ({ labels: { location, state }, value: count })),
  );
  text.one('sallyport_core_users', 'gauge', 'Registered users.', facts.users);
  text.one('sallyport_core_devices', 'gauge', 'Registered devices.', facts.devices);
  text.add('sallyport_core_proxies', 'gauge', 'Proxies by the state of the channel.', [
    { labels: { state: 'connected' }, value: facts.proxies.connected },
    { labels: { state: 'away' }, value: facts.proxies.configured - facts.proxies.connected },
  ]);
  text.add(
    'sallyport_core_session_ends_total',
    'counter',
    'Sessions that ended, by reason.',
    labelled(ends, 'reason'),
  );
  text.add(
    'sallyport_core_grants_total',
    'counter',
    'Proved logins by what became of their grant.',
    labelled(facts.grants, 'result'),
  );
  text.add(
    'sallyport_core_requests_total',
    'counter',
    'Requests of clients by path and status.',
    facts.requests.counts,
  );
  text.add(
    'sallyport_core_request_seconds',
    'histogram',
    'Time to the answer of a request.',
    facts.requests.seconds,
  );
  text.one(
    'sallyport_core_audit_records',
    'gauge',
    'Sequence number of the newest audit record.',
    facts.auditRecords,
  );
  addProcess(text, facts.process);
  return text.toString();
}
