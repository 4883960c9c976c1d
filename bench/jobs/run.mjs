/**
 * `bench jobs`: one run of the durable path (or of plain topics) and its verdict. Runs in the bench's main
 * process, which only coordinates; the load lives in child processes, the broker in another.
 *
 * Always true: the exit code is 0 only when nothing was lost and no client failed; the figures are those of
 * `load/run.mjs`, which every other suite uses, too.
 */
import { writeFile } from 'node:fs/promises';
import { round } from '../load/figures.mjs';
import { measure as measureLoad } from '../load/run.mjs';
import { openTarget } from '../peers/open.mjs';
import { spawnMosquitto } from '../peers/mosquitto.mjs';
import { helpText, OptionError, parseOptions } from './options.mjs';
import { machineFacts, renderTable } from './report.mjs';

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

/** Loads `target` once with what `options` say; resolves to the figures. The target stays up. */
export function measure(target, options) {
  const { strategy, window, mode, payload, inFlight, publishers, consumers, qos, count, seconds } = options;
  return measureLoad(target, {
    mode: mode === 'pubsub' ? 'partition' : mode,
    subscribeQos: 1,
    queue: { dispatch_strategy: strategy, ...(window > 0 && { local_max_inflight: window }) },
    payload,
    inFlight,
    publishers,
    consumers,
    qos,
    count,
    seconds,
    warmup: 0,
    rate: options.rate,
    topic: options.topic,
    protocol: options.protocol,
    processes: options.processes,
    ledgerPublishers: options.ledgerPublishers,
    idleTimeout: options.idleTimeout,
  });
}
