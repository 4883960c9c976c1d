/**
 * `bench fairness`: what one greedy client does to the round trip of another. Runs in the bench's main process; the broker
 * is another one, both clients are threads of their own.
 *
 * Always true: every kind of flood is measured beside the same client without one; nothing of the other client may be lost,
 * and the 99th percentile of its round trip has a bound. A broken bound makes the exit code 1.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { parseOptions } from '../jobs/options.mjs';
import { machineFacts } from '../jobs/report.mjs';
import { suite } from '../load/suite.mjs';
import { openTarget } from '../peers/open.mjs';
import { startProbe } from '../retained/run.mjs';

const OPTIONS = {
  seconds: ['3', 'N', 'length of each flood'],
  'p99-max': ['50', 'MS', "bound of the other client's round trip"],
  broker: ['spawn', 'B', 'spawn, mosquitto or HOST:PORT'],
};

/** `run(argv)` is the suite. */
export const { run } = suite({ name: 'fairness', options: OPTIONS, work: fairness, render });

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
