/**
 * Writes the tables of configuration and metrics into the documents. `npm run docs`; needs a build.
 *
 * Always true: running it twice changes nothing the second time.
 */
import { readFileSync, writeFileSync } from 'node:fs';

import { renderCommands } from './render-cli.mjs';
import { documents, fillTables, renderTables } from './render-docs.mjs';

const root = new URL('..', import.meta.url);
const { internalVariables, sections } = await import(new URL('dist/config/schema.js', root).href);
const { catalogue, queueMetrics, statusMetrics } = await import(
  new URL('dist/telemetry/metric-catalogue.js', root).href
);
const { restErrors } = await import(new URL('dist/http/error.js', root).href);

const tables = renderTables({
  sections,
  internalVariables,
  catalogue,
  queueMetrics,
  statusMetrics,
  restErrors,
});
const { commandTree } = await import(new URL('dist/cli/program.js', root).href);
const { commandVariables } = await import(new URL('dist/config/command-variables.js', root).href);
const commands = renderCommands(commandTree(), commandVariables);
for (const name of [...documents, 'docs/cli.md']) {
  const file = new URL(name, root);
  const text = readFileSync(file, 'utf8');
  const filled = fillTables(text, name === 'docs/cli.md' ? commands : tables);
  if (filled !== text) writeFileSync(file, filled);
  console.log(`${filled === text ? 'unchanged' : 'written'}: ${name}`);
}
