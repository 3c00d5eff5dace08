// What the gateway reports of itself: one plain object for `sallyport status --json`, LuCI and the status socket, and its text form. No
// key but public ones.

import { describeEnd, type EndReason } from '../../control/clientapi/reasons.ts';
import { toBase64 } from '../../util/bytes.ts';
import { formatPrefix } from '../../util/inet.ts';
import type { DeviceState } from '../dataplane/commands.ts';

export interface SessionReport {
  readonly id: string;
  readonly user: string;
  readonly device: string;
  readonly addresses: readonly string[];
  readonly endpoint: string | null;
  readonly since: string;
  readonly confirmed: boolean;
  readonly latestHandshake: string | null;
  /** Seconds; null where the clock is off or does not run yet. */
  readonly staleIn: number | null;
  readonly idleIn: number | null;
  readonly leaseIn: number | null;
  readonly expiresIn: number | null;
  readonly claimIn: number | null;
  readonly rxBytes: number;
  readonly txBytes: number;
}

export interface RecentEnd {
  readonly id: string;
  readonly device: string;
  readonly reason: EndReason;
  readonly at: string;
}

export interface StatusReport {
  readonly version: string;
  readonly agent: string;
  readonly location: string;
  readonly interface: string;
  readonly publicKey: string | null;
  readonly listenPort: number;
  readonly mtu: number;
  readonly up: boolean;
  readonly crypto: string;
  readonly offloads: readonly string[];
  readonly threads: number;
  readonly core: {
    readonly url: string;
    readonly phase: string;
    readonly connected: boolean;
    readonly reconnects: number;
    readonly lastError: string;
  };
  readonly clock: 'core' | 'system' | 'none';
  readonly sessions: readonly SessionReport[];
  readonly recentEnds: readonly RecentEnd[];
}

export interface ReportInput extends Omit<
  StatusReport,
  'interface' | 'publicKey' | 'listenPort' | 'mtu' | 'up' | 'crypto' | 'offloads' | 'threads' | 'sessions'
> {
  readonly state: DeviceState;
}

export function statusReport({ state, ...rest }: ReportInput): StatusReport {
  return {
    ...rest,
    interface: state.ifname,
    publicKey: state.publicKey === null ? null : toBase64(state.publicKey),
    listenPort: state.listenPort,
    mtu: state.mtu,
    up: state.isUp === true,
    crypto: state.counters.crypto,
    offloads: state.counters.offloads,
    threads: state.counters.threads,
    sessions: state.peers.flatMap(peer => {
      const { session } = peer;
      if (session === null) return [];
      return {
        id: session.id,
        user: session.user,
        device: toBase64(peer.publicKey),
        addresses: peer.allowedIps.map(formatPrefix),
        endpoint: peer.endpoint,
        since: date(session.sinceWallMs),
        confirmed: session.confirmed,
        latestHandshake: peer.lastHandshakeWallMs === 0 ? null : date(peer.lastHandshakeWallMs),
        staleIn: seconds(session.staleInMs),
        idleIn: seconds(session.idleInMs),
        leaseIn: seconds(session.leaseInMs),
        expiresIn: seconds(session.expiresInMs),
        claimIn: seconds(session.claimInMs),
        rxBytes: peer.rxBytes,
        txBytes: peer.txBytes,
      };
    }),
  };
}

/** For people: what an operator asks first. */
export function statusText(report: StatusReport): string {
  const { core } = report;
  const coreText = core.connected
    ? core.phase
    : `${core.phase}${core.lastError === '' ? '' : ` (${core.lastError})`}`;
  const lines = [
    `agent ${report.agent}, location ${report.location}, version ${report.version}`,
    `interface ${report.interface} ${report.up ? 'up' : 'down'}, port ${report.listenPort}, mtu ${report.mtu}, ${report.crypto}${report.offloads.map(name => ` ${name}`).join('')}${report.threads > 1 ? `, ${report.threads} threads` : ''}`,
    `core ${core.url}: ${coreText}, reconnects ${core.reconnects}`,
  ];
  if (report.clock !== 'core')
    lines.push(
      report.clock === 'none'
        ? 'clock not sane: no new grants until Core or NTP tells the time'
        : 'clock of the system',
    );
  lines.push(`sessions ${report.sessions.length}`);
  for (const session of report.sessions) {
    lines.push(
      `  ${session.id} user ${session.user} ${session.addresses.join(' ')} from ${session.endpoint ?? 'nowhere yet'}`,
      `    ${session.confirmed ? 'in use' : 'not used yet'}, rx ${session.rxBytes}, tx ${session.txBytes}, ends ${ends(session)}`,
    );
  }
  for (const end of report.recentEnds)
    lines.push(`ended ${end.at} ${end.id}: ${end.reason} (${describeEnd(end.reason)})`);
  return `${lines.join('\n')}\n`;
}

function ends(session: SessionReport): string {
  const clocks: [string, number | null][] = [
    ['unclaimed', session.claimIn],
    ['stale', session.staleIn],
    ['idle', session.idleIn],
    ['lease', session.leaseIn],
    ['expired', session.expiresIn],
  ];
  const running = clocks.filter((clock): clock is [string, number] => clock[1] !== null);
  running.sort(([, a], [, b]) => a - b);
  return running.map(([name, left]) => `${name} in ${left}s`).join(', ');
}

function seconds(ms: number): number | null {
  return Number.isFinite(ms) ? Math.round(ms / 1000) : null;
}

function date(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
