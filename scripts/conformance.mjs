/**
 * Writes docs/conformance.md from the clause lists and the titles of the tests. Part of `npm run docs`.
 *
 * Always true: it needs no build, and running it twice changes nothing the second time. It prints what is
 * still without a test.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

import { openIds, proofsOf, renderConformance, testFiles } from './conformance-table.mjs';

const root = new URL('..', import.meta.url);
const folder = fileURLToPath(root);
const files = readdirSync(new URL('test', root), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
  .filter((path) => testFiles.test(path))
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(folder, path), 'utf8') }));

const target = new URL('docs/conformance.md', root);
const text = renderConformance(files);
const before = existsSync(target) ? readFileSync(target, 'utf8') : '';
if (before !== text) writeFileSync(target, text);
console.log(`${before === text ? 'unchanged' : 'written'}: docs/conformance.md`);
const open = openIds(proofsOf(files));
if (open.length > 0) console.log(`without a test: ${open.join(', ')}`);
