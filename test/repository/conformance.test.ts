import { describe, expect, test } from 'vitest';

import {
  needlessReasons,
  openIds,
  proofsOf,
  renderConformance,
  specifications,
  testFiles,
  unknownIds,
} from '../../scripts/conformance-table.mjs';
import { fileOf, filesOf } from './tree.js';

const files = filesOf('test', testFiles);
const proofs = proofsOf(files);

describe('conformance', () => {
  test('docs/conformance.md equals the clauses and the titles of the tests (else: npm run docs) [broker]', () => {
    expect(proofs.length).toBeGreaterThan(0);
    expect(renderConformance(files)).toBe(fileOf('docs/conformance.md').text);
  });

  test('every clause that a title names exists [broker]', () => {
    expect(unknownIds(proofs)).toEqual([]);
  });

  test('every statement that binds a server has a test, or a reason why it has none [broker]', () => {
    expect(openIds(proofs)).toEqual([]);
    expect(needlessReasons(proofs)).toEqual([]);
  });

  test('every statement is listed once and said in words [broker]', () => {
    for (const { clauses } of specifications) {
      const ids = clauses.map(([id]: readonly string[]) => id);
      expect(new Set(ids).size).toBe(ids.length);
      for (const [id, binds, words] of clauses as readonly (readonly string[])[]) {
        expect(id).toMatch(/^\d+\.\d+(\.\d+)?-\d+$/);
        expect(['server', 'client', 'both']).toContain(binds);
        expect(words).toMatch(/\.$/);
      }
    }
  });

  test('clauses are found at the end of titles, of both specifications, in calls and tables [broker]', () => {
    const text = [
      `test('a [x] b [MQTT-3.1.0-1] [MQTT-3.1.1 3.1.0-2]', () => {});`,
      `test.each([\n [1],\n])("it's [MQTT-4.2-1]", run);`,
      `test('none of them [broker]', run);`,
    ].join('\n');
    expect(proofsOf([{ path: 'p', text }])).toEqual([
      { id: 'MQTT-3.1.0-1', path: 'p', title: 'a [x] b' },
      { id: 'MQTT-3.1.1 3.1.0-2', path: 'p', title: 'a [x] b' },
      { id: 'MQTT-4.2-1', path: 'p', title: "it's" },
    ]);
    expect(unknownIds([{ id: 'MQTT-9.9.9-9', path: 'p', title: '' }])).toEqual(['p: MQTT-9.9.9-9']);
  });
});
