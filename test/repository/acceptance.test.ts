import { describe, expect, test } from 'vitest';

import { fileOf, filesOf } from './tree.js';

const itemCount = 70;

interface Title {
  readonly item: number;
  readonly title: string;
  readonly isAcceptance: boolean;
}

/** Every title that ends in an item, once per item; other clauses in brackets may stand between. */
function titlesIn(text: string, isAcceptance: boolean): Title[] {
  const literals = text.matchAll(/(['"`])((?:\\.|(?!\1)[^\\\n])*?)((?: \[queue-\d+\])+)\1/g);
  return [...literals].flatMap(([, , title = '', marks = '']) =>
    [...marks.matchAll(/\[queue-(\d+)\]/g)].map(([, item]) => ({
      item: Number(item),
      title: title.replaceAll(/\\(.)/g, '$1'),
      isAcceptance,
    })),
  );
}

interface Row {
  readonly item: number;
  readonly titles: readonly string[];
}

function rowsIn(text: string): Row[] {
  return [...text.matchAll(/^\| (\d+) \| [^|]+ \| ([^|]+) \| ([^|]*) ?\|$/gm)].map(
    ([, item, titles = '']) => ({
      item: Number(item),
      titles: titles.trim().split('<br>'),
    }),
  );
}

describe('docs/acceptance.md', () => {
  const rows = rowsIn(fileOf('docs/acceptance.md').text);
  const titles = filesOf('test', /\.(test|e2e|crash)\.ts$/).flatMap(({ path, text }) =>
    titlesIn(text, path.includes('/acceptance-')),
  );

  test('has each item once, in order, with at least one test [broker]', () => {
    expect(rows.map(({ item }) => item)).toEqual(Array.from({ length: itemCount }, (_, index) => index + 1));
    expect(rows.filter(({ titles: listed }) => listed.includes(''))).toEqual([]);
  });

  test('lists only tests that exist and end in that item [broker]', () => {
    const known = new Set(titles.map(({ item, title }) => `${item} ${title}`));
    const unknown = rows.flatMap(({ item, titles: listed }) =>
      listed.map((title) => `${item} ${title}`).filter((entry) => !known.has(entry)),
    );
    expect(unknown).toEqual([]);
  });

  test('lists every acceptance test [broker]', () => {
    const listed = new Set(rows.flatMap(({ item, titles: some }) => some.map((title) => `${item} ${title}`)));
    const missing = titles
      .filter(({ isAcceptance, item, title }) => isAcceptance && !listed.has(`${item} ${title}`))
      .map(({ item, title }) => `${item} ${title}`);
    expect(missing).toEqual([]);
  });

  test('is read as it is written [broker]', () => {
    expect(rowsIn('| 7 | what | one<br>two, %s | |\n| 8 | what | three | why |\n')).toEqual([
      { item: 7, titles: ['one', 'two, %s'] },
      { item: 8, titles: ['three'] },
    ]);
    const text =
      "test('it is, %s [queue-1] [queue-2]', f); it(\"b's [queue-3]\", f); test('no [broker]', f);";
    expect(titlesIn(text, true).map(({ item, title }) => `${item} ${title}`)).toEqual([
      '1 it is, %s',
      '2 it is, %s',
      "3 b's",
    ]);
  });
});
