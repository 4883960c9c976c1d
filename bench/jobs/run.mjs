/**
 * `bench jobs`: one run of the durable path (or of plain topics) and its verdict. Runs in the bench's main
 * process, which only coordinates; the load lives in child processes, the broker in another.
 *
 * Always true: no publisher starts before every consumer is subscribed; the run ends when everything that
 * was acknowledged is delivered or nothing has moved for the idle timeout; loss and duplicates are counted
 * from bitmaps, not estimated.
 */
import { fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import hdr from 'hdr-histogram-js';
import { nowMs } from './client.mjs';
import { countBits, countMissing, unionBits } from './ledger.mjs';
import { helpText, OptionError, parseOptions } from './options.mjs';
import { machineFacts, renderTable } from './report.mjs';
import { openTarget, spawnMosquitto } from './target.mjs';

const LOAD_ENTRY = new URL('./load.mjs', import.meta.url);
/** Time for late duplicates to show up after the last expected delivery. */
const SETTLE_MS = 300;
const BASELINE_IN_FLIGHT = 100;
const BASELINE_COUNT_MAX = 400_000;

/** Runs the suite with `argv`; resolves to the exit code. */
export async function run(argv) {
  let options;
  try {
    options = parseOptions(argv);
    if (options.help) {
      process.stdout.write(helpText());
      return 0;
    }
    const target = await openTarget(options);
    let result;
    try {
      result = await measure(target, options);
    } finally {
      await target.stop();
    }
    const baseline = options.baseline === 'mosquitto' ? await measureMosquitto(options) : undefined;
    if (baseline !== undefined)
      result.ratioToBaseline = round(result.endToEndPerSecond / baseline.endToEndPerSecond, 2);
    const report = { suite: 'jobs', machine: machineFacts(), options, result, ...(baseline && { baseline }) };
    if (!options.quiet) process.stdout.write(renderTable(report));
    const line = JSON.stringify(report);
    process.stdout.write(`${line}\n`);
    if (options.json !== '') await writeFile(options.json, `${line}\n`);
    return result.loss === 0 && result.failures.length === 0 && (baseline?.failures.length ?? 0) === 0
      ? 0
      : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof OptionError ? error.message : error.stack}\n`);
    return error instanceof OptionError ? 2 : 1;
  }
}

/** The same generator against mosquitto: QoS 1, one publisher, one subscriber, no queue and no durability. */
async function measureMosquitto(options) {
  const target = await spawnMosquitto();
  try {
    return await measure(target, {
      ...options,
      mode: 'pubsub',
      publishers: 1,
      consumers: 1,
      qos: 1,
      rate: 0,
      inFlight: BASELINE_IN_FLIGHT,
      count: Math.min(options.count, BASELINE_COUNT_MAX),
      seconds: Math.min(options.seconds, 10),
      processes: 1,
      ledgerPublishers: 0,
      broker: 'mosquitto',
    });
  } finally {
    await target.stop();
  }
}

/** Loads `target` once; resolves to the figures. The target stays up. */
export async function measure(target, options) {
  if (options.mode === 'queue' && target.apiUrl !== '') await createQueue(target, options);
  const children = plans(target, options).map((plan) => startLoad(plan));
  try {
    await Promise.race([
      Promise.all(children.map((child) => child.ready)),
      ...children.map((child) => child.firstFailure),
    ]);
    const cpuBefore = await target.cpuSeconds();
    for (const child of children) child.process.send({ type: 'go' });
    const course = await follow(children, target, options);
    const cpuAfter = await target.cpuSeconds();
    const memory = await target.memory();
    const results = await Promise.all(children.map((child) => child.result()));
    const failures = children.flatMap((child) => child.failures);
    const cpuSeconds = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
    return {
      broker: target.name,
      ...target.facts,
      ...summarize(results, options),
      ...course,
      cpuSeconds,
      ...perMillion(cpuSeconds, results),
      ...memory,
      failures,
    };
  } finally {
    for (const child of children) child.process.kill();
  }
}

async function createQueue(target, options) {
  const queue = {
    topic_filter: `${options.topic}/#`,
    is_lastvalue: false,
    dispatch_strategy: options.strategy,
  };
  if (options.window > 0) queue.local_max_inflight = options.window;
  const { status, body } = await target.request('POST', '/message_queues/queues', queue);
  if (status === 400 && body?.code === 'ALREADY_EXISTS') return;
  if (status !== 200) throw new Error(`creating the queue: HTTP ${status} ${JSON.stringify(body)}`);
}

