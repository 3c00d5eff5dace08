// Every metric that the dashboard or an alert names is one that a role writes, and Prometheus' own checker has nothing to say.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { metricsText } from '../../src/agent/health/metrics.ts';
import { coreMetrics } from '../../src/core/metrics.ts';
import { proxyMetrics } from '../../src/proxy/metrics.ts';
import { FakeLink } from '../fixtures/fakes/fakelink.ts';
import { has } from '../fixtures/lab/netns.ts';
import { coreFacts, processFacts, proxyFacts } from '../fixtures/system/metricfacts.ts';

const folder = new URL('../../firmware/monitoring/', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(folder, file), 'utf8');

const texts = {
  gateway: metricsText({
    state: new FakeLink().state(),
    version: '1',
    core: { connected: true, reconnects: 0 },
    grants: new Map(),
    ends: new Map(),
    process: processFacts,
  }),
  core: coreMetrics(coreFacts),
  proxy: proxyMetrics(proxyFacts),
};

const written = new Set(
  Object.values(texts).flatMap(text => [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].flatMap(namesOf)),
);

function namesOf([, name, type]: RegExpMatchArray): string[] {
  return type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name!];
}

function named(text: string): string[] {
  return [...text.matchAll(/\b(?:sallyport|wireguard|nodejs|process)_[a-z_]+\b/g)].map(([name]) => name);
}

t.test('the dashboard and the alerts name metrics that exist', async t => {
  const { panels } = JSON.parse(read('dashboard.json')) as {
    panels: { title: string; targets: { expr: string }[] }[];
  };
  t.ok(panels.length >= 12);
  for (const { title, targets } of panels)
    for (const { expr } of targets) {
      t.ok(named(expr).length > 0, title);
      for (const name of named(expr)) t.ok(written.has(name), `${title}: ${name}`);
    }
  const rules = [...read('alerts.yaml').matchAll(/^ +expr: (.+)$/gm)].map(([, expr]) => expr!);
  t.ok(rules.length >= 8);
  for (const name of rules.flatMap(named)) t.ok(written.has(name), name);
  t.notOk(written.has('sallyport_core_nonsense'));
});

t.test('promtool', { skip: !has('promtool') && 'promtool is not installed' }, async t => {
  for (const [role, text] of Object.entries(texts)) {
    const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    });
    t.equal(status, 0, `${role}: ${stdout}${stderr}`);
  }
  const rules = spawnSync('promtool', ['check', 'rules', join(folder, 'alerts.yaml')], { encoding: 'utf8' });
  t.equal(rules.status, 0, rules.stdout + rules.stderr);
});
