import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { eventCharsMax, EventParser } from '../../../src/dashboard/base/event-parser.js';

describe('the text of an event stream', () => {
  it('gives the same events however it was cut and however its lines end [broker]', () => {
    const lines =
      ': listening\n\nevent: overview\ndata: {"a":1}\n\ndata:x\ndata: y\n\nevent: log\ndata:  z\n\nevent: none\n\n';
    const expected = [
      { name: 'overview', data: '{"a":1}' },
      { name: 'message', data: 'x\ny' },
      { name: 'log', data: ' z' },
    ];
    const cuts = fc.array(fc.integer({ min: 0, max: 2 * lines.length }), { maxLength: 30 });
    fc.assert(
      fc.property(cuts, fc.constantFrom('\n', '\r\n', '\r'), (at, end) => {
        const text = lines.replaceAll('\n', end);
        const parser = new EventParser();
        const places = [
          0,
          ...at.filter((place) => place < text.length).toSorted((a, b) => a - b),
          text.length,
        ];
        const events = places.slice(1).flatMap((to, index) => parser.push(text.slice(places[index], to)));
        // The last line may end in the first half of CR LF, so one more character decides.
        expect([...events, ...parser.push(':')]).toEqual(expected);
      }),
    );
  });

  it('keeps what is not complete, and not more than a bound of it [broker]', () => {
    const parser = new EventParser();
    expect(parser.push('data: 1\n')).toEqual([]);
    expect(parser.push('\n')).toEqual([{ name: 'message', data: '1' }]);
    expect(() => parser.push('x'.repeat(eventCharsMax + 1))).toThrow(RangeError);
  });
});
