// Prometheus text (exposition format 0.0.4). Pure: names, labels and numbers in, lines out.

export type Labels = Readonly<Record<string, string>>;
export type Sample = { readonly suffix?: string; readonly labels?: Labels; readonly value: number };
export type MetricType = 'counter' | 'gauge' | 'histogram';

export class MetricsText {
  readonly #lines: string[] = [];

  add(name: string, type: MetricType, help: string, samples: readonly Sample[]): void {
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    for (const { suffix = '', labels = {}, value } of samples)
      this.#lines.push(`${name}${suffix}${braces(labels)} ${number(value)}`);
  }

  one(name: string, type: MetricType, help: string, value: number): void {
    this.add(name, type, help, [{ value }]);
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

/** One sample for each entry, its name as the value of `label`. */
export function labelled(entries: Iterable<readonly [string, number]>, label: string): Sample[] {
  return [...entries].map(([name, value]) => ({ labels: { [label]: name }, value }));
}

export interface Buckets {
  readonly bounds: readonly number[];
  /** One more than there are bounds. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export function histogram({ bounds, counts, sum }: Buckets): Sample[] {
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

export interface ProcessFacts {
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly cpuSeconds: number;
  readonly startSeconds: number;
  readonly loopLagSeconds: number;
}

export function addProcess(text: MetricsText, facts: ProcessFacts): void {
  text.one('nodejs_eventloop_lag_seconds', 'gauge', 'Delay of the control thread.', facts.loopLagSeconds);
  text.one('nodejs_heap_size_used_bytes', 'gauge', 'JavaScript heap in use.', facts.heapBytes);
  text.one('process_resident_memory_bytes', 'gauge', 'Resident memory.', facts.residentBytes);
  text.one('process_cpu_seconds_total', 'counter', 'CPU time used.', facts.cpuSeconds);
  text.one('process_start_time_seconds', 'gauge', 'Unix time of the start.', facts.startSeconds);
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
