// What this process uses, for its metrics.

import type { ProcessFacts } from './prometheus.ts';

export async function processFacts(): Promise<ProcessFacts> {
  const asked = performance.now();
  await new Promise(resolve => setImmediate(resolve));
  const loopLagSeconds = (performance.now() - asked) / 1000;
  const { user, system } = process.cpuUsage();
  return {
    residentBytes: process.memoryUsage.rss(),
    heapBytes: process.memoryUsage().heapUsed,
    cpuSeconds: (user + system) / 1e6,
    startSeconds: Math.floor(Date.now() / 1000 - process.uptime()),
    loopLagSeconds,
  };
}
