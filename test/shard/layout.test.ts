import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BEING_PLACED, existingShards, readLayout, writeLayout } from '../../src/shard/layout.js';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-layout-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('layout.json', () => {
  test('a fresh directory has no layout, and one is made with its parents [broker]', () => {
    const path = join(directory, 'a', 'b');
    expect(readLayout(path)).toBeUndefined();
    writeLayout(path, 4);
    expect(readLayout(path)).toBe(4);
    expect(readdirSync(path), 'nothing else is left behind').toEqual(['layout.json']);
    expect(readFileSync(join(path, 'layout.json'), 'utf8')).toBe('{"format":1,"shards":4}\n');
  });

  test('a re-sharding that was begun is told apart from every number of shards [broker]', () => {
    writeLayout(directory, BEING_PLACED);
    expect(readLayout(directory)).toBe(BEING_PLACED);
  });

  test('what an interrupted write left does not count [broker]', () => {
    writeLayout(directory, 2);
    writeFileSync(join(directory, 'layout.json.new'), '{"for');
    expect(readLayout(directory)).toBe(2);
    writeLayout(directory, 3);
    expect(readLayout(directory)).toBe(3);
  });

  test.each([
    ['no JSON', '{"format":1', /not JSON/],
    ['a newer format', '{"format":2,"shards":4}', /format 2, this version reads 1/],
    ['no object', 'null', /format undefined/],
    ['no number', '{"format":1}', /names no number/],
    ['a negative number', '{"format":1,"shards":-1}', /names no number/],
    ['half a shard', '{"format":1,"shards":1.5}', /names no number/],
    ['text', '{"format":1,"shards":"4"}', /names no number/],
  ])('a layout with %s is refused and left as it is [broker]', (_name, text, message) => {
    writeFileSync(join(directory, 'layout.json'), text);
    expect(() => readLayout(directory)).toThrow(message);
    expect(() => readLayout(directory)).toThrow(expect.objectContaining({ code: 'ERR_LAYOUT' }));
    expect(readFileSync(join(directory, 'layout.json'), 'utf8')).toBe(text);
  });

  test('a data directory that is a file is refused [broker]', () => {
    writeFileSync(join(directory, 'file'), '');
    expect(() => readLayout(join(directory, 'file'))).toThrow(
      expect.objectContaining({ code: 'ERR_LAYOUT' }),
    );
    expect(() => writeLayout(join(directory, 'file'), 1)).toThrow(
      expect.objectContaining({ code: 'ERR_LAYOUT' }),
    );
  });

  test('shard directories are found in order of number, and nothing else is [broker]', () => {
    for (const name of ['shard-10', 'shard-2', 'shard-x', 'shard-0', 'other', 'shard-1.old']) {
      mkdirSync(join(directory, name));
    }
    expect(existingShards(directory)).toEqual([0, 2, 10]);
  });
});
