import t from 'tap';
import { coreMetrics } from '../../src/core/metrics.ts';
import { coreFacts } from '../fixtures/system/metricfacts.ts';

t.test('Core in numbers', async t => {
  const text = coreMetrics(coreFacts);
  for (const line of [
    'sallyport_core_agents{location="Head \\"office\\"",state="connected"} 2',
    'sallyport_core_agents{location="Head \\"office\\"",state="away"} 1',
    'sallyport_core_sessions{location="Head \\"office\\"",state="confirmed"} 4',
    'sallyport_core_proxies{state="connected"} 1',
    'sallyport_core_proxies{state="away"} 1',
    'sallyport_core_session_ends_total{reason="stale"} 7',
    'sallyport_core_session_ends_total{reason="expired"} 0',
    'sallyport_core_grants_total{result="granted"} 8',
    'sallyport_core_requests_total{path="/api/v1/mfa/start",status="429"} 1',
    'sallyport_core_request_seconds_bucket{le="0.025"} 1',
    'sallyport_core_request_seconds_bucket{le="+Inf"} 2',
    'sallyport_core_request_seconds_sum 20.02',
    'sallyport_core_audit_records 9',
  ])
    t.ok(text.split('\n').includes(line), line);
});
