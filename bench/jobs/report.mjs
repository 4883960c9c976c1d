/**
 * Prints the figures of a run as a table, one line per figure. Runs in the bench's main process.
 *
 * Always true: a figure that could not be measured is shown as such, never as 0. The JSON line beside the
 * table carries the same figures and the options that led to them.
 */
import { readFileSync } from 'node:fs';
import os from 'node:os';

/** What the figures depend on besides the options. */
export function machineFacts() {
  const cpus = os.cpus();
  return {
    cores: os.availableParallelism(),
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    memoryBytes: os.totalmem(),
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    kernel: os.release(),
    loadAverage: Number(os.loadavg()[0].toFixed(2)),
    version: JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version,
  };
}

const count = (value) => value?.toLocaleString('en-US') ?? 'not measured';
const latency = (value) =>
  value === undefined
    ? 'not measured'
    : `${value.p50} / ${value.p90} / ${value.p99} / ${value.p999} / ${value.max}`;
const megabytes = (value) => (value === undefined ? 'not measured' : `${(value / 1048576).toFixed(0)} MiB`);

/** The whole table as text, ending in a newline. */
export function renderTable({ machine, options, result, baseline }) {
  const rows = [
    [
      'broker',
      [result.broker, result.store, result.durability, result.shards && `${result.shards} shards`]
        .filter(Boolean)
        .join(', '),
    ],
    ['load', loadText(options)],
    [
      'acknowledged',
      `${count(result.ackedPerSecond)}/s  (${count(result.acked)} of ${count(result.sent)} sent, ${count(result.failed)} refused)`,
    ],
    ['delivered', `${count(result.deliveredPerSecond)}/s  (${count(result.delivered)})`],
    [
      'acknowledged and delivered',
      `${count(result.endToEndPerSecond)}/s  in ${result.seconds} s, ended: ${result.ended}`,
    ],
    ['median second', medianText(result.series)],
    ['lost', count(result.loss)],
    ['duplicates', `${count(result.duplicates)}  (${count(result.markedDup)} marked DUP)`],
    ['delivered out of order', count(result.outOfOrder)],
    ['publish to ack, ms', `${latency(result.publishLatencyMs)}  (p50 / p90 / p99 / p99.9 / max)`],
    ['publish to delivery, ms', latency(result.deliveryLatencyMs)],
    [
      'broker CPU',
      result.cpuSecondsPerMillion === undefined
        ? 'not measured'
        : `${result.cpuSecondsPerMillion} s per million messages`,
    ],
    ['broker memory', `${megabytes(result.rssPeakBytes)} at its highest`],
    ['load CPU', `${result.loadCpuSeconds} s`],
  ];
  if (baseline !== undefined) {
    rows.push([
      'mosquitto, 1 to 1, QoS 1',
      `${count(baseline.endToEndPerSecond)}/s acknowledged and delivered, nothing durable`,
    ]);
    rows.push(['ratio to mosquitto', `${result.ratioToBaseline} ×`]);
  }
  rows.push([
    'machine',
    `${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ${machine.platform}`,
  ]);
  for (const failure of result.failures) rows.push(['failure', failure]);
  const width = Math.max(...rows.map(([name]) => name.length));
  return `${rows.map(([name, text]) => `${name.padEnd(width)}  ${text}`).join('\n')}\n`;
}

function loadText(options) {
  const pace = options.rate > 0 ? `${count(options.rate)} messages/s` : `${options.inFlight} in flight each`;
  return `${options.publishers} publishers (QoS ${options.qos}, ${pace}), ${options.consumers} consumers, ${options.payload} B, ${options.mode}, MQTT ${options.protocol === 5 ? '5.0' : '3.1.1'}`;
}

function medianText(series) {
  if (series.length < 3) return 'run too short';
  const median = (field) =>
    series.map((item) => item[field]).toSorted((a, b) => a - b)[Math.floor(series.length / 2)];
  return `${count(median('acked'))}/s acknowledged, ${count(median('delivered'))}/s delivered`;
}
