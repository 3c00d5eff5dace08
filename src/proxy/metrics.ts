// Prometheus text of the Proxy. Addresses of clients are never labels. Pure: facts in, text out.

import { addProcess, MetricsText } from '../control/prometheus.ts';
import type { ProcessFacts, Sample } from '../control/prometheus.ts';

export interface ProxyFacts {
  readonly coreConnected: boolean;
  /** Requests that Core has not answered yet, and event streams that are open. */
  readonly waiting: number;
  readonly requests: { readonly counts: readonly Sample[]; readonly seconds: readonly Sample[] };
  /** Sources in the table of limits. */
  readonly sources: number;
  readonly process: ProcessFacts;
}

export function proxyMetrics(facts: ProxyFacts): string {
  const text = new MetricsText();
  text.one(
    'sallyport_proxy_core_connected',
    'gauge',
    'Whether a Core is connected.',
    facts.coreConnected ? 1 : 0,
  );
  text.one(
    'sallyport_proxy_waiting',
    'gauge',
    'Requests and streams that are open towards Core.',
    facts.waiting,
  );
  text.one('sallyport_proxy_sources', 'gauge', 'Addresses in the table of limits.', facts.sources);
  text.add(
    'sallyport_proxy_requests_total',
    'counter',
    'Requests of clients by path and status; 429 is a source over its limit.',
    facts.requests.counts,
  );
  text.add(
    'sallyport_proxy_request_seconds',
    'histogram',
    'Time until a request was answered or its stream closed.',
    facts.requests.seconds,
  );
  addProcess(text, facts.process);
  return text.toString();
}
