// The report as one HTML page with inline plots that needs nothing else: light and dark, narrow and wide, on screen and paper.

import { compare, isCable, isOurs, number, ratio, share } from './report.ts';
import type { Comparison, Setting } from './report.ts';
import { median } from './results.ts';
import type { Results, Series } from './results.ts';

const escape = (text: string): string => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);

// Columns of a plot, in its own units: names, bars, then the numbers, each right-aligned; an empty column is left out.
const [nameEnd, barsAt, barsEnd] = [196, 204, 560];
const [firstColumn, columnWidth] = [620, 86];
const [headHeight, rowHeight, barHeight, footHeight] = [18, 26, 16, 18];
const width = 980;
/** The scale of a plot whose values are all zero; it gets no ticks. */
const nothing = 1e-9;

/** A round number so that three to six steps of it cover `top`. */
function tickOf(top: number): number {
  const power = 10 ** Math.floor(Math.log10(top));
  return [0.2, 0.5, 1, 2].map(step => step * power).find(step => top / step <= 7)!;
}

function text(x: number, y: number, anchor: 'start' | 'middle' | 'end', content: string, kind = ''): string {
  if (content === '' || Number.isNaN(x)) return '';
  const classed = kind === '' ? '' : ` class="${kind}"`;
  return `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}"${classed}>${escape(content)}</text>`;
}

/** Better, worse, or within five percent. */
function verdict(value: number, better: Series['better']): string {
  if (!Number.isFinite(value) || Math.abs(value - 1) <= 0.05) return '';
  return value > 1 === (better === 'more') ? 'good' : 'bad';
}

/** Horizontal bars to the median, with every single run as a dot. */
function plot(series: readonly Series[], setting: Setting): string {
  const top = Math.max(...series.flatMap(one => one.values.filter(Number.isFinite)), nothing);
  const x = (value: number): number => barsAt + (Math.max(0, value) / top) * (barsEnd - barsAt);
  const bottom = headHeight + series.length * rowHeight;
  const compared = series.map(one => compare(one, series, setting));
  const fills = (of: (one: Comparison) => number): boolean => compared.some(one => Number.isFinite(of(one)));
  let next = firstColumn;
  const column = (isThere: boolean): number => (isThere ? (next += columnWidth) : NaN);
  const columns = {
    median: firstColumn,
    reference: column(fills(one => one.toReference)),
    cable: column(fills(one => one.ofCable)),
    rival: column(fills(one => one.toBestOther)),
  };
  const parts: string[] = [
    text(columns.median, 12, 'end', 'median', 'head'),
    text(columns.reference, 12, 'end', '× reference', 'head'),
    text(columns.cable, 12, 'end', 'of cable', 'head'),
    text(columns.rival, 12, 'end', '× best other', 'head'),
  ];
  const tick = tickOf(top);
  for (let value = 0; value <= top * 1.0001 && top > nothing; value += tick) {
    const at = x(value).toFixed(1);
    parts.push(`<line x1="${at}" x2="${at}" y1="${headHeight}" y2="${bottom}"/>`);
    parts.push(text(x(value), bottom + 13, 'middle', `${Number(value.toPrecision(3))}`, 'head'));
  }
  for (const [i, one] of series.entries()) {
    const y = headHeight + i * rowHeight + (rowHeight - barHeight) / 2;
    const baseline = y + 12.5;
    const middle = median(one.values);
    const kind = isOurs(one) ? 'ours' : isCable(one) ? 'cable' : 'other';
    const length = Number.isFinite(middle) ? x(middle) - barsAt : 0;
    const { toReference, bestOther, toBestOther, ofCable } = compared[i]!;
    parts.push(
      text(nameEnd, baseline, 'end', one.candidate, isOurs(one) ? 'strong' : ''),
      `<rect class="${kind}" x="${barsAt}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2"/>`,
      ...one.values
        .filter(Number.isFinite)
        .map(value => `<circle cx="${x(value).toFixed(1)}" cy="${y + barHeight / 2}" r="2.6"/>`),
      text(columns.median, baseline, 'end', number(middle), isOurs(one) ? 'strong' : ''),
      text(columns.reference, baseline, 'end', ratio(toReference), verdict(toReference, one.better)),
      text(columns.cable, baseline, 'end', share(ofCable)),
    );
    if (Number.isFinite(toBestOther))
      parts.push(
        text(columns.rival, baseline, 'end', ratio(toBestOther), verdict(toBestOther, one.better)),
        text(columns.rival + 8, baseline, 'start', bestOther, 'head'),
      );
  }
  const height = bottom + footHeight;
  return `<figure><svg viewBox="0 0 ${width} ${height}" role="img">${parts.filter(part => part !== '').join('\n')}</svg></figure>`;
}

