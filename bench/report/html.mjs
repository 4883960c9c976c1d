/**
 * A report as one HTML page: a chart per unit, the figures as a table below each scenario. Everything is inside the file.
 *
 * Always true: the page asks for nothing from anywhere; it can be read without colours, as every figure stands there as
 * text; a chart whose figure is missing says so.
 */
import { factRows, figureText, numberText, ratioText, sortedRows } from './cells.mjs';
import { barChart, curveChart, escapeText, splitChart } from './svg.mjs';

const STYLE = `
:root{color-scheme:light dark;--back:#fff;--text:#1d2330;--soft:#667085;--line:#d9dee8;--card:#f7f8fb;
--c0:#1763d6;--c1:#e07a1f;--c2:#2a9d5c;--c3:#9a4fd0;--c4:#cf3b5b;--c5:#0d9aa8;--c6:#8a6d3b;--c7:#5b6472}
@media(prefers-color-scheme:dark){:root{--back:#12151c;--text:#e6e9f0;--soft:#98a2b3;--line:#2c3342;--card:#191e28;
--c0:#5b9bff;--c1:#f0a04b;--c2:#4fc785;--c3:#c08af0;--c4:#f07088;--c5:#3cc8d6;--c6:#c4a56a;--c7:#9aa5b5}}
*{box-sizing:border-box}body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:920px;margin:0 auto;padding:24px 20px 60px}h1{font-size:28px;margin:0 0 12px}
h2{font-size:21px;margin:44px 0 2px}h3{font-size:15px;margin:18px 0 6px;font-weight:600}p{margin:0 0 8px;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:6px 14px;margin:14px 0}a{color:var(--c0)}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13.5px}td,th{text-align:left;padding:4px 14px 4px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.number,th.number{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}details{margin-top:10px}summary{cursor:pointer;color:var(--soft)}
.facts td:first-child{color:var(--soft);white-space:nowrap}.fault{color:var(--c4)}.good{color:var(--c2)}
figure{margin:0 0 8px;padding:12px 14px;background:var(--card);border-radius:8px}
svg{width:100%;height:auto;display:block;font:13px system-ui,sans-serif}svg text{fill:var(--text)}svg text.value{font-variant-numeric:tabular-nums}
svg text.group{font-weight:600}svg text.inside{fill:#fff;font-size:11px}.grid{stroke:var(--line);stroke-width:1}.spread{stroke:var(--text);stroke-width:2}.piece{stroke:var(--card);stroke-width:1}
${[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `.fill-${n}{fill:var(--c${n})}.line-${n}{fill:none;stroke:var(--c${n});stroke-width:2.5}`).join('')}`;

