import { describe, expect, test } from 'vitest';

import { fileOf, filesOf } from '../repository/tree.js';
import { blocksOf, isPrinted } from './document.js';

describe('commands in documents', () => {
  const documents = filesOf('.', /\.md$/);
  const blocks = documents.flatMap(({ path, text }) =>
    blocksOf(text, path).map((block) => ({ ...block, path, place: `${path}:${block.line}` })),
  );

  test('every block of commands says whether the tests run it [broker]', () => {
    expect(blocks.filter(({ mark }) => mark === 'unmarked').map(({ place }) => place)).toEqual([]);
  });

  test('what does not run has one of the reasons that docs/README.md explains [broker]', () => {
    const explained = new Set(
      [...fileOf('docs/README.md').text.matchAll(/^\| `no-run: ([^`]+)` \|/gm)].map(([, reason]) => reason),
    );
    expect(explained.size).toBeGreaterThan(0);
    const left = blocks.filter(({ mark }) => mark === 'no-run');
    expect(left.filter(({ reason }) => !explained.has(reason)).map(({ place }) => place)).toEqual([]);
    console.log(`${blocks.length} blocks of commands, ${left.length} of them for the reader alone`);
    // A reason that nobody gives is one too many.
    const given = new Set(left.map(({ reason }) => reason));
    expect([...explained].filter((reason) => reason === undefined || !given.has(reason))).toEqual([]);
  });

  test('marks, settings and outputs are read as they are written [broker]', () => {
    const text = [
      '<!-- broker: A=1 B=x=y -->',
      '```sh run',
      'one',
      '```',
      '```text output',
      'two',
      '```',
      '```sh run broker',
      'npm start',
      '```',
      '```json',
      '{}',
      '```',
      '```sh no-run: needs Docker',
      'docker run x',
      '```',
      '```',
      'curl x',
      '```',
      '```',
      'no command',
      '```',
      '```',
      'sluice pub [options] <topic>',
      '```',
      '```sh',
      'x',
      '```',
      '- item',
      '  ```sh run',
      '  y \\',
      '    z',
      '  ```',
    ].join('\n');
    expect(blocksOf(text).map(({ mark, line }) => `${line} ${mark}`)).toEqual([
      '2 run',
      '8 broker',
      '14 no-run',
      '17 unmarked',
      '26 unmarked',
      '30 run',
    ]);
    const call = '```\nsluice queues list\n```\n';
    expect(blocksOf(call).map(({ mark }) => mark)).toEqual(['unmarked']);
    expect(blocksOf(call, 'docs/cli.md')).toEqual([]);
    expect(blocksOf(text).at(-1)?.text).toBe('y \\\n  z\n');
    const [first, second, third] = blocksOf(text);
    expect(first).toMatchObject({ text: 'one\n', output: 'two\n', settings: { A: '1', B: 'x=y' } });
    expect(second).toMatchObject({ settings: undefined, output: undefined });
    expect(third).toMatchObject({ reason: 'needs Docker' });
  });

  test('an ellipsis in an output stands for anything, and nothing else does [broker]', () => {
    expect(isPrinted('{"a":…}\n', '{"a":1,"b":2}')).toBe(true);
    expect(isPrinted('a.c', 'abc')).toBe(false);
    expect(isPrinted('one\n…\nfour', 'one\ntwo\nthree\nfour\n')).toBe(true);
    expect(isPrinted('one', 'one\ntwo')).toBe(false);
  });
});
