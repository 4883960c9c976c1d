/**
 * Figures inside docs/performance.md, between markers with a name.
 *
 *   <!-- figures: NAME -->  …written by a command…  <!-- end of figures -->
 *
 * Always true: only what lies between the markers of a given name changes; a name without markers is an error before
 * anything is written.
 */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const DOCUMENT = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const END = '<!-- end of figures -->';

/** Of the document; charts lie below it. */
export const DOCUMENT_DIRECTORY = path.dirname(DOCUMENT);

/** Puts `blocks`, text by name, into the document; resolves to its path. */
export async function writeFigures(blocks) {
  const text = withFigures(await readFile(DOCUMENT, 'utf8'), blocks);
  await writeFile(DOCUMENT, text);
  return DOCUMENT;
}

/** `text` with `blocks` between their markers. */
export function withFigures(text, blocks) {
  return Object.entries(blocks).reduce((before, [name, block]) => {
    const begin = `<!-- figures: ${name} -->`;
    const from = before.indexOf(begin);
    const to = before.indexOf(END, from);
    if (from < 0 || to < 0) throw new Error(`docs/performance.md has no markers for '${name}'`);
    return `${before.slice(0, from + begin.length)}\n\n${block}\n\n${before.slice(to)}`;
  }, text);
}

/** On what and when figures were measured, a sentence. */
export function originText({ startedAt, machine, commit }) {
  return `Measured on ${startedAt.slice(0, 10)} at commit ${commit}: ${machine.cores} cores (${machine.cpu}), Node.js ${machine.node}, load before ${machine.loadAverage}.`;
}

/** A table in Markdown; the first `texts` columns are text, the others are figures. */
export function markdownTable(head, rows, texts = 1) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = head.map((_, column) => (column < texts ? '---' : '---:'));
  return [head, rule, ...rows].map(line).join('\n');
}
