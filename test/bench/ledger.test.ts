/** The counts of the load generator: what was lost, repeated or late, against a naive model. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { countBits, countMissing, SequenceRun, SequenceSet, unionBits } from '../../bench/load/ledger.mjs';

const arrivals = fc.array(fc.nat({ max: 60 }), { maxLength: 200 });

test('a run of sequence numbers counts distinct, repeated and late ones as a set does [bench]', () => {
  fc.assert(
    fc.property(arrivals, (sequences) => {
      const run = new SequenceRun();
      const seen = new Set<number>();
      let duplicates = 0;
      let late = 0;
      for (const sequence of sequences) {
        if (seen.has(sequence)) duplicates += 1;
        else if (sequence < Math.max(-1, ...seen)) late += 1;
        seen.add(sequence);
        run.add(sequence);
      }
      expect([run.distinct, run.duplicates, run.outOfOrder]).toEqual([seen.size, duplicates, late]);
    }),
  );
});

test('bitmaps of several processes give what was acknowledged and never delivered [bench]', () => {
  fc.assert(
    fc.property(arrivals, arrivals, arrivals, (wanted, first, second) => {
      const bits = (sequences: readonly number[]): Uint8Array => {
        const set = new SequenceSet();
        for (const sequence of sequences) set.add(sequence);
        return set.bytes;
      };
      const got = new Set([...first, ...second]);
      const delivered = unionBits([bits(first), bits(second)]);
      expect(countBits(delivered)).toBe(got.size);
      expect(countMissing(bits(wanted), delivered)).toBe(
        [...new Set(wanted)].filter((sequence) => !got.has(sequence)).length,
      );
    }),
  );
});

test('a sequence set grows with its numbers and tells what it had [bench]', () => {
  const set = new SequenceSet();
  expect(set.add(1_000_000)).toBe(false);
  expect(set.add(1_000_000)).toBe(true);
  expect(set.add(999_999)).toBe(false);
  expect(countBits(set.bytes)).toBe(2);
});
