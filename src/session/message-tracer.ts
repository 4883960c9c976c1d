/**
 * Decides which messages are traced, and makes their spans. Main thread; there is none while tracing is off.
 *
 *   producer's span ─┬─▶ publish ─▶ store        the PUBLISH, until it is routed; then until PUBACK or PUBREC
 *                    ╰─▶ deliver ─▶ acknowledge   each delivery from a queue; then until the consumer answers
 *
 * Always true: a message with a `traceparent` is traced exactly when its publisher says so; of the others a part; nothing in
 * a message is changed. Both halves know the trace from the message itself, so it may wait for days in between. Without a
 * `traceparent` the two halves are traces of their own. Spans that are open are bounded over all connections.
 */
import { randomBytes } from 'node:crypto';

import type { FinishedSpan, SpanSink } from '../telemetry/span-export.js';
import { traceContextOf } from './trace-context.js';

/** What the tracer works with. */
export interface MessageTracerOptions {
  /** Part of the messages without `traceparent` that are traced. */
  readonly ratio: number;
  readonly sink: SpanSink;
  /** 0 to 1. */
  readonly random: () => number;
  /** Wall clock, ms since 1970 with fractions. */
  readonly nowMs: () => number;
}

/** One half of a message's way that has begun and not ended: its first span, and when that was over. */
export interface OpenTrace {
  readonly traceId: string;
  readonly remoteSpanId: string | undefined;
  readonly spanId: string;
  readonly startMs: number;
  /** End of the first span, and begin of the second; 0 while the first is open. */
  turnMs: number;
}

/** Traces that wait for an acknowledgement at most; one beyond has its first span only. */
export const OPEN_MAX = 4096;

const answerTexts: Readonly<Record<'lost' | 'refused', string>> = {
  lost: 'the connection ended before the acknowledgement',
  refused: 'refused by a reason code',
};

/** See the file header. One per gateway. */
export class MessageTracer {
  readonly #options: MessageTracerOptions;
  #open = 0;

  constructor(options: MessageTracerOptions) {
    this.#options = options;
  }

  /** Begins a half for a message with these stored properties; undefined when it is not traced. */
  begin(buffer: Buffer, propertiesStart: number, propertiesEnd: number): OpenTrace | undefined {
    const { ratio, random, nowMs } = this.#options;
    const context =
      propertiesStart === propertiesEnd ? undefined : traceContextOf(buffer, propertiesStart, propertiesEnd);
    if (context === undefined ? ratio === 0 || random() >= ratio : !context.isSampled) return undefined;
    return {
      traceId: context?.traceId ?? randomBytes(16).toString('hex'),
      remoteSpanId: context?.spanId,
      spanId: randomBytes(8).toString('hex'),
      startMs: nowMs(),
      turnMs: 0,
    };
  }

  /** The first span of a half is over. */
  turn(trace: OpenTrace, name: 'publish' | 'deliver', attributes: FinishedSpan['attributes']): void {
    trace.turnMs = this.#options.nowMs();
    this.#options.sink.add({
      name,
      kind: name === 'publish' ? 'server' : 'internal',
      traceId: trace.traceId,
      spanId: trace.spanId,
      parentSpanId: trace.remoteSpanId,
      hasRemoteParent: trace.remoteSpanId !== undefined,
      startMs: trace.startMs,
      endMs: trace.turnMs,
      attributes,
      error: undefined,
    });
  }

  /** Books a trace that waits for its acknowledgement; false when too many do, and its second span is given up. */
  hold(): boolean {
    if (this.#open < OPEN_MAX) {
      this.#open++;
      return true;
    }
    this.#options.sink.drop();
    return false;
  }

  /** The acknowledgement of a trace that was held is there, or will not come. `reason` is its reason code, if it came. */
  end(trace: OpenTrace, name: 'store' | 'acknowledge', reason: number | undefined): void {
    this.#open--;
    // Answered while it was being routed: nothing was stored.
    if (trace.turnMs === 0) return;
    const refusal = reason !== undefined && reason >= 0x80 ? answerTexts.refused : undefined;
    this.#options.sink.add({
      name,
      kind: 'internal',
      traceId: trace.traceId,
      spanId: randomBytes(8).toString('hex'),
      parentSpanId: trace.spanId,
      hasRemoteParent: false,
      startMs: trace.turnMs,
      endMs: this.#options.nowMs(),
      attributes: reason === undefined ? {} : { 'mqtt.reason_code': reason },
      error: reason === undefined ? answerTexts.lost : refusal,
    });
  }
}
