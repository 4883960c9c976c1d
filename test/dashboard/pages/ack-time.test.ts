import { describe, expect, it } from 'vitest';

import { AckTimes, type QueueConsumer } from '../../../src/dashboard/pages/queue/ack-time.js';

function consumer(clientid: string, in_flight: number, acked: number): QueueConsumer {
  return { clientid, in_flight, acked, window: 10, delivered: acked + in_flight, rejected: 0 };
}

describe('the time that a consumer takes', () => {
  it('is what is in flight divided by acknowledgements per second [broker]', () => {
    const times = new AckTimes();
    times.add(0, [consumer('a', 10, 0)]);
    expect(times.of('a')).toEqual({ ackRate: undefined, ackTimeMs: undefined });
    times.add(2000, [consumer('a', 10, 100)]);
    expect(times.of('a')).toEqual({ ackRate: 50, ackTimeMs: 200 });
  });

  it('is not known of who has acknowledged nothing, of who is new, and of nobody [broker]', () => {
    const times = new AckTimes();
    times.add(0, [consumer('stuck', 10, 5)]);
    times.add(2000, [consumer('stuck', 10, 5), consumer('new', 1, 0)]);
    expect(times.of('stuck')).toEqual({ ackRate: 0, ackTimeMs: undefined });
    expect(times.of('new').ackTimeMs).toBeUndefined();
    expect(times.of('nobody').ackTimeMs).toBeUndefined();
  });

  it('is of the last half minute only [broker]', () => {
    const times = new AckTimes();
    times.add(0, [consumer('a', 1, 0)]);
    times.add(2000, [consumer('a', 1, 1000)]);
    for (let second = 4; second <= 60; second += 2)
      times.add(second * 1000, [consumer('a', 2, 1000 + second)]);
    expect(times.of('a').ackRate).toBeCloseTo(1);
    expect(times.of('a').ackTimeMs).toBeCloseTo(2000);
  });

  it('begins again when a consumer has come back and counts from zero [broker]', () => {
    const times = new AckTimes();
    times.add(0, [consumer('a', 1, 500)]);
    times.add(2000, [consumer('a', 1, 3)]);
    expect(times.of('a').ackRate).toBeUndefined();
    times.add(4000, []);
    times.add(6000, [consumer('a', 1, 9)]);
    expect(times.of('a').ackRate).toBeUndefined();
  });
});
