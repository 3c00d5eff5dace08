// The report: a table for the terminal, JSON for machines, and one HTML page with inline plots that needs nothing else.

import { median, pairedRatio } from './results.ts';
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

const number = (value: number): string => {
  if (!Number.isFinite(value)) return '–';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(digits);
};
const spread = (series: Series): string =>
  series.values.length < 2
    ? ''
    : `${number(Math.min(...series.values))}–${number(Math.max(...series.values))}`;
const ratio = (value: number): string => (Number.isFinite(value) ? `×${value.toFixed(2)}` : '');

export function table(results: Results, reference: string): string {
  let text = '';
  let section = '';
  for (const { metric, series } of results.groups()) {
    if (metric.section !== section)
      text += `\n── ${(section = metric.section)} ${'─'.repeat(90 - section.length)}\n`;
    text += `${metric.metric} [${metric.unit}, ${metric.better} is better]\n`;
    for (const one of series) {
      const against = pairedRatio(
        one,
        series.find(other => other.candidate === reference),
      );
      const cells = [
        one.candidate.padEnd(34),
        number(median(one.values)).padStart(9),
        spread(one).padStart(17),
      ];
      text += `    ${cells.join(' ')} ${ratio(against).padStart(8)}\n`;
    }
  }
  return `${text}\nmedian, spread, ratio to ${reference} (median over pairs)\n`;
}

const escape = (text: string): string => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);

/** Horizontal bars with every single run as a dot. */
function plot(series: readonly Series[], reference: string): string {
  const [left, width, row] = [230, 420, 24];
  const top = Math.max(...series.flatMap(one => one.values.filter(Number.isFinite)), 1e-9);
  const x = (value: number): number => left + (value / top) * width;
  const height = series.length * row + 6;
  const rows = series.map((one, i) => {
    const y = i * row + 4;
    const middle = median(one.values);
    const colour = one.candidate.startsWith('sallyport')
      ? '#2a6fdb'
      : one.candidate === 'veth'
        ? '#b9b9b9'
        : '#e0a458';
    const dots = one.values
      .filter(Number.isFinite)
      .map(value => `<circle cx="${x(value).toFixed(1)}" cy="${y + 9}" r="2.4"/>`)
      .join('');
    const against = pairedRatio(
      one,
      series.find(other => other.candidate === reference),
    );
    return `<text x="${left - 8}" y="${y + 13}" text-anchor="end">${escape(one.candidate)}</text>
<rect x="${left}" y="${y}" width="${Number.isFinite(middle) ? (x(middle) - left).toFixed(1) : 0}" height="18" fill="${colour}"/>
<g fill="#0008">${dots}</g>
<text x="${left + width + 12}" y="${y + 13}">${number(middle)} ${ratio(against)}</text>`;
  });
  return `<svg viewBox="0 0 800 ${height}" width="800" height="${height}" role="img">${rows.join('\n')}</svg>`;
}

export function html(results: Results, setting: Setting): string {
  let body = '';
  let section = '';
  for (const { metric, series } of results.groups()) {
    if (metric.section !== section) body += `<h2>${escape((section = metric.section))}</h2>\n`;
    body += `<h3>${escape(metric.metric)} <small>${escape(metric.unit)}, ${metric.better} is better</small></h3>\n`;
    body += `${plot(series, setting.reference)}\n`;
  }
  const facts = [
    `${setting.date}, Linux ${setting.kernel}, ${setting.cpus} × ${setting.cpu}`,
    `${setting.pairs} alternating rounds of ${setting.seconds} s; bars are medians, dots single runs, ratios medians over rounds against ${setting.reference}`,
    ...Object.entries(setting.candidates).map(([name, version]) => `${name}: ${version}`),
    ...results.notes,
  ];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sallyport benchmark</title>
<style>body{font:15px/1.5 system-ui,sans-serif;max-width:860px;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
svg text{font:12px system-ui,sans-serif;fill:#222}h2{border-bottom:1px solid #ccc;margin-top:2rem}h3{margin:.8rem 0 .2rem;font-size:1rem}small{color:#666;font-weight:normal}</style>
<h1>Sallyport benchmark</h1>
<ul>${facts.map(fact => `<li>${escape(fact)}</li>`).join('\n')}</ul>
${body}</html>
`;
}

export function json(results: Results, setting: Setting): string {
  const series = results.all().map(one => ({ ...one, median: median(one.values) }));
  return `${JSON.stringify({ setting, series, notes: results.notes }, null, 1)}\n`;
}
