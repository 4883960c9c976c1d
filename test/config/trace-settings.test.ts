import { expect, test } from 'vitest';

import { ConfigError, loadConfig } from '../../src/config/config.js';

function faultOf(env: Record<string, string>): string {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ message }) => message).join();
  }
  return '';
}

test('tracing is off without a URL, and traces nothing without a ratio [broker]', () => {
  expect(loadConfig({})).toMatchObject({ traceUrl: undefined, traceRatio: 0 });
  const on = loadConfig({
    SLUICE_TRACE_URL: 'https://collector.example/v1/traces',
    SLUICE_TRACE_RATIO: '.25',
  });
  expect(on).toMatchObject({ traceUrl: 'https://collector.example/v1/traces', traceRatio: 0.25 });
  expect(loadConfig({ SLUICE_TRACE_RATIO: '1' }).traceRatio).toBe(1);
  expect(loadConfig({ SLUICE_TRACE_RATIO: '0.001' }).traceRatio).toBe(0.001);
});

test.each(['collector', 'ftp://x', 'http://', 'http://[x'])('the URL %s is a fault [broker]', (url) => {
  expect(faultOf({ SLUICE_TRACE_URL: url })).toContain('is not an http or https URL');
});

test.each(['2', '-1', '1.5', '10%', 'NaN', '1e-3'])('the ratio %s is a fault [broker]', (ratio) => {
  expect(faultOf({ SLUICE_TRACE_RATIO: ratio })).toContain('is not a number from 0 to 1');
});
