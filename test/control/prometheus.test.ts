import t from 'tap';
import { addProcess, labelled, MetricsText } from '../../src/control/prometheus.ts';

t.test('names, labels and numbers as Prometheus reads them', async t => {
  const text = new MetricsText();
  text.add('a_total', 'counter', 'All of a.', labelled(new Map([['x\\"\n', 1]]), 'by'));
  text.one('b', 'gauge', 'One b.', Infinity);
  text.one('c', 'gauge', 'One c.', Number.NaN);
  addProcess(text, { residentBytes: 1, heapBytes: 2, cpuSeconds: 3, startSeconds: 4, loopLagSeconds: 0.5 });
  const lines = String(text).split('\n');
  t.same(lines.slice(0, 3), [
    '# HELP a_total All of a.',
    '# TYPE a_total counter',
    'a_total{by="x\\\\\\"\\n"} 1',
  ]);
  t.ok(lines.includes('b +Inf'));
  t.ok(lines.includes('c NaN'));
  t.ok(lines.includes('process_cpu_seconds_total 3'));
  t.equal(lines.at(-1), '');
});
