import t from 'tap';
import { metricsText } from '../../../src/agent/health/metrics.ts';
import { FakeLink } from '../../fixtures/fakes/fakelink.ts';
import { plainPeer } from '../../fixtures/system/grant.ts';

const input = async (): Promise<Parameters<typeof metricsText>[0]> => {
  const link = new FakeLink();
  const allowedIps = [
    { family: 4, address: new Uint8Array([10, 77, 0, 2]), prefix: 32 },
    { family: 6, address: new Uint8Array(16), prefix: 128 },
  ] as const;
  await link.request({ op: 'grant', grant: plainPeer({ allowedIps: [...allowedIps], expiresInMs: 1000 }) });
  return {
    state: link.state(),
    version: '1.2.3',
    core: { connected: true, reconnects: 3 },
    grants: new Map([['granted', 2]]),
    ends: new Map([['stale', 4]]),
    process: { residentBytes: 5, heapBytes: 6, cpuSeconds: 1.5, startSeconds: 7, loopLagSeconds: 0.25 },
  };
};

t.test('the names of the contract', async t => {
  const text = metricsText(await input());
  const labels =
    '{interface="fake0",public_key="ERERERERERERERERERERERERERERERERERERERERERE=",allowed_ips="10.77.0.2/32,::/128"}';
  for (const line of [
    `wireguard_sent_bytes_total${labels} 1000`,
    `wireguard_received_bytes_total${labels} 2000`,
    `wireguard_latest_handshake_seconds${labels} 1700000000`,
    'sallyport_core_connected 1',
    'sallyport_core_reconnects_total 3',
    'sallyport_sessions{state="confirmed"} 1',
    'sallyport_sessions{state="waiting"} 0',
    'sallyport_session_ends_total{reason="stale"} 4',
    'sallyport_session_ends_total{reason="logout-user"} 0',
    'sallyport_grants_total{result="granted"} 2',
    'sallyport_handshakes_total{result="completed"} 3',
    'sallyport_drops_total{reason="malformed"} 1',
    'sallyport_batch_packets_bucket{le="1"} 1',
    'sallyport_batch_packets_bucket{le="8"} 3',
    'sallyport_batch_packets_bucket{le="64"} 6',
    'sallyport_batch_packets_bucket{le="+Inf"} 6',
    'sallyport_batch_packets_sum 120',
    'sallyport_batch_packets_count 6',
    'sallyport_loop_lag_seconds 0.0005',
    'sallyport_info{version="1.2.3",crypto="fake",offloads="gso",threads="1"} 1',
    'process_cpu_seconds_total 1.5',
  ])
    t.match(text, `\n${line}\n`);
});

t.test('what promtool would say', async t => {
  const types = new Map<string, string>();
  const helped = new Set<string>();
  for (const line of metricsText(await input())
    .trimEnd()
    .split('\n')) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') helped.add(name!);
      else {
        t.notOk(types.has(name!), `${name} is declared once`);
        types.set(name!, rest!);
        t.equal(name!.endsWith('_total'), rest === 'counter', `${name} is named as its type wants`);
      }
      continue;
    }
    const sample =
      /^([a-z_]+?)(_bucket|_sum|_count)?(\{[a-z_]+="(?:[^"\\\n]|\\.)*"(,[a-z_]+="(?:[^"\\\n]|\\.)*")*\})? -?[0-9.e+-]+$/.exec(
        line,
      );
    t.ok(sample, line);
    const name = types.has(sample![1]!) ? sample![1]! : `${sample![1]}${sample![2] ?? ''}`;
    t.ok(types.has(name) && helped.has(name), `${name} is declared before its samples`);
  }
});

t.test('no secret, no endpoint, no user', async t => {
  const text = metricsText(await input());
  t.notMatch(text, /MzMz|192\.0\.2\.7|anna/);
});

t.test('odd values and labels', async t => {
  const base = await input();
  const state = { ...base.state, ifname: 'a"b\\c\nd', peers: [] };
  const text = metricsText({
    ...base,
    state,
    process: { ...base.process, loopLagSeconds: Infinity, heapBytes: NaN },
  });
  t.match(text, 'wireguard_interface_info{interface="a\\"b\\\\c\\nd"');
  t.match(text, 'nodejs_eventloop_lag_seconds +Inf\n');
  t.match(text, 'nodejs_heap_size_used_bytes NaN\n');
});
