/**
 * A report as tables for a terminal and for Markdown. Runs in the bench's main process.
 *
 * Always true: every figure stands beside its unit, its spread when there were several runs, and the durability under
 * which it was measured; absent peers and faults are listed.
 */
import { factRows, figureText, ratioText, sortedRows } from './cells.mjs';

/** Plain text for a terminal. */
export function renderText(report) {
  const blocks = report.scenarios.map(({ name, about, cases }) => {
    const lines = cases.flatMap((test) => [
      `  ${test.title}`,
      ...sortedRows(test).map((row) => `    ${rowText(test, row)}`),
    ]);
    return [`${name}: ${about}`, ...lines].join('\n');
  });
  const facts = factRows(report).map(([name, text]) => `${name.padEnd(12)}${text}`);
  const faults = report.faults.map((fault) => `FAULT       ${fault}`);
  return `${[...blocks, [...facts, ...faults].join('\n')].join('\n\n')}\n`;
}

function rowText(test, row) {
  const parts = [
    row.peer.padEnd(14),
    figureText(test, row).padEnd(32),
    ratioText(test, row).padEnd(8),
    `[${row.durability}]`,
    row.notes,
    ...row.faults.map((fault) => `FAULT: ${fault}`),
  ];
  return parts.join(' ').trimEnd();
}

/** GitHub's Markdown: one table per scenario. */
export function renderMarkdown(report) {
  const blocks = report.scenarios.map(({ name, about, cases }) => {
    const rows = cases.flatMap((test) =>
      sortedRows(test).map((row) =>
        [
          test.title,
          row.peer,
          figureText(test, row),
          ratioText(test, row),
          row.durability,
          [row.notes, ...row.faults.map((fault) => `FAULT: ${fault}`)]
            .filter((text) => text !== '')
            .join('; '),
        ].map((text) => text.replaceAll('|', '\\|')),
      ),
    );
    return [
      `## ${name}\n\n${about[0].toUpperCase()}${about.slice(1)}.\n`,
      '| Load | Broker | Measured | Sluice against it | Durability | Notes |',
      '| --- | --- | ---: | ---: | --- | --- |',
      ...rows.map((cells) => `| ${cells.join(' | ')} |`),
    ].join('\n');
  });
  const facts = factRows(report).map(([name, text]) => `| ${name} | ${text} |`);
  const faults = report.faults.map((fault) => `- ${fault}`);
  return [
    '# Benchmark results',
    ['| | |', '| --- | --- |', ...facts].join('\n'),
    faults.length === 0 ? 'Nothing was lost that was promised.' : `Faults:\n\n${faults.join('\n')}`,
    ...blocks,
    '',
  ].join('\n\n');
}