/** The whole page as text. */
export function renderHtml(report) {
  const colours = coloursOf(report);
  const sections = report.scenarios.map((scenario) => sectionOf(scenario, colours));
  const links = report.scenarios.map(({ name }) => `<a href="#${escapeText(name)}">${escapeText(name)}</a>`);
  const facts = factRows(report).map(
    ([name, text]) => `<tr><td>${escapeText(name)}</td><td>${escapeText(text)}</td></tr>`,
  );
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Sluice: benchmark results</title><style>${STYLE}</style></head>
<body><main><h1>Benchmark results</h1>
<div class="wide"><table class="facts">${facts.join('')}</table></div>
${verdict(report.faults)}
<nav>${links.join('')}</nav>
${sections.join('\n')}
</main></body></html>
`;
}

function verdict(faults) {
  if (faults.length === 0) return '<p class="good">Nothing was lost that was promised.</p>';
  return `<ul class="fault">${faults.map((fault) => `<li>${escapeText(fault)}</li>`).join('')}</ul>`;
}

/** Every broker has one colour on the whole page; Sluice the first. */
function coloursOf({ scenarios }) {
  const names = scenarios.flatMap(({ cases }) => cases.flatMap(({ rows }) => rows.map(({ peer }) => peer)));
  return new Map(
    ['sluice', ...new Set(names.filter((name) => name !== 'sluice'))].map((name, at) => [name, at]),
  );
}

function sectionOf({ name, about, cases }, colours) {
  const charts = [...barsOf(cases, colours), ...curvesOf(cases), ...splitsOf(cases)];
  return `<section id="${escapeText(name)}"><h2>${escapeText(name)}</h2><p>${escapeText(about)}</p>
${charts.join('\n')}
<details open><summary>Figures</summary><div class="wide">${tableOf(cases)}</div></details></section>`;
}

/** One chart per unit, so that the cases of a scenario can be compared with each other. */
function barsOf(cases, colours) {
  const units = [...new Set(cases.map(({ unit }) => unit))];
  return units.map((unit) => {
    const groups = cases.filter((test) => test.unit === unit);
    const title = `In ${unit}${groups[0].better === 'lower' ? ' (less is better)' : ''}`;
    const chart = barChart(
      title,
      groups.map((test) => ({ title: test.title, bars: sortedRows(test).map((row) => barOf(row, colours)) })),
    );
    return `<figure><h3>${escapeText(title)}</h3>${chart}</figure>`;
  });
}

function barOf({ peer, value, low, high }, colours) {
  return { name: peer, value, low, high, colour: colours.get(peer) ?? 0, text: numberText(value) };
}

/** Publish to delivery by percentile, one chart per load, one curve per broker; only where rates were fixed. */
function curvesOf(cases) {
  const kinds = new Map();
  for (const test of cases.filter(({ chart }) => chart === 'latency'))
    for (const { peer, figures } of sortedRows(test))
      if (figures?.deliveryCurveMs !== undefined) {
        const [rate, kind] = test.title.split(', ');
        const list = kinds.get(kind) ?? [];
        list.push({ name: `${peer}, ${rate}`, points: figures.deliveryCurveMs });
        kinds.set(kind, list);
      }
  return [...kinds].map(([kind, list]) => {
    const title = `Publish to delivery by percentile, ${kind}`;
    const curves = list.map((curve, colour) => ({ ...curve, colour }));
    return `<figure><h3>${escapeText(title)}</h3>${curveChart(title, curves)}</figure>`;
  });
}

/** Who did how much: queues and shared subscriptions with few consumers. */
function splitsOf(cases) {
  const rows = cases.flatMap((test) =>
    sortedRows(test)
      .filter(({ figures }) => (figures?.deliveredPerConsumer?.length ?? 0) > 1 && test.split)
      .map(({ figures }) => ({
        name: test.id,
        shares: figures.deliveredPerConsumer,
        marks: figures.deliveredPerConsumer.map((_, index) => (test.split[index] > 0 ? ' slow' : '')),
      })),
  );
  if (rows.length === 0) return [];
  const title = 'Messages per consumer';
  return [`<figure><h3>${title}</h3>${splitChart(title, rows)}</figure>`];
}

function tableOf(cases) {
  const rows = cases.flatMap((test) =>
    sortedRows(test).map((row) => {
      const faults = row.faults.map((fault) => `<span class="fault">${escapeText(fault)}</span>`);
      const notes = [escapeText(row.notes), ...faults].filter((text) => text !== '').join('<br>');
      const cells = [test.title, row.peer].map((text) => `<td>${escapeText(text)}</td>`);
      const numbers = [figureText(test, row), ratioText(test, row)].map(
        (text) => `<td class="number">${escapeText(text)}</td>`,
      );
      return `<tr>${cells.join('')}${numbers.join('')}<td>${escapeText(row.durability)}</td><td>${notes}</td></tr>`;
    }),
  );
  return `<table><tr><th>Load</th><th>Broker</th><th class="number">Measured</th><th class="number">Sluice against it</th><th>Durability</th><th>Notes</th></tr>${rows.join('')}</table>`;
}
