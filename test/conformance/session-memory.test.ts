import { describe, expect, test } from 'vitest';

import { Awaiting, idOfOffset, InFlight } from '../../src/session/in-flight.js';

describe('memory of a session', () => {
  test('a few messages in flight take a small table, from the own queue of the session and live ones together [broker]', () => {
    const inFlight = new InFlight<undefined, undefined>();
    inFlight.reserveOffsetIds();
    for (let i = 0; i < 10; i++) {
      inFlight.take(Awaiting.puback);
      inFlight.takeAt(idOfOffset(i), Awaiting.queueAck);
    }
    expect(inFlight.count).toBe(20);
    expect(inFlight.kinds.length).toBeLessThanOrEqual(256);
  });
});
