/**
 * `bench http`: REST and metrics under load while the broker works. Runs in the bench's main process; the broker and the
 * load of messages are others.
 *
 * Always true: every kind of request meets the same steady stream of messages through a queue, and the first figure is
 * that stream alone; a lost message, a failed client or an answer outside 2xx makes the exit code 1. HTTP has the same
 * thread as MQTT: what it takes is seen in the latency of the messages.
 */
import { parseArgs } from 'node:util';
import { OptionError, parseOptions } from '../jobs/options.mjs';
import { machineFacts } from '../jobs/report.mjs';
import { measure } from '../load/run.mjs';
import { openTarget } from '../peers/open.mjs';
import { runFacts } from '../report/facts.mjs';
import { markdownTable, originText, writeFigures } from '../report/document.mjs';
import { loadAutocannon, requestLoad } from './requests.mjs';

/** Option → [default, help]. */
const OPTIONS = {
  seconds: ['5', 'length of each step'],
  rate: ['10000', 'messages per second through the queue'],
  connections: ['4', 'HTTP connections, each with one request at a time'],
  queues: ['100', 'queues that lists and metrics speak of'],
  kept: ['1000', 'messages in the queue that is looked into'],
};

/** The queue that is looked into, and one per step; with room for more steps. */
const OTHER_QUEUES = 100;

function helpText() {
  const lines = Object.entries(OPTIONS).map(
    ([name, [value, help]]) => `  --${`${name} N`.padEnd(14)} ${help} (${value})`,
  );
  return `Usage: npm run bench -- http [options]\n\n${lines.join('\n')}\n  --json           only the JSON line\n  --write-docs     put the table into docs/performance.md\n`;
}

/** Runs the suite with `argv`; resolves to the exit code. */
export async function run(argv) {
  try {
    const { help, json, writeDocs, ...options } = readOptions(argv);
    if (help) {
      process.stdout.write(helpText());
      return 0;
    }
    const autocannon = await loadAutocannon();
    const settings = { SLUICE_MQ_MAX_QUEUE_COUNT: String(options.queues + OTHER_QUEUES) };
    const target = await openTarget({ ...parseOptions(['--broker', 'spawn']), settings });
    try {
      const facts = runFacts({});
      const steps = await measureSteps(autocannon, target, options);
      const report = { suite: 'http', machine: machineFacts(), options, results: steps };
      if (!json) process.stdout.write(render(steps));
      process.stdout.write(`${JSON.stringify(report)}\n`);
      if (writeDocs) await writeFigures({ http: `${documentTable(steps)}\n\n${originText(facts)}` });
      return steps.every(({ messages, requests }) => isSound(messages) && (requests?.faults ?? 0) === 0)
        ? 0
        : 1;
    } finally {
      await target.stop();
    }
  } catch (error) {
    process.stderr.write(`${error instanceof OptionError ? error.message : error.stack}\n`);
    return error instanceof OptionError ? 2 : 1;
  }
}

function readOptions(argv) {
  const strings = Object.entries(OPTIONS).map(([name, [value]]) => [
    name,
    { type: 'string', default: value },
  ]);
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      args: argv,
      options: { ...Object.fromEntries(strings), json: flag, help: flag, 'write-docs': flag },
    }));
  } catch (error) {
    throw new OptionError(error.message);
  }
  const numbers = Object.keys(OPTIONS).map((name) => {
    const number = Number(values[name]);
    if (!Number.isInteger(number) || number < 1)
      throw new OptionError(`--${name} takes an integer of at least 1, not '${values[name]}'`);
    return [name, number];
  });
  const { json, help, 'write-docs': writeDocs } = values;
  return { ...Object.fromEntries(numbers), json, help, writeDocs };
}

