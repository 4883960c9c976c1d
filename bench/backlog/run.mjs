/**
 * `bench backlog`: fills one queue while nobody consumes, then lets consumers join late, and watches the
 * broker's memory and its data directory. Runs in the bench's main process; load and broker are others.
 *
 * Always true: the drain must deliver every message of the fill exactly as acknowledged; each figure that
 * has a bound is printed beside it and a broken bound makes the exit code 1.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { measure } from '../jobs/run.mjs';
import { parseOptions } from '../jobs/options.mjs';
import { machineFacts } from '../jobs/report.mjs';
import { suite } from '../load/suite.mjs';
import { openTarget } from '../peers/open.mjs';

const MEGABYTE = 1_000_000;
const MEMORY_SAMPLE_MS = 200;
/** How long the store may take to give the space of a drained queue back. */
const SHRINK_TIMEOUT_MS = 60_000;

const OPTIONS = {
  count: ['5000000', 'N', 'waiting messages'],
  consumers: ['10', 'N', 'consumers that join late'],
  payload: ['256', 'N', 'payload bytes'],
  window: ['0', 'N', "the queue's local_max_inflight; 0 = its default"],
  shards: ['0', 'N', 'of the spawned broker; 0 = its default'],
  durability: ['', 'D', 'of the spawned broker: fsync, interval, process'],
  store: ['', 'S', 'of the spawned broker: rocksdb, segment, memory'],
  'node-flags': ['', 'FLAGS', 'of the node that runs the spawned broker'],
  'rss-max': ['700', 'MB', 'bound of resident memory, megabytes'],
  'disk-max': ['100', 'MB', 'bound of the data directory after the drain, megabytes'],
  'share-min': ['1', 'P', 'percent of the messages that every consumer must get'],
};

/** `run(argv)` is the suite; `measureBacklog` one run of it. */
export const { run, measure: measureBacklog } = suite({
  name: 'backlog',
  options: OPTIONS,
  work: backlog,
  render,
});

async function backlog(values, given) {
  const shared = ['payload', 'count', 'window', 'shards', 'durability', 'store', 'node-flags'].map(
    (name) => `--${name}=${values[name]}`,
  );
  const fillOptions = parseOptions([...shared, '--consumers', '0']);
  const drainOptions = parseOptions([
    ...shared,
    '--publishers',
    '0',
    '--consumers',
    values.consumers,
    '--ledger-publishers',
    '10',
  ]);
  const target = given ?? (await openTarget(fillOptions));
  const memory = watchMemory(target);
  try {
    const fill = await measure(target, fillOptions);
    const fillRssPeakBytes = memory.peakBytes();
    const filledBytes = await target.dataBytes();
    const drain = await measure(target, { ...drainOptions, count: fill.acked });
    const drainedBytes = await shrink(target, Number(values['disk-max']) * MEGABYTE);
    memory.stop();
    const result = {
      suite: 'backlog',
      machine: machineFacts(),
      options: values,
      acked: fill.acked,
      fillPerSecond: fill.ackedPerSecond,
      fillCpuUs: fill.cpuSecondsPerMillion,
      drainPerSecond: drain.deliveredPerSecond,
      drainCpuUs: drain.cpuSecondsPerMillion,
      loss: drain.loss,
      duplicates: drain.duplicates,
      deliveredPerConsumer: drain.deliveredPerConsumer,
      fillRssPeakBytes,
      rssPeakBytes: memory.peakBytes(),
      filledBytes,
      drainedBytes,
    };
    return { ...result, faults: faultsOf(result, values, [...fill.failures, ...drain.failures]) };
  } finally {
    memory.stop();
    if (given === undefined) await target.stop();
  }
}

function watchMemory(target) {
  let peakBytes = 0;
  const sample = async () => {
    peakBytes = Math.max(peakBytes, (await target.memory())?.rssBytes ?? 0);
  };
  const timer = setInterval(() => void sample(), MEMORY_SAMPLE_MS);
  return { peakBytes: () => peakBytes, stop: () => clearInterval(timer) };
}

/** Waits until the data directory is below `boundBytes`; answers its size at the end. */
async function shrink(target, boundBytes) {
  const until = performance.now() + SHRINK_TIMEOUT_MS;
  for (;;) {
    const bytes = await target.dataBytes();
    if (bytes < boundBytes || performance.now() > until) return bytes;
    await delay(500);
  }
}

function faultsOf(result, values, failures) {
  const faults = [...failures];
  const least = Math.min(...result.deliveredPerConsumer);
  if (result.acked !== Number(values.count))
    faults.push(`only ${result.acked} of ${values.count} were acknowledged`);
  if (result.loss > 0) faults.push(`${result.loss} acknowledged messages were not delivered`);
  if (result.duplicates > 0) faults.push(`${result.duplicates} messages were delivered more than once`);
  if (result.rssPeakBytes >= Number(values['rss-max']) * MEGABYTE)
    faults.push(`resident memory reached ${result.rssPeakBytes} bytes`);
  if (result.drainedBytes >= Number(values['disk-max']) * MEGABYTE)
    faults.push(`the data directory still has ${result.drainedBytes} bytes`);
  if (least < (result.acked * Number(values['share-min'])) / 100)
    faults.push(`one consumer got only ${least} messages`);
  return faults;
}

function render(result) {
  const megabytes = (bytes) => `${(bytes / MEGABYTE).toFixed(0)} MB`;
  const rows = [
    [
      'waiting messages',
      `${result.acked} of ${result.options.payload} B, filled at ${result.fillPerSecond}/s`,
    ],
    [
      'drained',
      `${result.drainPerSecond}/s by ${result.options.consumers} consumers, lost ${result.loss}, duplicates ${result.duplicates}`,
    ],
    [
      'shares',
      `${Math.min(...result.deliveredPerConsumer)} to ${Math.max(...result.deliveredPerConsumer)} per consumer`,
    ],
    [
      'resident memory',
      `${megabytes(result.fillRssPeakBytes)} while filling, ${megabytes(result.rssPeakBytes)} at its highest (bound ${result.options['rss-max']} MB)`,
    ],
    [
      'data directory',
      `${megabytes(result.filledBytes)} full, ${megabytes(result.drainedBytes)} drained (bound ${result.options['disk-max']} MB)`,
    ],
    ['machine', `${result.machine.cores} cores (${result.machine.cpu}), Node ${result.machine.node}`],
    ...result.faults.map((fault) => ['FAULT', fault]),
  ];
  return `${rows.map(([name, text]) => `${name.padEnd(18)}${text}`).join('\n')}\n`;
}
