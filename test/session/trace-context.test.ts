/** The trace context in property bytes. Quick tier. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { traceContextOf } from '../../src/session/trace-context.js';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const value = `00-${traceId}-${spanId}-01`;

function text(part: string): Buffer {
  const bytes = Buffer.from(part);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}
function userProperty(name: string, content: string): Buffer {
  return Buffer.concat([Buffer.from([0x26]), text(name), text(content)]);
}
function contextOf(...properties: Buffer[]) {
  const bytes = Buffer.concat([Buffer.from('before'), ...properties, Buffer.from('behind')]);
  return traceContextOf(bytes, 6, bytes.length - 6);
}

const others: readonly Buffer[] = [
  Buffer.from([0x01, 1]),
  Buffer.concat([Buffer.from([0x03]), text('application/json')]),
  Buffer.concat([Buffer.from([0x08]), text('answers/traceparent')]),
  Buffer.concat([Buffer.from([0x09]), text('correlation')]),
  userProperty('traceparen', value),
  userProperty('traceparents', value),
  userProperty('tracestate', 'a=b'),
  userProperty('', ''),
];

test('it is found wherever it stands among the properties, and the first counts [broker]', () => {
  const found = { traceId, spanId, isSampled: true };
  expect(contextOf(userProperty('traceparent', value))).toEqual(found);
  for (const other of others) {
    expect(contextOf(other)).toBeUndefined();
    expect(contextOf(other, userProperty('traceparent', value), other)).toEqual(found);
  }
  const second = userProperty('traceparent', value.replace('01', '00'));
  expect(contextOf(userProperty('traceparent', value), second)).toEqual(found);
  expect(contextOf()).toBeUndefined();
});

describe('what a traceparent may be', () => {
  test.each([
    ['sampled', value, true],
    ['not sampled', `00-${traceId}-${spanId}-00`, false],
    ['other flags', `00-${traceId}-${spanId}-03`, true],
    ['a later version with more', `01-${traceId}-${spanId}-01-more`, true],
  ] as const)('%s [broker]', (_, given, isSampled) => {
    expect(contextOf(userProperty('traceparent', given))).toEqual({ traceId, spanId, isSampled });
  });

  test.each([
    ['empty', ''],
    ['short', value.slice(0, -1)],
    ['upper case', value.toUpperCase()],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['a span id of zeros', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['version ff', `ff-${traceId}-${spanId}-01`],
    ['version 00 with more', `${value}-more`],
    ['no hex', value.replace('4b', 'xy')],
    ['endless', `01-${traceId}-${spanId}-01-${'x'.repeat(60_000)}`],
    ['not ASCII', 'ü'.repeat(30)],
  ])('counts as none: %s [broker]', (_, given) => {
    expect(contextOf(userProperty('traceparent', given))).toBeUndefined();
  });
});

test('any properties are walked to their end [broker]', () => {
  const property = fc.oneof(
    fc.constantFrom(...others),
    fc.tuple(fc.string(), fc.string()).map(([name, content]) => userProperty(`x${name}`, content)),
  );
  fc.assert(
    fc.property(fc.array(property, { maxLength: 20 }), fc.boolean(), (properties, has) => {
      const last = has ? [userProperty('traceparent', value)] : [];
      expect(contextOf(...properties, ...last)?.traceId).toBe(has ? traceId : undefined);
    }),
  );
});
