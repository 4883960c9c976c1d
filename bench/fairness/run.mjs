/**
 * `bench fairness`: what one greedy client does to the round trip of another. Runs in the bench's main process; the broker
 * is another one, both clients are threads of their own.
 *
 * Always true: every kind of flood is measured beside the same client without one; nothing of the other client may be lost,
 * and the 99th percentile of its round trip has a bound. A broken bound makes the exit code 1.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { OptionError, parseOptions } from '../jobs/options.mjs';
import { machineFacts } from '../jobs/report.mjs';
import { openTarget } from '../peers/open.mjs';
import { startProbe } from '../retained/run.mjs';

const OPTIONS = {
  seconds: { type: 'string', default: '3' },
  'p99-max': { type: 'string', default: '50' },
  broker: { type: 'string', default: 'spawn' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
};

const HELP = `Usage: npm run bench -- fairness [options]

  --seconds N    length of each flood (3)
  --p99-max MS   bound of the other client's round trip (50)
  --broker B     spawn, mosquitto or HOST:PORT (spawn)
  --json         only the JSON line
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
    const result = await fairness(values);
    if (!values.json) process.stdout.write(render(result));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    return result.faults.length === 0 ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${error instanceof OptionError ? error.message : error.stack}\n`);
    return error instanceof OptionError ? 2 : 1;
  }
}

async function fairness(values) {
  const target = await openTarget(parseOptions(['--broker', values.broker]));
  const lengthMs = Number(values.seconds) * 1000;
  const probe = await startProbe(target);
  try {
    await probe.sample(() => delay(Math.min(lengthMs, 1000)));
    const quiet = await probe.sample(() => delay(lengthMs));
    const floods = {};
    for (const kind of await kindsOf(target)) floods[kind] = await during(kind, target, probe, lengthMs);
    const result = {
      suite: 'fairness',
      machine: machineFacts(),
      options: values,
      broker: target.name,
      quiet: quiet.latency,
      floods,
    };
    return { ...result, faults: faultsOf(result, Number(values['p99-max'])) };
  } finally {
    await probe.stop();
    await target.stop();
  }
}

async function kindsOf(target) {
  const { worker, kinds } = await greedy(target);
  await worker.terminate();
  return kinds;
}

/** A new greedy client per kind: its session and what the broker still holds of it end with it. */
async function during(kind, target, probe, lengthMs) {
  const { worker } = await greedy(target);
  try {
    worker.postMessage({ start: kind });
    await answer(worker);
    const { latency } = await probe.sample(() => delay(lengthMs));
    worker.postMessage('stop');
    const { bytesWritten } = await answer(worker);
    return { ...latency, megabytesPerSecond: bytesWritten / 1000 / lengthMs };
  } finally {
    await worker.terminate();
    await delay(200);
  }
}

async function greedy({ host, port }) {
  const worker = new Worker(new URL('./flood.mjs', import.meta.url), { workerData: { host, port } });
  const { kinds } = await answer(worker);
  return { worker, kinds };
}

async function answer(worker) {
  const [message] = await once(worker, 'message');
  if (message.failure !== undefined) throw new Error(`the greedy client failed: ${message.failure}`);
  return message;
}

function faultsOf({ floods }, boundMs) {
  const faults = [];
  for (const [kind, { p99Ms, lost }] of Object.entries(floods)) {
    if (p99Ms > boundMs) faults.push(`p99 beside ${kind} is ${p99Ms.toFixed(1)} ms, above ${boundMs} ms`);
    if (lost > 0) faults.push(`${lost} messages of the other client were lost beside ${kind}`);
  }
  return faults;
}

function render({ quiet, floods, faults }) {
  const line = (name, { p50Ms, p99Ms, maxMs, megabytesPerSecond }) =>
    `  ${name.padEnd(18)} p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, longest ${maxMs.toFixed(1)} ms` +
    (megabytesPerSecond === undefined ? '' : `, flood ${megabytesPerSecond.toFixed(1)} MB/s`);
  return [
    'round trip of another client beside a flood of',
    line('nothing', quiet),
    ...Object.entries(floods).map(([kind, flood]) => line(kind, flood)),
    ...faults.map((fault) => `FAULT: ${fault}`),
    '',
  ].join('\n');
}
