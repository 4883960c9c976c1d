/**
 * A report as one HTML page: a chart per unit, the figures as a table below each scenario. Everything is inside the file.
 *
 * Always true: the page asks for nothing from anywhere; it can be read without colours, as every figure stands there as
 * text; a chart whose figure is missing says so.
 */
import { factRows, figureText, numberText, ratioText, sortedRows } from './cells.mjs';
import { pageOf, verdict } from './page.mjs';
import { barChart, curveChart, escapeText, splitChart } from './svg.mjs';

/** The whole page as text. */
export function renderHtml(report) {
  const colours = coloursOf(report);
  const sections = report.scenarios.map((scenario) => sectionOf(scenario, colours));
  const links = report.scenarios.map(({ name }) => `<a href="#${escapeText(name)}">${escapeText(name)}</a>`);
  const facts = factRows(report).map(
    ([name, text]) => `<tr><td>${escapeText(name)}</td><td>${escapeText(text)}</td></tr>`,
  );
  return pageOf(
    'Benchmark results',
    `<div class="wide"><table class="facts">${facts.join('')}</table></div>
${verdict(report.faults)}
<nav>${links.join('')}</nav>
${sections.join('\n')}`,
  );
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