/** The stream alone, then beside each kind of request. */
async function measureSteps(autocannon, target, options) {
  const queue = await prepare(target, options);
  const steps = [{ name: 'messages alone', messages: await stream(target, options, 0) }];
  const { seconds, connections } = options;
  let step = 0;
  for (const [name, request] of Object.entries(requestsOf(queue))) {
    step += 1;
    const [messages, requests] = await Promise.all([
      stream(target, options, step),
      requestLoad(autocannon, { apiUrl: target.apiUrl, request, connections, seconds }),
    ]);
    steps.push({ name, messages, requests });
  }
  return steps;
}

/** Many queues, and one with messages that nobody takes; resolves to the path of that one. */
async function prepare(target, { queues, kept }) {
  for (let index = 0; index < queues; index += 1) {
    const { status } = await target.request('POST', '/message_queues/queues', {
      topic_filter: `listed/${index}/#`,
      is_lastvalue: false,
    });
    if (status !== 200) throw new Error(`creating a queue: HTTP ${status}`);
  }
  await measure(target, {
    mode: 'queue',
    topic: 'kept',
    publishers: 1,
    consumers: 0,
    count: kept,
    payload: 64,
  });
  return `/api/v5/message_queues/queues/${encodeURIComponent('/kept/#')}`;
}

/** Kinds of requests by name. */
function requestsOf(queue) {
  return {
    metrics: { method: 'GET', path: '/api/v5/prometheus/stats' },
    'list of queues': { method: 'GET', path: '/api/v5/message_queues/queues' },
    'one queue': { method: 'GET', path: queue },
    'its depth and rates': { method: 'GET', path: `${queue}/stats` },
    'its messages, 20 of them': { method: 'GET', path: `${queue}/messages?limit=20` },
    'a change of its window': { method: 'PATCH', path: queue, body: { local_max_inflight: 20 } },
  };
}

/** One step's messages: 4 publishers, one queue, 4 consumers. */
async function stream(target, { seconds, rate }, step) {
  const result = await measure(target, {
    mode: 'queue',
    topic: `stream/${step}`,
    publishers: 4,
    consumers: 4,
    payload: 256,
    rate,
    seconds,
    queue: { dispatch_strategy: 'least_inflight', local_max_inflight: 100 },
  });
  const { endToEndPerSecond, deliveryLatencyMs, loss, duplicates, failures, ended } = result;
  return { endToEndPerSecond, deliveryLatencyMs, loss, duplicates, failures, ended };
}

function isSound({ loss, failures, ended }) {
  return loss === 0 && failures.length === 0 && ended === 'complete';
}

function documentTable(steps) {
  const text = (value) => value?.toLocaleString('en-US', { maximumFractionDigits: 2 }) ?? '';
  return markdownTable(
    ['', 'requests/s', 'p99, ms', 'messages: p50, ms', 'p99, ms'],
    steps.map(({ name, messages, requests }) => [
      name,
      text(requests?.requestsPerSecond),
      text(requests?.latencyMs?.p99),
      text(messages.deliveryLatencyMs?.p50),
      text(messages.deliveryLatencyMs?.p99),
    ]),
  );
}

function render(steps) {
  const head = [
    '',
    'requests/s',
    'p50 ms',
    'p99 ms',
    'faults',
    'messages/s',
    'p50 ms',
    'p99 ms',
    'max ms',
    'lost',
  ];
  const text = (value) =>
    value === undefined ? '' : value.toLocaleString('en', { maximumFractionDigits: 2 });
  const lines = steps.map(({ name, messages, requests }) => [
    name,
    text(requests?.requestsPerSecond),
    text(requests?.latencyMs?.p50),
    text(requests?.latencyMs?.p99),
    text(requests?.faults),
    text(messages.endToEndPerSecond),
    text(messages.deliveryLatencyMs?.p50),
    text(messages.deliveryLatencyMs?.p99),
    text(messages.deliveryLatencyMs?.max),
    text(messages.loss),
  ]);
  const table = [head, ...lines];
  const widths = head.map((_, column) => Math.max(...table.map((line) => line[column].length)));
  return table
    .map((line) =>
      line
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column])))
        .join('  '),
    )
    .map((line) => `${line}\n`)
    .join('');
}
