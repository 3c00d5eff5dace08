// The report for terminals and machines: a table and JSON, with what each series is compared with. The page is page.ts.

import { best, median, pairedRatio } from './results.ts';
import type { Results, Series } from './results.ts';

export interface Setting {
  readonly date: string;
  readonly kernel: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly pairs: number;
  readonly seconds: number;
  readonly reference: string;
  readonly candidates: Record<string, string>;
}

export interface Comparison {
  /** Ratio to the reference implementation; NaN when there is none. */
  readonly toReference: number;
  /** For our own series: the best of the other implementations (both ends the same), and the ratio to it. */
  readonly bestOther: string;
  readonly toBestOther: number;
  /** Share of what the bare cable carried in the same round; NaN where the cable was not measured. */
  readonly ofCable: number;
}

export const isOurs = (one: Series): boolean => one.candidate.startsWith('sallyport');
export const isCable = (one: Series): boolean => one.candidate === 'veth';

/** `group` is all series of the same metric. */
export function compare(one: Series, group: readonly Series[], setting: Setting): Comparison {
  const named = (name: string): Series | undefined => group.find(other => other.candidate === name);
  const others = group.filter(other => !isOurs(other) && Object.hasOwn(setting.candidates, other.candidate));
  const rival = isOurs(one) ? best(others) : undefined;
  const cable = isCable(one) || one.better === 'less' ? undefined : group.find(isCable);
  return {
    toReference: isCable(one) ? NaN : pairedRatio(one, named(setting.reference)),
    bestOther: rival?.candidate ?? '',
    toBestOther: pairedRatio(one, rival),
    ofCable: pairedRatio(one, cable),
  };
}

export const number = (value: number): string => {
  if (!Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(value === 0 ? 0 : digits);
};
export const ratio = (value: number): string => (Number.isFinite(value) ? `×${value.toFixed(2)}` : '');
export const share = (value: number): string =>
  Number.isFinite(value) ? `${(value * 100).toFixed(0)} %` : '';

const spread = (series: Series): string =>
  series.values.length < 2
    ? ''
    : `${number(Math.min(...series.values))}–${number(Math.max(...series.values))}`;

export function table(results: Results, setting: Setting): string {
  let text = '';
  let section = '';
  for (const { metric, series } of results.groups()) {
    if (metric.section !== section) {
      section = metric.section;
      text += `\n── ${section} ${'─'.repeat(106 - section.length)}\n`;
      const titles = [''.padEnd(32), 'median'.padStart(9), 'spread'.padStart(17)];
      text += `    ${titles.join(' ')}  × reference  of veth  × best other\n`;
    }
    text += `${metric.metric} [${metric.unit}, ${metric.better} is better]\n`;
    for (const one of series) {
      const { toReference, bestOther, toBestOther, ofCable } = compare(one, series, setting);
      const cells = [
        one.candidate.padEnd(32),
        number(median(one.values)).padStart(9),
        spread(one).padStart(17),
        ratio(toReference).padStart(12),
        share(ofCable).padStart(8),
        Number.isFinite(toBestOther) ? `${ratio(toBestOther).padStart(8)} ${bestOther}` : '',
      ];
      text += `    ${cells.join(' ')}`.trimEnd() + '\n';
    }
  }
  return `${text}\nreference: ${setting.reference || 'none'}; ratios and shares are medians over the rounds; best other: the best median among other implementations with themselves at both ends\n`;
}

export function json(results: Results, setting: Setting): string {
  const series = results.groups().flatMap(({ series: group }) =>
    group.map(one => ({
      ...one,
      median: median(one.values),
      ...compare(one, group, setting),
    })),
  );
  return `${JSON.stringify({ setting, series, notes: results.notes }, null, 1)}\n`;
}
