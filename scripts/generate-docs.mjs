/**
 * Writes the tables of configuration and metrics into the documents. `npm run docs`; needs a build.
 *
 * Always true: running it twice changes nothing the second time.
 */
import { readFileSync, writeFileSync } from 'node:fs';

import { documents, fillTables, renderTables } from './render-docs.mjs';

const root = new URL('..', import.meta.url);
const { internalVariables, sections } = await import(new URL('dist/config/schema.js', root).href);
const { catalogue, queueMetrics } = await import(new URL('dist/telemetry/metric-catalogue.js', root).href);
const { restErrors } = await import(new URL('dist/http/error.js', root).href);

const tables = renderTables({ sections, internalVariables, catalogue, queueMetrics, restErrors });
for (const name of documents) {
  const file = new URL(name, root);
  const text = readFileSync(file, 'utf8');
  const filled = fillTables(text, tables);
  if (filled !== text) writeFileSync(file, filled);
  console.log(`${filled === text ? 'unchanged' : 'written'}: ${name}`);
}