/** Deals publishers and consumers out to the load processes. */
function plans(target, options) {
  const runName = `bench-${process.pid}-${Math.round(nowMs()) % 1e6}`;
  const total = options.seconds > 0 ? Number.MAX_SAFE_INTEGER : options.count;
  const list = Array.from({ length: options.processes }, () => ({
    host: target.host,
    port: target.port,
    runName,
    protocolVersion: options.protocol,
    payloadBytes: options.payload,
    qos: options.qos,
    inFlight: options.inFlight,
    subscribeQos: 1,
    rate: options.rate / options.processes,
    ledgerPublishers: options.ledgerPublishers || options.publishers,
    publishers: [],
    consumers: [],
  }));
  for (let index = 0; index < options.publishers; index += 1) {
    const share = Math.floor(total / options.publishers) + (index < total % options.publishers ? 1 : 0);
    list[index % list.length].publishers.push({
      index,
      topicName: `${options.topic}/${index}`,
      count: share,
    });
  }
  for (let index = 0; index < options.consumers; index += 1) {
    const topicFilters =
      options.mode === 'queue'
        ? [`$q/${options.topic}/#`]
        : Array.from({ length: options.publishers }, (_, publisher) => publisher)
            .filter((publisher) => publisher % options.consumers === index)
            .map((publisher) => `${options.topic}/${publisher}`);
    list[index % list.length].consumers.push({ index, topicFilters });
  }
  return list;
}

function startLoad(plan) {
  const child = fork(LOAD_ENTRY, {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [],
  });
  const load = { process: child, failures: [], progress: undefined };
  let onResult;
  load.firstFailure = new Promise((_, reject) => {
    load.ready = new Promise((resolve) => {
      child.on('message', (message) => {
        if (message.type === 'ready') resolve();
        else if (message.type === 'progress') load.progress = message;
        else if (message.type === 'result') onResult?.(message);
        else if (message.type === 'failure') {
          load.failures.push(message.message);
          reject(new Error(message.message));
        }
      });
    });
    child.on('exit', (code, signal) => {
      if (onResult !== undefined) return;
      load.failures.push(`a load process ended early (${signal ?? code})`);
      reject(new Error(load.failures.at(-1)));
    });
  });
  load.firstFailure.catch(() => {});
  load.result = () =>
    new Promise((resolve, reject) => {
      onResult = resolve;
      child.once('exit', () => reject(new Error('a load process ended without a result')));
      child.send({ type: 'stop' });
    });
  child.send({ type: 'prepare', plan });
  return load;
}

/** Watches the run until it is over; answers the course per second and how it ended. */
async function follow(children, target, options) {
  const startedMs = nowMs();
  const series = [];
  let lastTotal = -1;
  let lastMovedMs = startedMs;
  let ended = 'complete';
  let finishing = options.seconds === 0;
  let second = { atMs: startedMs, acked: 0, delivered: 0 };
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const atMs = nowMs();
    if (!finishing && atMs - startedMs >= options.seconds * 1000) {
      finishing = true;
      for (const child of children) child.process.send({ type: 'finish' });
    }
    if (children.some((child) => child.failures.length > 0)) {
      ended = 'failure';
      break;
    }
    const seen = children.map((child) => child.progress);
    if (seen.includes(undefined)) continue;
    const total = (field) => seen.reduce((sum, item) => sum + item[field], 0);
    const [acked, delivered] = [total('acked'), total('delivered')];
    if (atMs - second.atMs >= 1000) {
      const span = (atMs - second.atMs) / 1000;
      series.push({
        acked: Math.round((acked - second.acked) / span),
        delivered: Math.round((delivered - second.delivered) / span),
      });
      second = { atMs, acked, delivered };
    }
    if (acked + delivered + total('failed') !== lastTotal) {
      lastTotal = acked + delivered + total('failed');
      lastMovedMs = atMs;
    }
    const expected = options.publishers === 0 ? options.count : options.consumers === 0 ? 0 : acked;
    if (finishing && seen.every((item) => item.published) && delivered >= expected) break;
    if (atMs - lastMovedMs > options.idleTimeout * 1000) {
      ended = 'idle';
      break;
    }
  }
  if (ended === 'complete') await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return { ended, series };
}

