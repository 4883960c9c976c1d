/**
 * Rows of sessions as bytes.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeSessionRow,
  encodeSubscriptions,
  subscriptionBytes,
} from '../../src/session/session-record.js';

const subscription = fc.record({
  filter: fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
    .map((text) => Buffer.from(text).toString()),
  qos: fc.integer({ min: 0, max: 2 }),
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  subscriptionIdentifier: fc.integer({ min: 0, max: 268_435_455 }),
});

test('a row of subscriptions reads back as it was written, under the largest row id too [broker]', () => {
  fc.assert(
    fc.property(
      fc.array(subscription, { maxLength: 20 }),
      fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      (subscriptions, stateRowId) => {
        const row = encodeSubscriptions(stateRowId, subscriptions);
        const bytes = subscriptions.reduce((sum, { filter }) => sum + subscriptionBytes(filter), 9);
        expect(row.length).toBe(bytes);
        expect(decodeSessionRow(row)).toEqual({ kind: 'subscriptions', stateRowId, subscriptions });
      },
    ),
  );
  const longest = { filter: 'x'.repeat(65_535), qos: 2, noLocal: true, retainAsPublished: true };
  const subscriptions = [{ ...longest, subscriptionIdentifier: 268_435_455 }];
  expect(decodeSessionRow(encodeSubscriptions(1, subscriptions))).toMatchObject({ subscriptions });
});

test('a row of subscriptions that was cut off anywhere but behind one reads as none, never as others [broker]', () => {
  const filters = ['a', 'b/c', 'd/e/f'];
  const row = encodeSubscriptions(
    7,
    filters.map((filter) => ({
      filter,
      qos: 1,
      noLocal: false,
      retainAsPublished: false,
      subscriptionIdentifier: 0,
    })),
  );
  const whole = new Map([
    [9, 0],
    [17, 1],
    [27, 2],
    [39, 3],
  ]);
  for (let length = 0; length <= row.length; length++) {
    const read = decodeSessionRow(row.subarray(0, length));
    const count = read?.kind === 'subscriptions' ? read.subscriptions.length : undefined;
    expect(count, `${length} bytes`).toBe(whole.get(length));
  }
});
