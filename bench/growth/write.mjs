/**
 * Writes growth tables as files, and into the document that keeps them. Runs in the bench's main process.
 *
 * Always true: in the document only what lies between the markers of a measured table changes; a table without markers is
 * an error before anything is written.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  chartFileName,
  growthChart,
  growthHtml,
  growthMarkdown,
  growthTableMarkdown,
} from '../report/growth.mjs';
import { chartFile } from '../report/page.mjs';

const DOCUMENT = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
/** Of the charts, beside the document. */
const CHART_FOLDER = 'charts';

/** Writes JSON, Markdown, a page and a chart per table below `directory`; resolves to the paths. */
export async function writeGrowth(report, directory) {
  const stamp = report.startedAt.replaceAll(/[:.]/g, '-');
  return writeAll(directory, [
    [`growth-${stamp}.json`, `${JSON.stringify(report, null, 1)}\n`],
    ['growth.md', growthMarkdown(report)],
    ['growth.html', growthHtml(report)],
    ...chartsOf(report),
  ]);
}

/** Puts the tables between their markers in docs/performance.md, and the charts beside it; resolves to the paths. */
export async function writeDocs(report) {
  const text = withTables(await readFile(DOCUMENT, 'utf8'), report);
  const charts = await writeAll(path.join(path.dirname(DOCUMENT), CHART_FOLDER), chartsOf(report));
  await writeFile(DOCUMENT, text);
  return [DOCUMENT, ...charts];
}

/** `text` with the tables of `report` between their markers. */
export function withTables(text, report) {
  return report.tables.reduce((before, table) => {
    const begin = `<!-- growth: ${table.name} -->`;
    const end = '<!-- end of growth -->';
    const from = before.indexOf(begin);
    const to = before.indexOf(end, from);
    if (from < 0 || to < 0) throw new Error(`docs/performance.md has no markers for the table ${table.name}`);
    const block = `![cost of a message by ${table.axis}](${CHART_FOLDER}/${chartFileName(table)})\n\n${growthTableMarkdown(table)}\n\n${originOf(report)}`;
    return `${before.slice(0, from + begin.length)}\n\n${block}\n\n${before.slice(to)}`;
  }, text);
}

/** On what and when the figures of a table were measured. */
function originOf({ startedAt, machine, commit }) {
  return `Measured on ${startedAt.slice(0, 10)} at commit ${commit}: ${machine.cores} cores (${machine.cpu}), Node.js ${machine.node}, load before ${machine.loadAverage}.`;
}

function chartsOf({ tables }) {
  return tables.map((table) => [chartFileName(table), chartFile(growthChart(table))]);
}

async function writeAll(directory, files) {
  await mkdir(directory, { recursive: true });
  const written = [];
  for (const [name, text] of files) {
    const file = path.join(directory, name);
    await writeFile(file, text);
    written.push(file);
  }
  return written;
}
