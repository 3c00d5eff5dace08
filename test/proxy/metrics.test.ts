import t from 'tap';
import { proxyMetrics } from '../../src/proxy/metrics.ts';
import { proxyFacts } from '../fixtures/system/metricfacts.ts';

t.test('the Proxy in numbers', async t => {
  const lines = proxyMetrics(proxyFacts).split('\n');
  for (const line of [
    'sallyport_proxy_core_connected 1',
    'sallyport_proxy_waiting 1',
    'sallyport_proxy_sources 2',
    'sallyport_proxy_requests_total{path="/api/v1/mfa/start",status="200"} 1',
    'sallyport_proxy_request_seconds_count 2',
    'nodejs_eventloop_lag_seconds 0.25',
  ])
    t.ok(lines.includes(line), line);
  t.match(proxyMetrics({ ...proxyFacts, coreConnected: false }), /core_connected 0$/m);
});
