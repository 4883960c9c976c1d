/** Which messages are traced, and their spans. Quick tier. */
import { beforeEach, describe, expect, test } from 'vitest';

import { FORCED_MAX, MessageTracer, OPEN_MAX } from '../../src/session/message-tracer.js';
import { OpenTraces } from '../../src/session/open-traces.js';
import type { FinishedSpan } from '../../src/telemetry/span-export.js';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';
const none = Buffer.alloc(0);

function carrying(flags: '00' | '01'): Buffer {
  const [key, value] = ['traceparent', `00-${traceId}-${spanId}-${flags}`];
  const head = (part: string): number[] => [0, part.length];
  return Buffer.from([0x26, ...head(key), ...Buffer.from(key), ...head(value), ...Buffer.from(value)]);
}

let spans: FinishedSpan[] = [];
let dropped = 0;
let hasRoom = true;
let nowMs = 0;
let random = 0;
beforeEach(() => {
  spans = [];
  dropped = 0;
  hasRoom = true;
  nowMs = 1000;
  random = 0.5;
});

function tracesOf(ratio: number, clientId = 'c1') {
  const sink = {
    add: (span: FinishedSpan) => void spans.push(span),
    hasRoom: () => hasRoom,
    drop: () => void dropped++,
  };
  const tracer = new MessageTracer({ ratio, sink, random: () => random, nowMs: () => nowMs });
  return { tracer, traces: new OpenTraces(tracer, clientId) };
}

const topic = Buffer.from('xa/b');

/** Begins a message and routes it a millisecond later; true when it was traced. */
function pass(traces: OpenTraces, properties: Buffer, packetId: number): boolean {
  const isTraced = traces.begin(properties, 0, properties.length, packetId);
  nowMs += 1;
  if (isTraced) traces.turn('publish', topic, 1, 4, { 'mqtt.qos': 1 });
  return isTraced;
}

test('a message that says so is traced within the trace of its publisher, from taking to acknowledging [broker]', () => {
  const { traces } = tracesOf(0);
  expect(pass(traces, carrying('01'), 7)).toBe(true);
  nowMs += 10;
  traces.answered(7, 'store', 0);
  const [publish, store] = spans;
  expect(publish).toMatchObject({
    name: 'publish',
    kind: 'server',
    traceId,
    parentSpanId: spanId,
    hasRemoteParent: true,
    startMs: 1000,
    endMs: 1001,
    attributes: {
      'messaging.system': 'mqtt',
      'messaging.destination.name': 'a/b',
      'messaging.client.id': 'c1',
      'mqtt.qos': 1,
    },
    error: undefined,
  });
  expect(store).toMatchObject({
    name: 'store',
    traceId,
    parentSpanId: publish?.spanId,
    hasRemoteParent: false,
    startMs: 1001,
    endMs: 1011,
    attributes: { 'mqtt.reason_code': 0 },
    error: undefined,
  });
  expect(new Set([publish?.spanId, store?.spanId, spanId]).size).toBe(3);
});

describe('which messages', () => {
  test('those whose publisher says no are not traced, whatever the ratio is [broker]', () => {
    const { traces } = tracesOf(1);
    expect(pass(traces, carrying('00'), 1)).toBe(false);
    traces.answered(1, 'store', 0);
    expect(spans).toEqual([]);
  });

  test('of those that say nothing a part, each with a trace of its own [broker]', () => {
    const { traces } = tracesOf(0.25);
    random = 0.25;
    expect(pass(traces, none, 1)).toBe(false);
    random = 0.2499;
    expect(pass(traces, none, 2)).toBe(true);
    expect(pass(traces, none, 3)).toBe(true);
    expect(new Set(spans.map((span) => span.traceId)).size).toBe(2);
    expect(spans[0]).toMatchObject({ parentSpanId: undefined, hasRemoteParent: false });
    expect(spans[0]?.traceId).toMatch(/^[\da-f]{32}$/);
    expect(spans[0]?.spanId).toMatch(/^[\da-f]{16}$/);
  });

  test('with a ratio of 0 none of those that say nothing, and with 1 each [broker]', () => {
    random = 0;
    expect(pass(tracesOf(0).traces, none, 1)).toBe(false);
    random = 0.999_999;
    expect(pass(tracesOf(1).traces, none, 1)).toBe(true);
  });
});

