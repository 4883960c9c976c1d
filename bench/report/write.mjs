/**
 * Writes a report as files: `<time>.json`, and `results.md` and `results.html`, which are always the newest.
 *
 * Always true: the JSON file has every figure of every run's median; the other two can be made from it again.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { renderHtml } from './html.mjs';
import { renderMarkdown } from './text.mjs';

/** Writes below `directory`; resolves to the paths. */
export function writeReports(report, directory) {
  const stamp = report.startedAt.replaceAll(/[:.]/g, '-');
  return writeFiles(directory, [
    [`${stamp}.json`, `${JSON.stringify(report, null, 1)}\n`],
    ['results.md', renderMarkdown(report)],
    ['results.html', renderHtml(report)],
  ]);
}

/** Writes `files`, pairs of name and text, below `directory`; resolves to the paths. */
export async function writeFiles(directory, files) {
  await mkdir(directory, { recursive: true });
  const written = [];
  for (const [name, text] of files) {
    const file = path.join(directory, name);
    await writeFile(file, text);
    written.push(file);
  }
  return written;
}