function summarize(results, options) {
  const total = (field) => results.reduce((sum, result) => sum + result[field], 0);
  const goAtMs = Math.min(...results.map((result) => result.goAtMs));
  const ackSeconds = Math.max(0, Math.max(...results.map((result) => result.lastAckAtMs)) - goAtMs) / 1000;
  const lastDeliveryAtMs = Math.max(...results.map((result) => result.lastDeliveryAtMs));
  const firstDeliveryAtMs = Math.min(...results.map((result) => result.firstDeliveryAtMs));
  const deliverySeconds =
    Math.max(0, lastDeliveryAtMs - (options.publishers === 0 ? firstDeliveryAtMs : goAtMs)) / 1000;
  const ledger = reconcile(results, options);
  const delivered = total('delivered');
  const perSecond = (count, seconds) => (seconds > 0 ? Math.round(count / seconds) : 0);
  const slowest = Math.max(ackSeconds, deliverySeconds);
  return {
    sent: total('sent'),
    acked: total('acked'),
    failed: total('failed'),
    delivered,
    ...ledger,
    markedDup: total('marked'),
    outOfOrder: total('outOfOrder'),
    foreign: total('foreign'),
    seconds: round(slowest, 3),
    ackedPerSecond: perSecond(total('acked'), ackSeconds),
    deliveredPerSecond: perSecond(delivered, deliverySeconds),
    endToEndPerSecond: perSecond(options.consumers === 0 ? total('acked') : ledger.distinct, slowest),
    deliveredPerConsumer: results.flatMap((result) => result.deliveredPerConsumer),
    publishLatencyMs: percentiles(results.map((result) => result.publishLatency)),
    deliveryLatencyMs: percentiles(results.map((result) => result.deliveryLatency)),
    loadCpuSeconds: round(total('cpuSeconds'), 2),
  };
}

/** Loss and duplicates over all processes. Without publishers the expected messages are those of --count. */
function reconcile(results, options) {
  const publisherCount = options.ledgerPublishers || options.publishers;
  let distinct = 0;
  let loss = 0;
  for (let publisher = 0; publisher < publisherCount; publisher += 1) {
    const delivered = unionBits(results.map((result) => result.delivery[publisher]));
    distinct += countBits(delivered);
    const acknowledged = results.flatMap((result) =>
      result.acknowledged.filter((item) => item.index === publisher).map((item) => item.bytes),
    );
    loss += countMissing(unionBits(acknowledged), delivered);
  }
  const delivered = results.reduce((sum, result) => sum + result.delivered - result.foreign, 0);
  if (options.consumers === 0) loss = 0;
  if (options.publishers === 0) loss = Math.max(0, options.count - distinct);
  return { distinct, loss, duplicates: delivered - distinct };
}

function perMillion(cpuSeconds, results) {
  const messages = Math.max(
    results.reduce((sum, result) => sum + result.acked, 0),
    results.reduce((sum, result) => sum + result.delivered, 0),
  );
  return {
    cpuSecondsPerMillion:
      cpuSeconds === undefined || messages === 0 ? undefined : round((cpuSeconds / messages) * 1e6, 2),
  };
}

function percentiles(encoded) {
  const merged = hdr.build({ numberOfSignificantValueDigits: 3 });
  for (const text of encoded) merged.add(hdr.decodeFromCompressedBase64(text));
  if (merged.totalCount === 0) return undefined;
  const at = (percent) => round(merged.getValueAtPercentile(percent) / 1000, 3);
  return { p50: at(50), p90: at(90), p99: at(99), p999: at(99.9), max: at(100) };
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
