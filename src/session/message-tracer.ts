/**
 * Decides which messages are traced, and makes their spans. Main thread; there is none while tracing is off.
 *
 *   producer's span ─┬─▶ publish ─▶ store        the PUBLISH, until it is routed; then until PUBACK or PUBREC
 *                    ╰─▶ deliver ─▶ acknowledge   each delivery from a queue; then until the consumer answers
 *
 * Always true: a message is not traced when its publisher says no; when it says yes, each of `FORCED_MAX` halves a second
 * is, and of the rest, as of those that say nothing, a part; nothing in a message is changed. Both halves know the trace from
 * the message itself, so it may wait for days in between. Without a `traceparent` the two halves are traces of their own.
 * Spans that are open are bounded over all connections; what finds no room is counted as dropped and costs nothing more.
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

/**
 * Halves per second, over all connections, that are traced only because their publisher says so. Anybody who may publish can
 * ask for it: this is enough to follow what a person looks at, and at two spans each less than half a batch a second for the
 * collector.
 */
export const FORCED_MAX = 100;
const FORCED_WINDOW_MS = 1000;

const answerTexts: Readonly<Record<'lost' | 'refused', string>> = {
  lost: 'the connection ended before the acknowledgement',
  refused: 'refused by a reason code',
};

/** See the file header. One per gateway. */
export class MessageTracer {
  readonly #options: MessageTracerOptions;
  #open = 0;
  #forced = 0;
  #forcedUntilMs = 0;

  constructor(options: MessageTracerOptions) {
    this.#options = options;
  }

  /** Begins a half for a message with these stored properties; undefined when it is not traced. */
  begin(buffer: Buffer, propertiesStart: number, propertiesEnd: number): OpenTrace | undefined {
    const { ratio, random, nowMs, sink } = this.#options;
    const context =
      propertiesStart === propertiesEnd ? undefined : traceContextOf(buffer, propertiesStart, propertiesEnd);
    if (context?.isSampled === false) return undefined;
    const isOfRatio = ratio > 0 && random() < ratio;
    if (!isOfRatio && context === undefined) return undefined;
    if (!sink.hasRoom() || (!isOfRatio && !this.#mayForce(nowMs()))) {
      sink.drop();
      return undefined;
    }
    return {
      traceId: context?.traceId ?? randomBytes(16).toString('hex'),
      remoteSpanId: context?.spanId,
      spanId: randomBytes(8).toString('hex'),
      startMs: nowMs(),
      turnMs: 0,
    };
  }

  /** Books one half that is traced because its publisher says so; false when there were too many in this second. */
  #mayForce(atMs: number): boolean {
    // The second way round: a clock that was set back.
    if (atMs >= this.#forcedUntilMs || atMs < this.#forcedUntilMs - FORCED_WINDOW_MS) {
      this.#forced = 0;
      this.#forcedUntilMs = atMs + FORCED_WINDOW_MS;
    }
    return this.#forced++ < FORCED_MAX;
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
