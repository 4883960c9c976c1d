import { describe, expect, test } from 'vitest';

import { filesOf } from './tree.js';

/** Lines of prose in the comment that opens a file; tables and drawings (indented or with bars) are not counted. */
function headerLines(text: string): number {
  const header = /^(?:#!.*\n)?\/\*\*\n((?: \*.*\n)*?) \*\/\n/.exec(text)?.[1];
  if (header === undefined) return 0;
  return header.split('\n').filter((line) => /^ \* [^\s|]/.test(line)).length;
}

/** Names of exported declarations that no doc comment stands before. */
function undocumented(text: string): string[] {
  const lines = text.split('\n');
  const seen = new Set<string>();
  return lines.flatMap((line, index) => {
    const name =
      /^export (?:declare )?(?:abstract )?(?:async )?(?:const|let|function\*?|class|interface|type) (\w+)/.exec(
        line,
      )?.[1];
    if (name === undefined || seen.has(name)) return [];
    // A value and the type of the same name, or overloads, share one comment.
    seen.add(name);
    return /\*\/\s*$/.test(lines[index - 1] ?? '') ? [] : [name];
  });
}

describe('comments', () => {
  const files = filesOf('src', /\.tsx?$/);

  test('every source file opens with a comment of 3 to 8 lines of prose [broker]', () => {
    const wrong = files
      .map(({ path, text }) => [path, headerLines(text)] as const)
      .filter(([, count]) => count < 3 || count > 8);
    expect(wrong).toEqual([]);
  });

  test('every export has a doc comment [broker]', () => {
    expect(files.flatMap(({ path, text }) => undocumented(text).map((name) => `${path}: ${name}`))).toEqual(
      [],
    );
  });

  test('the checks see what they look for [broker]', () => {
    expect(
      headerLines('/**\n * One.\n *\n * Two.\n *   drawing\n * | table |\n * Three.\n */\nimport x;'),
    ).toBe(3);
    expect(headerLines('import x;\n/**\n * One.\n */\n')).toBe(0);
    expect(undocumented('/** Yes. */\nexport const a = 1;\nexport type a = 1;\nexport class B {}\n')).toEqual(
      ['B'],
    );
  });
});
