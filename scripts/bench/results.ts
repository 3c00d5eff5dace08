// Results: one series per metric and candidate, collected run by run so that candidates alternate; medians, spread and
// paired ratios come out of it, never a best run.

export interface Metric {
  readonly section: string;
  readonly metric: string;
  readonly unit: string;
  readonly better: 'more' | 'less';
}

export interface Series extends Metric {
  readonly candidate: string;
  readonly values: number[];
}

export function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  if (sorted.length === 0) return NaN;
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? NaN;
}

export class Results {
  readonly #series = new Map<string, Series>();
  readonly notes: string[] = [];

  add(metric: Metric, candidate: string, value: number): void {
    const key = `${metric.section}\0${metric.metric}\0${candidate}`;
    let series = this.#series.get(key);
    if (series === undefined) this.#series.set(key, (series = { ...metric, candidate, values: [] }));
    series.values.push(value);
  }

  note(text: string): void {
    this.notes.push(text);
    process.stderr.write(`note: ${text}\n`);
  }

  all(): Series[] {
    return [...this.#series.values()];
  }

  /** Metric by metric, in the order measured, with the candidates side by side. */
  groups(): { metric: Metric; series: Series[] }[] {
    const groups = new Map<string, { metric: Metric; series: Series[] }>();
    for (const series of this.#series.values()) {
      const key = `${series.section}\0${series.metric}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, { metric: series, series: [series] });
      else group.series.push(series);
    }
    return [...groups.values()];
  }
}

/** The series with the best median; undefined when none has one. */
export function best(group: readonly Series[]): Series | undefined {
  const sorted = group
    .filter(one => Number.isFinite(median(one.values)))
    .sort((a, b) => median(a.values) - median(b.values));
  return sorted.at(sorted[0]?.better === 'more' ? -1 : 0);
}

/** Median over the pairs of value/reference of the same round; NaN where the rounds do not match. */
export function pairedRatio(series: Series, reference: Series | undefined): number {
  if (reference === undefined || reference === series) return NaN;
  const rounds = Math.min(series.values.length, reference.values.length);
  return median(Array.from({ length: rounds }, (_, i) => series.values[i]! / reference.values[i]!));
}
