import { describe, expect, test } from 'vitest';

import { internalVariables, sections } from '../../src/config/schema.js';
import { filesOf } from './tree.js';

const texts = filesOf(
  '.',
  /\.(ts|mjs|js|json|md|py|ya?ml|sh|txt|html|css)$|(^|\/)(Dockerfile|LICENSE|run)$/,
).filter(({ path }) => path !== 'package-lock.json');
const code = texts.filter(({ path }) => /\.(ts|mjs|js|py)$/.test(path));

/** `path:line` of every match; this folder is left out because it has to name what it looks for. */
function find(files: readonly { path: string; text: string }[], pattern: RegExp): string[] {
  return files
    .filter(({ path }) => !path.startsWith('test/repository/'))
    .flatMap(({ path, text }) =>
      text
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : [])),
    );
}

describe('tidiness', () => {
  test('no file names a path of one machine or a host of a package registry [broker]', () => {
    expect(find(texts, /(^|[\s'"`(=:,[])\/(work|farm|root|home|tmp|Users)\//)).toEqual([]);
    expect(find(texts, /registry\.(npmjs|yarnpkg)|pypi\.org|proxy\.golang/)).toEqual([]);
  });

  test('nothing is left for later: no marks, no skipped or focused tests [broker]', () => {
    expect(find(code, /\b(TODO|FIXME|XXX|HACK)\b|not implemented/)).toEqual([]);
    expect(find(code, /\b(test|it|describe)\.(skip|only|todo)\(/)).toEqual([]);
  });

  test('files are named in kebab-case [broker]', () => {
    const wrong = code.filter(
      ({ path }) => !/^[a-z0-9.-]+$/.test(path.split('/').at(-1) ?? '') && !path.endsWith('.py'),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });

  test('every SLUICE_ variable that is named anywhere is one that exists [broker]', () => {
    const known = new Set([
      ...sections.flatMap(({ fields }) => Object.values(fields).map(({ name }) => name)),
      ...Object.keys(internalVariables),
    ]);
    const unknown = texts
      .filter(({ path }) => !/^test\/(config|cli|repository)\//.test(path))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/(?<![\w.])SLUICE_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_*…])/g)]
          .filter(([name]) => !known.has(name) && !text.includes(`const ${name} `))
          .map(([name]) => `${path}: ${name}`),
      );
    expect([...new Set(unknown)]).toEqual([]);
  });
});

describe('test titles', () => {
  const tests = filesOf('test', /\.(test|e2e|crash)\.ts$|contract\.ts$/);

  /** Titles written as a literal, directly or after a table of `each`. */
  function titlesOf(text: string): string[] {
    const calls = text.matchAll(
      /(?:^|[\s;])(?:test|it)(?:\.each\([^]*?\]\)|\.\w+\([^()]*\))?\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g,
    );
    return [...calls].map(([, , title = '']) => title);
  }

  test('a title is a sentence that ends in the clause it proves, in brackets [broker]', () => {
    const wrong = tests.flatMap(({ path, text }) =>
      titlesOf(text)
        .filter((title) => !/( \[(MQTT-[\d.]+-\d+|MQTT-3\.1\.1 [\d.]+-\d+|[a-z]+(-[\d.]+)?)\])+$/.test(title))
        .map((title) => `${path}: ${title}`),
    );
    expect(wrong).toEqual([]);
  });

  test('titles are found in plain calls and after tables [broker]', () => {
    expect(titlesOf(`\ntest('a [broker]', () => {});\ntest.each([\n [1]])(\n "b's [broker]", x);`)).toEqual([
      'a [broker]',
      "b's [broker]",
    ]);
  });
});
