/**
 * Sends spans by OTLP over HTTP, as JSON, with the library of OpenTelemetry. Main thread.
 *
 * Always true: this is the only file that loads the library, and nobody loads this file unless tracing is on. A batch is
 * over, one way or the other, within `TIMEOUT_MS`. Source: OTLP 1.x; semantic conventions for messaging.
 */
import { SpanKind, SpanStatusCode, TraceFlags, type HrTime, type SpanContext } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-base';

import type { FinishedSpan } from './span-export.js';

const TIMEOUT_MS = 5000;
const EXPORT_SUCCEEDED = 0;

/** A function that sends batches to `url`; it rejects when the collector did not take one. */
export function createOtlpSender(
  url: string,
  version: string,
): (spans: readonly FinishedSpan[]) => Promise<void> {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: TIMEOUT_MS });
  const resource = resourceOf({ 'service.name': 'sluice', 'service.version': version });
  const scope = { name: 'sluice', version };
  return (spans) =>
    new Promise((resolve, reject) => {
      const readable = spans.map((span) => readableOf(span, resource, scope));
      exporter.export(readable, ({ code, error }) => {
        const outcome: number = code;
        if (outcome === EXPORT_SUCCEEDED) resolve();
        else reject(error ?? new Error('the collector gave no reason'));
      });
    });
}

function resourceOf(attributes: Readonly<Record<string, string>>): ReadableSpan['resource'] {
  const resource: ReadableSpan['resource'] = {
    attributes,
    merge: () => resource,
    getRawAttributes: () => Object.entries(attributes),
  };
  return resource;
}

function readableOf(
  span: FinishedSpan,
  resource: ReadableSpan['resource'],
  instrumentationScope: ReadableSpan['instrumentationScope'],
): ReadableSpan {
  const context: SpanContext = {
    traceId: span.traceId,
    spanId: span.spanId,
    traceFlags: TraceFlags.SAMPLED,
  };
  return {
    name: span.name,
    kind: span.kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
    spanContext: () => context,
    ...(span.parentSpanId !== undefined && {
      parentSpanContext: { ...context, spanId: span.parentSpanId, isRemote: span.hasRemoteParent },
    }),
    startTime: timeOf(span.startMs),
    endTime: timeOf(span.endMs),
    duration: timeOf(Math.max(0, span.endMs - span.startMs)),
    status:
      span.error === undefined
        ? { code: SpanStatusCode.UNSET }
        : { code: SpanStatusCode.ERROR, message: span.error },
    attributes: span.attributes,
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** Seconds and nanoseconds. */
function timeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
