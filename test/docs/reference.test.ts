/**
 * Names that documents use for things of the code: metrics, error codes, files, headings of other documents.
 */
import { describe, expect, test } from 'vitest';

import { catalogue, queueMetrics, statusMetrics } from '../../src/telemetry/metric-catalogue.js';
import { fileOf, filesOf } from '../repository/tree.js';

const documents = filesOf('.', /\.md$/);

/** `path: name` of every match of `pattern` that `isKnown` does not know. */
function unknownOf(pattern: RegExp, isKnown: (name: string) => boolean): string[] {
  return documents.flatMap(({ path, text }) =>
    [...text.matchAll(pattern)]
      .map(([, name = '']) => name)
      .filter((name) => !isKnown(name))
      .map((name) => `${path}: ${name}`),
  );
}

/** The anchors that the headings of a document make. */
function anchorsOf(text: string): Set<string> {
  const headings = text.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .replaceAll(/[^\p{L}\p{N}\p{M}\s_-]/gu, '')
        .trim()
        .replaceAll(' ', '-'),
    ),
  );
}

describe('names in documents', () => {
  test('every metric exists [broker]', () => {
    const names = new Set(
      [...Object.values(catalogue), ...queueMetrics, ...Object.values(statusMetrics)].flatMap(({ name }) =>
        ['', '_bucket', '_sum', '_count'].map((end) => `${name}${end}`),
      ),
    );
    expect(unknownOf(/\b(sluice_[a-z][a-z0-9_]*[a-z0-9])\b(?!\*)/g, (name) => names.has(name))).toEqual([]);
  });

  test('every operational code exists [broker]', () => {
    const code = fileOf('src/base/error.ts').text;
    expect(unknownOf(/`(ERR_[A-Z_]+)`/g, (name) => code.includes(`'${name}'`))).toEqual([]);
  });

  test('every file of the repository that is named is there [broker]', () => {
    const files = new Set(filesOf('.', /./).map(({ path }) => path));
    const isThere = (name: string): boolean =>
      files.has(name) || [...files].some((file) => file.startsWith(`${name.replace(/\/$/, '')}/`));
    const named = /`((?:deploy|test|scripts|examples|native-free-notes|docs)\/[\w./-]+)`/g;
    expect(unknownOf(named, isThere)).toEqual([]);
  });

  test('every link to a heading finds it [broker]', () => {
    const anchors = new Map(documents.map(({ path, text }) => [path, anchorsOf(text)]));
    const broken = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)]
        .filter(([, target = '', anchor = '']) => {
          const file = target === '' ? path : new URL(target, `file:///${path}`).pathname.slice(1);
          return file.endsWith('.md') && anchors.get(file)?.has(anchor) !== true;
        })
        .map(([link]) => `${path}: ${link}`),
    );
    expect(broken).toEqual([]);
  });
});
