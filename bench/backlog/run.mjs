/**
 * `bench backlog`: fills one queue while nobody consumes, then lets consumers join late, and watches the
 * broker's memory and its data directory. Runs in the bench's main process; load and broker are others.
 *
 * Always true: the drain must deliver every message of the fill exactly as acknowledged; each figure that
 * has a bound is printed beside it and a broken bound makes the exit code 1.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { measure } from '../jobs/run.mjs';
import { OptionError, parseOptions } from '../jobs/options.mjs';
import { machineFacts } from '../jobs/report.mjs';
import { openTarget } from '../peers/open.mjs';

const MEGABYTE = 1_000_000;
const MEMORY_SAMPLE_MS = 200;
/** How long the store may take to give the space of a drained queue back. */
const SHRINK_TIMEOUT_MS = 60_000;

const OPTIONS = {
  count: { type: 'string', default: '5000000' },
  consumers: { type: 'string', default: '10' },
  payload: { type: 'string', default: '256' },
  window: { type: 'string', default: '0' },
  shards: { type: 'string', default: '0' },
  durability: { type: 'string', default: '' },
  store: { type: 'string', default: '' },
  'node-flags': { type: 'string', default: '' },
  'rss-max': { type: 'string', default: '700' },
  'disk-max': { type: 'string', default: '100' },
  'share-min': { type: 'string', default: '1' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

const HELP = `Usage: npm run bench -- backlog [options]

  --count N        waiting messages (5000000)
  --consumers N    consumers that join late (10)
  --payload N      payload bytes (256)
  --window N       the queue's local_max_inflight; 0 = its default
  --shards, --durability, --store, --node-flags   for the spawned broker
  --rss-max MB     bound of resident memory, megabytes (700)
  --disk-max MB    bound of the data directory after the drain, megabytes (100)
  --share-min P    percent of the messages that every consumer must get (1)
  --json           only the JSON line
`;

/** Runs the suite with `argv`; resolves to the exit code. */
export async function run(argv) {
  let values;
  try {
    ({ values } = parseArgs({ args: argv, options: OPTIONS, strict: true }));
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  try {
    const result = await backlog(values);
    if (!values.json) process.stdout.write(render(result));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.faults.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof OptionError ? error.message : error.stack}\n`);
    return error instanceof OptionError ? 2 : 1;
  }
}

/** One run with `given` over the defaults, against `target` when it is given, else against a broker of its own. */
export function measureBacklog(given, target) {
  const defaults = Object.entries(OPTIONS).map(([name, option]) => [name, option.default]);
  return backlog({ ...Object.fromEntries(defaults), ...given }, target);
}

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
      drainPerSecond: drain.deliveredPerSecond,
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
