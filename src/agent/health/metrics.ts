// Prometheus text (exposition format 0.0.4) of the gateway: WireGuard's numbers under the names dashboards know, ours beside them.
// Endpoints and users are never labels: cardinality and privacy. Pure: a snapshot in, text out.

import { toBase64 } from '../../util/bytes.ts';
import { endReasons } from '../../control/clientapi/reasons.ts';
import { formatPrefix } from '../../util/inet.ts';
import type { DeviceState } from '../dataplane/commands.ts';

export interface MetricsInput {
  readonly state: DeviceState;
  readonly version: string;
  readonly core: { readonly connected: boolean; readonly reconnects: number };
  /** `sallyport_grants_total` by result, `sallyport_session_ends_total` by reason. */
  readonly grants: ReadonlyMap<string, number>;
  readonly ends: ReadonlyMap<string, number>;
  readonly process: {
    readonly residentBytes: number;
    readonly heapBytes: number;
    readonly cpuSeconds: number;
    readonly startSeconds: number;
    readonly loopLagSeconds: number;
  };
}

type Labels = Readonly<Record<string, string>>;
type Sample = { readonly suffix?: string; readonly labels?: Labels; readonly value: number };

export function metricsText(input: MetricsInput): string {
  const { state, core } = input;
  const { counters } = state;
  const of = (entries: Iterable<readonly [string, number]>, label: string): Sample[] =>
    [...entries].map(([name, value]) => ({ labels: { [label]: name }, value }));
  const peers = (value: (peer: DeviceState['peers'][number]) => number): Sample[] =>
    state.peers.map(peer => ({
      labels: {
        interface: state.ifname,
        public_key: toBase64(peer.publicKey),
        allowed_ips: peer.allowedIps.map(formatPrefix).join(','),
      },
      value: value(peer),
    }));
  const sessions = state.peers.filter(peer => peer.session !== null);
  const ends = new Map<string, number>(endReasons.map(reason => [reason, 0]));
  for (const [reason, count] of input.ends) ends.set(reason, count);
  const lines: string[] = [];
  const metric = (
    name: string,
    type: 'counter' | 'gauge' | 'histogram',
    help: string,
    samples: Sample[],
  ): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { suffix = '', labels = {}, value } of samples)
      lines.push(`${name}${suffix}${braces(labels)} ${number(value)}`);
  };

  metric(
    'wireguard_sent_bytes_total',
    'counter',
    'Bytes sent to the peer.',
    peers(peer => peer.txBytes),
  );
  metric(
    'wireguard_received_bytes_total',
    'counter',
    'Bytes received from the peer.',
    peers(peer => peer.rxBytes),
  );
  metric(
    'wireguard_latest_handshake_seconds',
    'gauge',
    'Unix time of the latest handshake, 0 for none.',
    peers(peer => Math.floor(peer.lastHandshakeWallMs / 1000)),
  );
  metric('wireguard_interface_info', 'gauge', 'The interface.', [
    {
      labels: {
        interface: state.ifname,
        public_key: state.publicKey === null ? '' : toBase64(state.publicKey),
        listen_port: `${state.listenPort}`,
        fwmark: `${state.fwmark}`,
      },
      value: 1,
    },
  ]);
  metric('sallyport_info', 'gauge', 'The version, and the cipher, offloads and packet threads in use.', [
    {
      labels: {
        version: input.version,
        crypto: counters.crypto,
        offloads: counters.offloads.join(','),
        threads: String(counters.threads),
      },
      value: 1,
    },
  ]);
  metric('sallyport_core_connected', 'gauge', 'Whether Core has proved itself on the channel.', [
    { value: core.connected ? 1 : 0 },
  ]);
  metric('sallyport_core_reconnects_total', 'counter', 'Channels to Core after the first.', [
    { value: core.reconnects },
  ]);
  metric('sallyport_sessions', 'gauge', 'Live sessions, by whether a handshake confirmed them.', [
    { labels: { state: 'confirmed' }, value: sessions.filter(peer => peer.session!.confirmed).length },
    { labels: { state: 'waiting' }, value: sessions.filter(peer => !peer.session!.confirmed).length },
  ]);
  metric('sallyport_session_ends_total', 'counter', 'Ended sessions by reason.', of(ends, 'reason'));
  metric('sallyport_grants_total', 'counter', 'Grants by what became of them.', of(input.grants, 'result'));
  metric(
    'sallyport_handshakes_total',
    'counter',
    'Handshakes by what became of them.',
    of(Object.entries(counters.handshakes), 'result'),
  );
  metric(
    'sallyport_drops_total',
    'counter',
    'Packets dropped, by reason.',
    of(Object.entries(counters.drops), 'reason'),
  );
  metric('sallyport_batch_packets', 'histogram', 'Packets sealed in one batch.', histogram(counters.batches));
  metric('sallyport_loop_lag_seconds', 'gauge', 'Longest turn of the packet loop since the last scrape.', [
    { value: counters.loopLagMs / 1000 },
  ]);
  metric('nodejs_eventloop_lag_seconds', 'gauge', 'Delay of the control thread.', [
    { value: input.process.loopLagSeconds },
  ]);
  metric('nodejs_heap_size_used_bytes', 'gauge', 'JavaScript heap in use.', [
    { value: input.process.heapBytes },
  ]);
  metric('process_resident_memory_bytes', 'gauge', 'Resident memory.', [
    { value: input.process.residentBytes },
  ]);
  metric('process_cpu_seconds_total', 'counter', 'CPU time used.', [{ value: input.process.cpuSeconds }]);
  metric('process_start_time_seconds', 'gauge', 'Unix time of the start.', [
    { value: input.process.startSeconds },
  ]);
  return `${lines.join('\n')}\n`;
}

function histogram({ bounds, counts, sum }: DeviceState['counters']['batches']): Sample[] {
  const samples: Sample[] = [];
  let total = 0;
  for (const [i, count] of counts.entries()) {
    total += count;
    const le = i < bounds.length ? `${bounds[i]}` : '+Inf';
    samples.push({ suffix: '_bucket', labels: { le }, value: total });
  }
  samples.push({ suffix: '_sum', value: sum }, { suffix: '_count', value: total });
  return samples;
}

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escape(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escape(value: string): string {
  return value.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n');
}

function number(value: number): string {
  return Number.isFinite(value) ? `${value}` : value > 0 ? '+Inf' : 'NaN';
}
