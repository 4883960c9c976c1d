import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { saslPrep } from '../../src/auth/sasl-prep.js';

describe('SASLprep', () => {
  test.each([
    ['I\u00ADX', 'IX'],
    ['user', 'user'],
    ['USER', 'USER'],
    ['\u00AA', 'a'],
    ['\u2168', 'IX'],
    ['a\u00A0b', 'a b'],
    ['\u0007', undefined],
    ['a\u200Eb', undefined],
    ['\uD800', undefined],
    ['\uFFFD', undefined],
    ['', undefined],
    ['\u00AD', undefined],
  ])('%j becomes %j [ref-4013]', (given, expected) => {
    expect(saslPrep(given)).toBe(expected);
  });

  test('text of printable ASCII stays, and preparing twice equals preparing once [ref-4013]', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(' ', '!', '0', '9', 'A', 'z', '~'), minLength: 1 }),
        (given) => {
          expect(saslPrep(given)).toBe(given);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (given) => {
        const once = saslPrep(given);
        if (once !== undefined) expect(saslPrep(once)).toBe(once);
      }),
    );
  });
});