const style = `
:root{color-scheme:light dark;--fg:#1d2430;--dim:#66707f;--bg:#fff;--line:#e3e6eb;--ours:#2a6fdb;--other:#d9a05b;--cable:#b4bac4;--good:#1d7a3f;--bad:#b3362b;--dot:#101826}
@media(prefers-color-scheme:dark){:root{--fg:#e4e8ee;--dim:#98a2b1;--bg:#14181f;--line:#2c333d;--ours:#4f8df0;--other:#b9803c;--cable:#59626f;--good:#63c486;--bad:#ef8077;--dot:#f4f6f9}}
body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:var(--fg);background:var(--bg)}
h1{margin-bottom:.3rem}h2{border-bottom:1px solid var(--line);margin:2.4rem 0 .4rem}
h3{margin:1.1rem 0 0;font-size:1rem}small,.legend{color:var(--dim);font-weight:normal}a{color:var(--ours)}
nav a{margin-right:.9rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:1rem 0}dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 1em}.legend i:first-child{margin-left:0}
figure{margin:0;overflow-x:auto}svg{width:100%;min-width:760px;height:auto;display:block;font:12px system-ui,sans-serif}svg text{fill:var(--fg)}svg .head{fill:var(--dim);font-size:11px}svg .strong{font-weight:600}
svg .good{fill:var(--good)}svg .bad{fill:var(--bad)}svg line{stroke:var(--line)}svg circle{fill:var(--dot);fill-opacity:.55}
.ours{fill:var(--ours)}.other{fill:var(--other)}.cable{fill:var(--cable)}i.ours{background:var(--ours)}i.other{background:var(--other)}i.cable{background:var(--cable)}
@media print{body{margin:0}h3,figure{break-inside:avoid}}`;

/** TCP, UDP, Latency … */
const title = (section: string): string =>
  escape(section.length === 3 ? section.toUpperCase() : section[0]!.toUpperCase() + section.slice(1));

function legend(setting: Setting): string {
  const reference = setting.reference === '' ? '' : `; × reference: against ${escape(setting.reference)}`;
  return `<p class="legend"><i class="ours"></i>sallyport<i class="other"></i>others<i class="cable"></i>bare cable (veth), what this machine carries without a tunnel</p>
<p class="legend">Bars are medians, dots single runs. Ratios and shares are medians over rounds${reference}; × best other: against the best other implementation of that row. “X ⇄ Y” is X as the gateway against Y. Green is better than the other, red worse.</p>`;
}

export function html(results: Results, setting: Setting): string {
  const groups = results.groups();
  const sections = [...new Set(groups.map(({ metric }) => metric.section))];
  const body = sections.map(section => {
    const plots = groups
      .filter(({ metric }) => metric.section === section)
      .map(
        ({ metric, series }) =>
          `<h3>${escape(metric.metric)} <small>${escape(metric.unit)}, ${metric.better} is better</small></h3>\n${plot(series, setting)}`,
      );
    return `<h2 id="${escape(section)}">${title(section)}</h2>\n${plots.join('\n')}`;
  });
  const facts: [string, string][] = [
    ['when', setting.date],
    ['machine', `${setting.cpus} × ${setting.cpu}, Linux ${setting.kernel}`],
    ['runs', `up to ${setting.pairs} rounds, candidates in alternation, TCP runs of ${setting.seconds} s`],
    ...Object.entries(setting.candidates),
    ...results.notes.map((note): [string, string] => ['note', note]),
  ];
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sallyport benchmark</title>
<style>${style}</style>
<h1>Sallyport benchmark</h1>
<nav>${sections.map(section => `<a href="#${escape(section)}">${title(section)}</a>`).join(' ')}</nav>
<dl>${facts.map(([term, fact]) => `<dt>${escape(term)}</dt><dd>${escape(fact)}</dd>`).join('\n')}</dl>
${legend(setting)}
${body.join('\n')}</html>
`;
}
