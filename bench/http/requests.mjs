/**
 * Requests to one HTTP address as fast as they are answered, through autocannon. Runs in the bench's main process, which
 * has nothing else to do meanwhile.
 *
 * Always true: an answer outside 2xx, an error and a timeout are counted, and latency is that of every answer. autocannon
 * is loaded when it is needed, so that the other suites run without it.
 */
import hdr from 'hdr-histogram-js';
import { OptionError } from '../jobs/options.mjs';

/** autocannon's function; throws an `OptionError` where it is not installed. */
export async function loadAutocannon() {
  try {
    return (await import('autocannon')).default;
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new OptionError('autocannon is not installed: npm install');
  }
}

/**
 * Sends `request` over so many connections for so many seconds; resolves to rate, latency in ms and faults. `request`:
 * method, path and, when there is one, body (an object).
 */
export async function requestLoad(autocannon, { apiUrl, request, connections, seconds }) {
  const { method, path, body } = request;
  const histogram = hdr.build({ numberOfSignificantValueDigits: 3 });
  let statusFaults = 0;
  let answers = 0;
  const startedMs = performance.now();
  const instance = autocannon({
    url: `${apiUrl}${path}`,
    method,
    connections,
    duration: seconds,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  });
  instance.on('response', (_client, status, _bytes, responseMs) => {
    answers += 1;
    if (status < 200 || status > 299) statusFaults += 1;
    histogram.recordValue(Math.max(1, Math.round(responseMs * 1000)));
  });
  const { errors, timeouts } = await instance;
  const passedSeconds = (performance.now() - startedMs) / 1000;
  const at = (percent) => histogram.getValueAtPercentile(percent) / 1000;
  return {
    requestsPerSecond: Math.round(answers / passedSeconds),
    answers,
    faults: statusFaults + errors + timeouts,
    latencyMs: answers === 0 ? undefined : { p50: at(50), p99: at(99), p999: at(99.9), max: at(100) },
  };
}
