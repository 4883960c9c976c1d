/**
 * Turns tracing on. Main thread, once, at start.
 *
 * Always true: the library of OpenTelemetry is loaded here, by a dynamic import, and only when there is a URL: without one
 * the start is as quick and the process as small as if there were no tracing.
 */
import type { Counters } from './counter.js';
import type { Logger } from './logger.js';
import { SpanExport } from './span-export.js';

/** What tracing is opened with. */
export interface TracingOptions {
  readonly url: string;
  readonly version: string;
  readonly counters: Counters;
  readonly logger: Logger;
}

/** The export of spans to the collector at `url`; whether it answers shows with the first batch. */
export async function openTracing({ url, version, counters, logger }: TracingOptions): Promise<SpanExport> {
  const { createOtlpSender } = await import('./otlp-sender.js');
  return new SpanExport({ send: createOtlpSender(url, version), counters, logger });
}
