/**
 * Settings of traces: where spans go, and which messages have some. Runs on the main thread, once, at start.
 *
 * Always true: without a URL nothing of tracing is loaded and no message pays for it. A message that says itself whether it
 * is traced is believed; the ratio is for those that say nothing.
 */
import { UnitError } from './unit.js';
import { text } from './variable.js';
import type { Variable } from './variable.js';

const traceUrl: Variable<string | undefined> = {
  ...text('SLUICE_TRACE_URL', {
    fallback: '',
    defaultText: 'none',
    pattern: /^https?:\/\//,
    range: 'an http or https URL',
    help: 'Where spans of traced messages are sent by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. Without it nothing is traced.',
  }),
  fallback: () => undefined,
  parse: (given) => {
    if (given === 'none') return undefined;
    if (!/^https?:\/\//.test(given) || !URL.canParse(given)) {
      throw new UnitError(`${JSON.stringify(given)} is not an http or https URL`);
    }
    return given;
  },
};

const traceRatio: Variable<number> = {
  ...text('SLUICE_TRACE_RATIO', {
    fallback: '0',
    pattern: /^(?:0|1|0?\.\d{1,9}|1\.0+)$/,
    range: '0 to 1',
    help: 'Part of the messages without a `traceparent` that are traced all the same.',
  }),
  type: 'number',
  fallback: () => 0,
  parse: (given) => {
    const value = /^\d*\.?\d+$/.test(given) ? Number(given) : Number.NaN;
    if (!(value >= 0 && value <= 1))
      throw new UnitError(`${JSON.stringify(given)} is not a number from 0 to 1`);
    return value;
  },
};

/** Part of `Config`; see the file header. */
export const traceSettings = { traceUrl, traceRatio };
