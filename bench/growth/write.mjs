/**
 * Writes growth tables as files, and into the document that keeps them. Runs in the bench's main process.
 *
 * Always true: the charts beside the document are those of the tables in it; a table that was not measured keeps what it
 * has.
 */
import path from 'node:path';
import { DOCUMENT_DIRECTORY, originText, writeFigures } from '../report/document.mjs';
import {
  chartFileName,
  growthChart,
  growthHtml,
  growthMarkdown,
  growthTableMarkdown,
} from '../report/growth.mjs';
import { chartFile } from '../report/page.mjs';
import { writeFiles } from '../report/write.mjs';

/** Of the charts, beside the document. */
const CHART_FOLDER = 'charts';

/** Writes JSON, Markdown, a page and a chart per table below `directory`; resolves to the paths. */
export async function writeGrowth(report, directory) {
  const stamp = report.startedAt.replaceAll(/[:.]/g, '-');
  return writeFiles(directory, [
    [`growth-${stamp}.json`, `${JSON.stringify(report, null, 1)}\n`],
    ['growth.md', growthMarkdown(report)],
    ['growth.html', growthHtml(report)],
    ...chartsOf(report),
  ]);
}

/** Puts the tables between their markers in docs/performance.md, and the charts beside it; resolves to the paths. */
export async function writeDocs(report) {
  const document = await writeFigures(figureBlocks(report));
  const charts = await writeFiles(path.join(DOCUMENT_DIRECTORY, CHART_FOLDER), chartsOf(report));
  return [document, ...charts];
}

/** What stands between the markers of each table. */
export function figureBlocks(report) {
  return Object.fromEntries(
    report.tables.map((table) => [
      `growth ${table.name}`,
      `![cost of a message by ${table.axis}](${CHART_FOLDER}/${chartFileName(table)})\n\n${growthTableMarkdown(table)}\n\n${originText(report)}`,
    ]),
  );
}

function chartsOf({ tables }) {
  return tables.map((table) => [chartFileName(table), chartFile(growthChart(table))]);
}
