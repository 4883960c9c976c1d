/**
 * Growth tables as text, Markdown and a page with a chart each.
 *
 * Always true: every point of a chart is in the table beside it, as cost and as the rate at which it was measured; a
 * point without a figure says so.
 */
import { factRows, numberText } from './cells.mjs';
import { lineChart } from './line-chart.mjs';
import { pageOf, verdict } from './page.mjs';
import { escapeText } from './svg.mjs';

const UNIT = 'µs of broker CPU per message';

/** Plain text for a terminal. */
export function growthText(report) {
  const blocks = report.tables.map((table) => {
    const lines = gridOf(table);
    const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
    const text = lines.map((line) => `  ${line.map((cell, at) => cell.padStart(widths[at])).join('   ')}`);
    return [
      `${table.name}: ${UNIT}, and messages/s`,
      ...text,
      ...growthLines(table).map((line) => `  ${line}`),
    ];
  });
  const facts = factRows(report).map(([name, text]) => `${name.padEnd(12)}${text}`);
  const faults = report.faults.map((fault) => `FAULT       ${fault}`);
  return `${[...blocks, [...facts, ...faults]].map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** One table in Markdown, with what it says about growth. */
export function growthTableMarkdown(table) {
  const [head, ...lines] = gridOf(table).map((cells) => `| ${cells.join(' | ')} |`);
  const rule = `| ${table.series.map(() => '---:').join(' | ')} | ---: |${table.memory ? ' ---: |' : ''}`;
  return [[head, rule, ...lines].join('\n'), ...growthLines(table)].join('\n\n');
}

/** A whole report in Markdown; its charts are files beside it. */
export function growthMarkdown(report) {
  const facts = factRows(report).map(([name, text]) => `| ${name} | ${text} |`);
  const faults = report.faults.map((fault) => `- ${fault}`);
  const blocks = report.tables.map(
    (table) =>
      `## ${table.name}\n\n![${table.name}](${chartFileName(table)})\n\n${growthTableMarkdown(table)}`,
  );
  return [
    '# Growth of the cost of a message',
    ['| | |', '| --- | --- |', ...facts].join('\n'),
    `Each figure is ${UNIT}, and the messages/s at which it was measured.`,
    faults.length === 0 ? 'Nothing was lost that was promised.' : `Faults:\n\n${faults.join('\n')}`,
    ...blocks,
    '',
  ].join('\n\n');
}

/** The whole page as text. */
export function growthHtml(report) {
  const facts = factRows(report).map(
    ([name, text]) => `<tr><td>${escapeText(name)}</td><td>${escapeText(text)}</td></tr>`,
  );
  const links = report.tables.map(({ name }) => `<a href="#${name}">${name}</a>`);
  const sections = report.tables.map((table) => {
    const [head, ...lines] = gridOf(table);
    const row = (cells, tag) =>
      `<tr>${cells.map((cell) => `<${tag} class="number">${escapeText(cell)}</${tag}>`).join('')}</tr>`;
    return `<section id="${table.name}"><h2>${table.name}</h2>
<figure><h3>Cost of a message by ${escapeText(table.axis)}</h3>${growthChart(table)}</figure>
<div class="wide"><table>${row(head, 'th')}${lines.map((cells) => row(cells, 'td')).join('')}</table></div>
${growthLines(table)
  .map((line) => `<p class="below">${escapeText(line)}</p>`)
  .join('')}</section>`;
  });
  return pageOf(
    'Growth of the cost of a message',
    `<div class="wide"><table class="facts">${facts.join('')}</table></div>
${verdict(report.faults)}
<nav>${links.join('')}</nav>
<p>Each figure is ${UNIT}, and the messages/s at which it was measured.</p>
${sections.join('\n')}`,
  );
}

/** The chart of a table. */
export function growthChart(table) {
  const series = table.series.map(({ key, name }) => ({
    name,
    points: table.rows.flatMap(({ size, cells }) =>
      cells[key]?.costUs > 0 ? [[size, cells[key].costUs]] : [],
    ),
  }));
  const { axis, scale } = table;
  return lineChart(`Cost of a message by ${axis}`, series, { axis, unit: UNIT, scale });
}

/** Name of the chart's own file. */
export function chartFileName({ name }) {
  return `growth-${name}.svg`;
}

/** Head and rows as text. */
function gridOf({ axis, series, memory, rows }) {
  const head = [axis, ...series.map(({ name }) => name), ...(memory ? ['resident memory'] : [])];
  const lines = rows.map(({ size, cells }) => [
    numberText(size),
    ...series.map(({ key }) => cellText(cells[key])),
    ...(memory ? [megabytes(cells[memory]?.rssBytes)] : []),
  ]);
  return [head, ...lines];
}

function cellText(cell) {
  if (cell === undefined) return 'not measured';
  const cost = cell.costUs === undefined ? 'not measured' : `${Number(cell.costUs.toPrecision(3))} µs`;
  return cell.perSecond === undefined ? cost : `${cost}, ${numberText(cell.perSecond)}/s`;
}

function megabytes(bytes) {
  return bytes === undefined ? 'not measured' : `${numberText(Math.round(bytes / 1e6))} MB`;
}

/** How the cost of each series changes over the whole range. */
function growthLines({ axis, series, rows }) {
  const changes = series.flatMap(({ key, name }) => {
    const measured = rows.filter(({ cells }) => cells[key]?.costUs > 0);
    if (measured.length < 2) return [];
    const [first, last] = [measured[0], measured.at(-1)];
    const factor = last.cells[key].costUs / first.cells[key].costUs;
    const times = last.size / first.size;
    return [
      `${name}: ${numberText(times)} times as many ${axis} cost ${Number(factor.toPrecision(2))} times as much per message`,
    ];
  });
  return changes.length === 0 ? [] : [`${changes.join('; ')}.`];
}
