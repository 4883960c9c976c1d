/**
 * Gathers finished spans and hands them on in batches. Main thread; only while tracing is on.
 *
 * Always true: bounded in memory: what comes while `WAITING_MAX` wait is dropped and counted; one batch is under way at a
 * time; a collector that is away or slow costs spans and nothing else. Gives up: a second try; a trace with a hole is worth
 * less than memory. The timer keeps no process alive and exists only while spans wait.
 */
import { slotOf } from './counter-layout.js';
import type { Counters } from './counter.js';

/** A span that is over. Ids are lower-case hex, 32 and 16 digits. */
export interface FinishedSpan {
  readonly name: string;
  readonly kind: 'server' | 'internal';
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the first span of a trace. */
  readonly parentSpanId: string | undefined;
  /** True when the parent is a span of somebody else. */
  readonly hasRemoteParent: boolean;
  /** Wall clock, ms since 1970 with fractions. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** Why it failed; undefined when it did not. */
  readonly error: string | undefined;
}

/** Takes spans. */
export interface SpanSink {
  /** Takes one, or drops and counts it. Never throws. */
  add(span: FinishedSpan): void;
  /** False when the next one would be dropped: then nothing needs to be made for it. */
  hasRoom(): boolean;
  /** A span was given up before it ended, or before it was made. */
  drop(): void;
}

/** What an export needs. */
export interface SpanExportParts {
  /** Hands a batch to the collector; rejects when it did not take it. */
  readonly send: (spans: readonly FinishedSpan[]) => Promise<void>;
  readonly counters: Counters;
  readonly logger: { warn(fields: object, message: string): void };
}

/** Spans that wait at most, those under way not counted. */
export const WAITING_MAX = 4096;
/** Spans per batch. */
export const BATCH_MAX = 512;
const INTERVAL_MS = 1000;

const exported = slotOf('traceSpans', 'exported');
const failed = slotOf('traceSpans', 'failed');
const dropped = slotOf('traceSpans', 'dropped');

/** See the file header. */
export class SpanExport implements SpanSink {
  readonly #parts: SpanExportParts;
  #waiting: FinishedSpan[] = [];
  #timer: NodeJS.Timeout | undefined;
  #sending: Promise<void> | undefined;

  constructor(parts: SpanExportParts) {
    this.#parts = parts;
  }

  hasRoom(): boolean {
    return this.#waiting.length < WAITING_MAX;
  }

  add(span: FinishedSpan): void {
    if (!this.hasRoom()) {
      this.drop();
      return;
    }
    this.#waiting.push(span);
    if (this.#sending !== undefined) return;
    if (this.#waiting.length >= BATCH_MAX) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), INTERVAL_MS).unref();
  }

  drop(): void {
    this.#parts.counters.add(dropped, 1);
  }

  /** Sends what waits, for at most `timeoutMs`; what is left then is dropped. */
  async close(timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'over'>((resolve) => {
      timer = setTimeout(() => resolve('over'), timeoutMs);
    });
    while (this.#waiting.length > 0 || this.#sending !== undefined) {
      if (this.#sending === undefined) this.#send();
      if ((await Promise.race([this.#sending, timeout])) === 'over') break;
    }
    clearTimeout(timer);
    clearTimeout(this.#timer);
    this.#parts.counters.add(dropped, this.#waiting.length);
    this.#waiting = [];
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#waiting.splice(0, BATCH_MAX);
    if (batch.length === 0) return;
    this.#sending = this.#deliver(batch).finally(() => {
      this.#sending = undefined;
      if (this.#waiting.length >= BATCH_MAX) this.#send();
      else if (this.#waiting.length > 0) this.#timer ??= setTimeout(() => this.#send(), INTERVAL_MS).unref();
    });
  }

  async #deliver(batch: readonly FinishedSpan[]): Promise<void> {
    const { send, counters, logger } = this.#parts;
    try {
      await send(batch);
      counters.add(exported, batch.length);
    } catch (error) {
      counters.add(failed, batch.length);
      logger.warn({ err: error, spans: batch.length }, 'the collector did not take spans');
    }
  }
}
