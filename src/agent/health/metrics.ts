// Prometheus text (exposition format 0.0.4) of the gateway: WireGuard's numbers under the names dashboards know, ours beside them.
// Endpoints and users are never labels: cardinality and privacy. Pure: a snapshot in, text out.

import { toBase64 } from '../../util/bytes.ts';
import { endReasons } from '../../control/clientapi/reasons.ts';
import { addProcess, histogram, labelled, MetricsText } from '../../control/prometheus.ts';
import type { ProcessFacts, Sample } from '../../control/prometheus.ts';
import { formatPrefix } from '../../util/inet.ts';
import type { DeviceState } from '../dataplane/commands.ts';

export interface MetricsInput {
  readonly state: DeviceState;
  readonly version: string;
  readonly core: { readonly connected: boolean; readonly reconnects: number };
  /** `sallyport_grants_total` by result, `sallyport_session_ends_total` by reason. */
  readonly grants: ReadonlyMap<string, number>;
  readonly ends: ReadonlyMap<string, number>;
  readonly process: ProcessFacts;
}

export function metricsText(input: MetricsInput): string {
  const { state, core } = input;
  const { counters } = state;
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
  const text = new MetricsText();
  const metric = text.add.bind(text);

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
  metric('sallyport_session_ends_total', 'counter', 'Ended sessions by reason.', labelled(ends, 'reason'));
  metric(
    'sallyport_grants_total',
    'counter',
    'Grants by what became of them.',
    labelled(input.grants, 'result'),
  );
  metric(
    'sallyport_handshakes_total',
    'counter',
    'Handshakes by what became of them.',
    labelled(Object.entries(counters.handshakes), 'result'),
  );
  metric(
    'sallyport_drops_total',
    'counter',
    'Packets dropped, by reason.',
    labelled(Object.entries(counters.drops), 'reason'),
  );
  metric('sallyport_batch_packets', 'histogram', 'Packets sealed in one batch.', histogram(counters.batches));
  metric('sallyport_loop_lag_seconds', 'gauge', 'Longest turn of the packet loop since the last scrape.', [
    { value: counters.loopLagMs / 1000 },
  ]);
  addProcess(text, input.process);
  return text.toString();
}
