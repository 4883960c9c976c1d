/** What tracing costs while it is off. Quick tier. */
import { expect, test } from 'vitest';

import { fileOf, filesOf } from '../repository/tree.js';

test('the library of traces is named by one file, which is only loaded when tracing is turned on [broker]', () => {
  const sources = filesOf('src', /\.tsx?$/);
  const naming = sources.filter(({ text }) => /from '@opentelemetry\//.test(text)).map(({ path }) => path);
  expect(naming).toEqual(['src/telemetry/otlp-sender.ts']);
  const loading = sources.filter(({ text }) => /\bimport\b[^;]*otlp-sender\.js/.test(text));
  expect(loading.map(({ path }) => path)).toEqual(['src/telemetry/tracing.ts']);
  expect(loading[0]?.text).toMatch(/await import\('\.\/otlp-sender\.js'\)/);
  expect(loading[0]?.text).not.toMatch(/^import .*otlp-sender/m);
});

test('tracing is opened when a collector is named, and not else [broker]', () => {
  const { text } = fileOf('src/broker/broker.ts');
  expect(text).toMatch(/config\.traceUrl === undefined\s*\?\s*undefined\s*:\s*await openTracing\(/);
  expect(text.match(/openTracing\(/g)).toHaveLength(1);
});
