#!/usr/bin/env node
/**
 * Entry of `npm run bench:compare -- <revision> [suite …]`: base against change, interleaved. Before a commit on the hot
 * path this says whether it is slower. A process of its own that only starts others and waits.
 *
 * Always true: whatever happens, interruption included, the folders of both sides are removed. Exit codes: see
 * options.mjs.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { headlinesOf } from './figure.mjs';
import { CompareOptionError, commandOf, helpText, parseOptions } from './options.mjs';
import { renderComparison } from './report.mjs';
import { RunError, runPairs } from './run.mjs';
import { SideError, makeSides } from './side.mjs';
import { compareFigure, overallVerdict } from './statistics.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXIT_CODES = { same: 0, faster: 0, slower: 1, unclear: 3 };

async function main(options) {
  const aborter = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => aborter.abort());
  progress('building both sides');
  const { dispose, commit, ...sides } = makeSides({ ...options, root: ROOT });
  try {
    const command = commandOf(options);
    const figures = await runPairs({
      ...options,
      sides,
      command,
      signal: aborter.signal,
      onRun: (side, done, all) => progress(`run ${done} of ${all}: ${side}`),
    });
    progress('');
    const headlines = new Set(headlinesOf(figures, options.metric));
    if (headlines.size === 0)
      throw new RunError('no figure to compare: see --metric, and what the bench prints');
    const rows = [...figures]
      .map(([path, { better, base, change }]) => ({
        path,
        isHeadline: headlines.has(path),
        better,
        runs: { base, change },
        ...compareFigure(base, change, better, options.threshold),
      }))
      .toSorted((a, b) => Number(b.isHeadline) - Number(a.isHeadline));
    const verdict = overallVerdict(rows.filter((row) => row.isHeadline).map((row) => row.verdict));
    process.stdout.write(
      `base ${options.revision} (${commit.slice(0, 12)}), change: working tree; ${options.pairs} pairs of \`${command.join(' ')}\`\n\n`,
    );
    process.stdout.write(renderComparison(rows, verdict, options.all));
    if (options.json !== '') {
      writeFileSync(options.json, `${JSON.stringify({ commit, command, options, verdict, rows })}\n`);
    }
    return EXIT_CODES[verdict];
  } finally {
    dispose();
  }
}

/** One line that is written over, where someone looks at it. */
function progress(text) {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001B[K${text}`);
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options === undefined) process.stdout.write(helpText());
  else process.exitCode = await main(options);
} catch (error) {
  progress('');
  const isExpected = [CompareOptionError, RunError, SideError].some((family) => error instanceof family);
  process.stderr.write(`${isExpected ? error.message : error.stack}\n`);
  process.exitCode = error instanceof CompareOptionError ? 2 : 1;
}