describe('bounds', () => {
  /** Begins `count` halves at this moment; the number of those that are traced. */
  function traced(traces: OpenTraces, properties: Buffer, count: number): number {
    let number = 0;
    for (let i = 0; i < count; i++) {
      if (!traces.begin(properties, 0, properties.length, 0)) continue;
      traces.turn('publish', topic, 1, 4, {});
      number++;
    }
    return number;
  }

  test('publishers force so many halves a second over all connections, and the rest is counted [broker]', () => {
    const { tracer, traces } = tracesOf(0);
    expect(traced(traces, carrying('01'), FORCED_MAX - 1)).toBe(FORCED_MAX - 1);
    nowMs += 999;
    expect(traced(new OpenTraces(tracer, 'c2'), carrying('01'), 10)).toBe(1);
    expect([spans.length, dropped]).toEqual([FORCED_MAX, 9]);
    nowMs += 1;
    expect(traced(traces, carrying('01'), FORCED_MAX + 1)).toBe(FORCED_MAX);
    // A clock that was set back stops nothing.
    nowMs = 5;
    expect(traced(traces, carrying('01'), 1)).toBe(1);
  });

  test('what the ratio takes is not forced: it takes nothing from those, and goes on when they have to stop [broker]', () => {
    const { traces } = tracesOf(0.5);
    random = 0.4;
    expect(traced(traces, carrying('01'), 2 * FORCED_MAX)).toBe(2 * FORCED_MAX);
    random = 0.6;
    expect(traced(traces, carrying('01'), 2 * FORCED_MAX)).toBe(FORCED_MAX);
    expect(dropped).toBe(FORCED_MAX);
    random = 0.4;
    expect(traced(traces, none, 3) + traced(traces, carrying('01'), 3)).toBe(6);
  });

  test('nothing is begun while its span would find no place, and each is counted [broker]', () => {
    const { traces } = tracesOf(1);
    hasRoom = false;
    expect(traced(traces, none, 5) + traced(traces, carrying('01'), 5)).toBe(0);
    expect([spans.length, dropped]).toEqual([0, 10]);
    // What is not to be traced is not missed.
    expect(traced(traces, carrying('00'), 5)).toBe(0);
    expect(dropped).toBe(10);
    hasRoom = true;
    expect(traced(traces, none, 1)).toBe(1);
  });
});

describe('acknowledgements', () => {
  test('a refusal and a lost connection make the span fail [broker]', () => {
    const { traces } = tracesOf(0);
    pass(traces, carrying('01'), 1);
    pass(traces, carrying('01'), 2);
    traces.answered(1, 'acknowledge', 0x83);
    traces.lost('acknowledge');
    expect(spans.slice(2)).toMatchObject([
      { attributes: { 'mqtt.reason_code': 0x83 }, error: 'refused by a reason code' },
      { attributes: {}, error: 'the connection ended before the acknowledgement' },
    ]);
    traces.lost('acknowledge');
    traces.answered(2, 'acknowledge', 0);
    expect(spans).toHaveLength(4);
  });

  test('what is answered while it is routed was not stored, and QoS 0 is not answered [broker]', () => {
    const { traces } = tracesOf(0);
    traces.begin(carrying('01'), 0, carrying('01').length, 5);
    traces.answered(5, 'store', 0x10);
    traces.turn('publish', topic, 1, 4, {});
    pass(traces, carrying('01'), 0);
    traces.lost('store');
    expect(spans.map(({ name }) => name)).toEqual(['publish', 'publish']);
  });

  test('those that wait are bounded over all connections; one beyond has its first span only [broker]', () => {
    const { tracer, traces } = tracesOf(1);
    const other = new OpenTraces(tracer, 'c2');
    for (let id = 1; id <= OPEN_MAX; id++) pass(id % 2 === 0 ? traces : other, none, id);
    expect(dropped).toBe(0);
    expect(pass(traces, none, 60_000)).toBe(true);
    expect(dropped).toBe(1);
    traces.answered(60_000, 'store', 0);
    expect(spans).toHaveLength(OPEN_MAX + 1);
    traces.answered(2, 'store', 0);
    pass(traces, none, 60_001);
    traces.lost('store');
    other.lost('store');
    expect(spans.filter(({ name }) => name === 'store')).toHaveLength(OPEN_MAX + 1);
    expect(dropped).toBe(1);
  });
});
