/**
 * From the results of the load processes to the figures of a run. Runs in the bench's main process.
 *
 * Always true: loss and duplicates come from ledgers, never from estimates; a figure that was not measured is undefined,
 * never 0.
 */
import hdr from 'hdr-histogram-js';
import { countBits, countMissing, unionBits } from './ledger.mjs';

/** Percentiles of a latency curve, as shown in charts. */
const CURVE_PERCENTILES = [10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 100];

/** Figures of a whole run: counts, loss, rates over the run, latencies. `load` is complete (see load.mjs). */
export function summarize(results, load) {
  const total = (field) => results.reduce((sum, result) => sum + result[field], 0);
  const goAtMs = Math.min(...results.map((result) => result.goAtMs));
  const ackSeconds = Math.max(0, Math.max(...results.map((result) => result.lastAckAtMs)) - goAtMs) / 1000;
  const lastDeliveryAtMs = Math.max(...results.map((result) => result.lastDeliveryAtMs));
  const firstDeliveryAtMs = Math.min(...results.map((result) => result.firstDeliveryAtMs));
  const fromAtMs = load.publishers === 0 || load.late ? firstDeliveryAtMs : goAtMs;
  const deliverySeconds = Math.max(0, lastDeliveryAtMs - fromAtMs) / 1000;
  const completedAtMs = Math.max(...results.map((result) => result.lastCompletedAtMs));
  const ledger = load.mode === 'broadcast' ? reconcileEach(results, load) : reconcileShared(results, load);
  const delivered = total('delivered');
  const slowest = Math.max(ackSeconds, deliverySeconds);
  return {
    sent: total('sent'),
    acked: total('acked'),
    failed: total('failed'),
    held: total('held'),
    delivered,
    ...ledger,
    markedDup: total('marked'),
    outOfOrder: total('outOfOrder'),
    foreign: total('foreign'),
    seconds: round(slowest, 3),
    ackSeconds: round(ackSeconds, 3),
    deliverySeconds: round(deliverySeconds, 3),
    completedSeconds: round(Math.max(0, completedAtMs - goAtMs) / 1000, 3),
    ackedPerSecond: perSecond(total('acked'), ackSeconds),
    deliveredPerSecond: perSecond(delivered, deliverySeconds),
    endToEndPerSecond: perSecond(load.consumers === 0 ? total('acked') : ledger.distinct, slowest),
    deliveredPerConsumer: perConsumer(results),
    lowestSequence: finite(Math.min(...results.map((result) => result.lowestSequence))),
    publishLatencyMs: percentiles(results.map((result) => result.publishLatency)),
    deliveryLatencyMs: percentiles(results.map((result) => result.deliveryLatency)),
    publishCurveMs: curve(results.map((result) => result.publishLatency)),
    deliveryCurveMs: curve(results.map((result) => result.deliveryLatency)),
    loadCpuSeconds: round(total('cpuSeconds'), 2),
  };
}

/** Steady rates between two moments, taken from the reports of the load processes. */
export function windowRates(fleet, fromMs, toMs) {
  const seconds = (toMs - fromMs) / 1000;
  const between = (field) => fleet.countAt(field, toMs) - fleet.countAt(field, fromMs);
  const [acked, delivered, cpuUs] = [between('acked'), between('delivered'), between('cpuUs')];
  const messages = Math.max(acked, delivered);
  return {
    seconds: round(seconds, 3),
    messages: Math.round(messages),
    ackedPerSecond: perSecond(acked, seconds),
    deliveredPerSecond: perSecond(delivered, seconds),
    loadCpuUsPerMessage: messages === 0 ? undefined : round(cpuUs / messages, 3),
  };
}

function perConsumer(results) {
  return results
    .flatMap((result) => result.perConsumer)
    .toSorted((a, b) => a.index - b.index)
    .map(({ delivered }) => delivered);
}

/** Consumers that each get every message: what is missing of publishers × consumers. */
function reconcileEach(results, load) {
  const total = (field) => results.reduce((sum, result) => sum + result[field], 0);
  const distinct = total('distinctEach');
  return {
    distinct,
    loss: load.consumers === 0 ? 0 : Math.max(0, total('acked') * load.consumers - distinct),
    duplicates: total('duplicatesEach'),
  };
}

/** Consumers that share the messages. Without publishers the expected messages are those of `count`. */
function reconcileShared(results, load) {
  let distinct = 0;
  let loss = 0;
  for (let publisher = 0; publisher < load.ledgerPublishers; publisher += 1) {
    const delivered = unionBits(results.map((result) => result.delivery[publisher]));
    distinct += countBits(delivered);
    const acknowledged = results.flatMap((result) =>
      result.acknowledged.filter((item) => item.index === publisher),
    );
    loss += acknowledged.every((item) => item.bytes === undefined)
      ? Math.max(0, acknowledged.reduce((sum, item) => sum + item.acked, 0) - countBits(delivered))
      : countMissing(unionBits(acknowledged.map((item) => item.bytes)), delivered);
  }
  const delivered = results.reduce((sum, result) => sum + result.delivered - result.foreign, 0);
  if (load.consumers === 0) loss = 0;
  if (load.publishers === 0) loss = Math.max(0, load.count - distinct);
  return { distinct, loss, duplicates: delivered - distinct };
}

/** Broker CPU over the messages it handled. */
export function perMillion(cpuSeconds, results) {
  const messages = Math.max(
    results.reduce((sum, result) => sum + result.acked, 0),
    results.reduce((sum, result) => sum + result.delivered, 0),
  );
  return {
    cpuSecondsPerMillion:
      cpuSeconds === undefined || messages === 0 ? undefined : round((cpuSeconds / messages) * 1e6, 2),
  };
}

function merged(encoded) {
  const histogram = hdr.build({ numberOfSignificantValueDigits: 3 });
  for (const text of encoded) histogram.add(hdr.decodeFromCompressedBase64(text));
  return histogram.totalCount === 0 ? undefined : histogram;
}

/** p50 to p99.9 and the longest, milliseconds, over all histograms; undefined when they are empty. */
export function percentiles(encoded) {
  const histogram = merged(encoded);
  if (histogram === undefined) return undefined;
  const at = (percent) => round(histogram.getValueAtPercentile(percent) / 1000, 3);
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100), count: histogram.totalCount };
}

/** The latency curve: [percentile, milliseconds] in turn; undefined when there is none. */
export function curve(encoded) {
  const histogram = merged(encoded);
  if (histogram === undefined) return undefined;
  return CURVE_PERCENTILES.map((percent) => [
    percent,
    round(histogram.getValueAtPercentile(percent) / 1000, 3),
  ]);
}

/** Events per second, rounded; 0 when there was no time. */
export function perSecond(count, seconds) {
  return seconds > 0 ? Math.round(count / seconds) : 0;
}

/** `value` with so many decimals. */
export function round(value, digits) {
  return Number(value.toFixed(digits));
}

function finite(value) {
  return Number.isFinite(value) ? value : undefined;
}
