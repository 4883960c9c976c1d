import { describe, expect, test } from 'vitest';

import { documents, fillTables, renderTables } from '../../scripts/render-docs.mjs';
import { internalVariables, sections } from '../../src/config/schema.js';
import { restErrors } from '../../src/http/error.js';
import { catalogue, queueMetrics, statusMetrics } from '../../src/telemetry/metric-catalogue.js';
import { fileOf, filesOf } from './tree.js';

describe('documents', () => {
  test.each(documents)('the tables of %s equal the code (else: npm run docs) [broker]', (path) => {
    const { text } = fileOf(path);
    expect(text).toContain('<!-- table: ');
    const tables = renderTables({
      sections,
      internalVariables,
      catalogue,
      queueMetrics,
      statusMetrics,
      restErrors,
    });
    expect(fillTables(text, tables)).toBe(text);
  });

  test('a mark without table and a table without end are refused [broker]', () => {
    expect(() => fillTables('<!-- table: x -->\n<!-- end of table -->', {})).toThrow('there is no table "x"');
    expect(() => fillTables('<!-- table: x -->\n', { x: '' })).toThrow('a table has no end');
    expect(fillTables('a\n<!-- table: x -->\nold<!-- end of table -->\nb', { x: 'new\n' })).toBe(
      'a\n<!-- table: x -->\n\nnew\n\n<!-- end of table -->\nb',
    );
  });

  test('docs/errors.md lists the operational codes of the code, no more and no fewer [broker]', () => {
    const union = /export type OperationalCode =([^;]+);/.exec(fileOf('src/base/error.ts').text)?.[1] ?? '';
    const inCode = [...union.matchAll(/'(ERR_\w+)'/g)].map(([, name]) => name);
    const inDocument = [...fileOf('docs/errors.md').text.matchAll(/^\| `(ERR_\w+)` \|/gm)].map(
      ([, name]) => name,
    );
    expect(inCode.length).toBeGreaterThan(0);
    expect(new Set(inDocument)).toEqual(new Set(inCode));
  });

  test('links between documents lead to files that exist [broker]', () => {
    const files = new Set(filesOf('.', /./).map(({ path }) => path));
    const broken = filesOf('.', /\.md$/).flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)/g)]
        .map(([, target = '']) => new URL(target, `file:///${path}`).pathname.slice(1))
        .filter(
          (target) =>
            !files.has(target) && ![...files].some((file) => file.startsWith(target.replace(/\/?$/, '/'))),
        )
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });
});
