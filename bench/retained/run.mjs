/**
 * `bench retained`: many subscriptions, many retained messages, and what a wildcard subscription to all of them does to
 * another client. Runs in the bench's main process; the broker is another one, the other client a thread of its own.
 *
 * Always true: every wildcard subscriber must get every retained message once, and every one of the many subscriptions
 * its own; the 99th percentile of the other client's publish-to-delivery has a bound. A broken bound makes the exit
 * code 1.
 */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { LoadClient, nowMs } from '../load/client.mjs';
import { suite } from '../load/suite.mjs';
import { parseOptions } from '../jobs/options.mjs';
import { machineFacts } from '../jobs/report.mjs';
import { openTarget } from '../peers/open.mjs';
import { PUBACK, PUBLISH, SUBACK, subscribePacket } from '../load/wire.mjs';

const OPTIONS = {
  count: ['100000', 'N', 'retained messages'],
  subscriptions: ['10000', 'N', 'subscriptions of other clients, each with ten of the messages'],
  connections: ['100', 'N', 'clients that hold them'],
  subscribers: ['1', 'N', 'clients that subscribe to all messages at once'],
  payload: ['100', 'N', 'payload bytes'],
  'p99-max': ['50', 'MS', "bound of the other client's publish-to-delivery"],
  broker: ['spawn', 'B', 'spawn, mosquitto or HOST:PORT'],
  'broker-pid': ['0', 'N', 'process id of a running broker, for its memory'],
};

const WINDOW = 2000;
const PATIENCE_MS = 300_000;
const QUIET_MS = 2000;

/** `run(argv)` is the suite; `measureRetained` one run of it. */
export const { run, measure: measureRetained } = suite({
  name: 'retained',
  options: OPTIONS,
  work: retained,
  render,
});

async function retained(values, given) {
  const count = Number(values.count);
  const target =
    given ??
    (await openTarget({
      ...parseOptions(['--broker', values.broker]),
      brokerPid: Number(values['broker-pid']),
    }));
  const clients = [];
  const open = async (clientId) => {
    const client = new Subscriber(clientId);
    clients.push(client);
    await client.connect({ host: target.host, port: target.port, clientId, protocolVersion: 4 });
    return client;
  };
  try {
    const fillMs = await timed(async () => fill(await open('filler'), count, Number(values.payload)));
    const before = await target.memory();
    const probe = await startProbe(target);
    await probe.sample(() => delay(QUIET_MS));
    const quiet = await probe.sample(() => delay(QUIET_MS));
    const groups = Math.max(1, Math.ceil(count / 10));
    const many = Number(values.subscriptions);
    const each = Math.ceil(many / Number(values.connections));
    const manyPhase = await probe.sample(async () => {
      for (let first = 0; first < many; first += each) {
        const client = await open(`many-${first}`);
        const filters = Array.from(
          { length: Math.min(each, many - first) },
          (_, i) => `plant/${(first + i) % groups}/+/state`,
        );
        client.subscribe(filters);
      }
      const wanted = Array.from({ length: many }, (_, i) => messagesOf(i % groups, count)).reduce(sum, 0);
      await until(() => clients.map((client) => client.retained).reduce(sum, 0) >= wanted);
    });
    const takers = [];
    for (let i = 0; i < Number(values.subscribers); i += 1) takers.push(await open(`all-${i}`));
    const wildcardPhase = await probe.sample(async () => {
      for (const taker of takers) taker.subscribe(['plant/#']);
      await until(() => takers.every((taker) => taker.retained >= count));
    });
    await delay(100);
    await probe.stop();
    const result = {
      suite: 'retained',
      machine: machineFacts(),
      options: values,
      broker: target.name,
      storedPerSecond: Math.round((count * 1000) / fillMs),
      quiet: quiet.latency,
      subscribing: { ...manyPhase.latency, seconds: manyPhase.seconds },
      wildcard: {
        ...wildcardPhase.latency,
        seconds: wildcardPhase.seconds,
        perSecond: Math.round((count * takers.length) / wildcardPhase.seconds),
        received: takers.map((taker) => taker.retained),
      },
      rssBytes: before?.rssBytes,
      rssPeakBytes: (await target.memory())?.rssPeakBytes,
    };
    return { ...result, faults: faultsOf(result, values, takers) };
  } finally {
    for (const client of clients) client.close();
    if (given === undefined) await target.stop();
  }
}

function faultsOf(result, values, takers) {
  const faults = [];
  const count = Number(values.count);
  for (const taker of takers)
    if (taker.retained !== count) faults.push(`${taker.clientId} got ${taker.retained} of ${count} messages`);
  const bound = Number(values['p99-max']);
  for (const phase of ['subscribing', 'wildcard']) {
    const { p99Ms, lost } = result[phase];
    if (p99Ms > bound) faults.push(`p99 while ${phase} is ${p99Ms.toFixed(1)} ms, above ${bound} ms`);
    if (lost > 0) faults.push(`${lost} messages of the other client were lost while ${phase}`);
  }
  return faults;
}

class Subscriber extends LoadClient {
  retained = 0;
  acked = 0;
  subacks = 0;

  constructor(clientId) {
    super((error) => {
      throw error;
    });
    this.clientId = clientId;
  }

  onPacket(firstByte) {
    const type = firstByte & 0xf0;
    if (type === PUBLISH) this.retained += firstByte & 1;
    else if (type === PUBACK) this.acked += 1;
    else if (type === SUBACK) this.subacks += 1;
  }

  subscribe(filters) {
    this.socket.write(subscribePacket(filters, 0, 4));
  }
}

function topicOf(i) {
  return `plant/${Math.floor(i / 10)}/device-${i}/state`;
}

function messagesOf(group, count) {
  return Math.max(0, Math.min(10, count - group * 10));
}

/** Publishes `count` retained messages with QoS 1. */
async function fill(client, count, payloadBytes) {
  const payload = Buffer.alloc(payloadBytes, 0x2e);
  for (let i = 0; i < count; i += 1) {
    const topic = Buffer.from(topicOf(i));
    const body = topic.length + 4 + payload.length;
    const head = body < 128 ? [0x33, body] : [0x33, (body & 0x7f) | 0x80, body >> 7];
    const id = (i % 65_000) + 1;
    client.socket.write(
      Buffer.concat([
        Buffer.from([...head, 0, topic.length]),
        topic,
        Buffer.from([id >> 8, id & 0xff]),
        payload,
      ]),
    );
    if (i - client.acked >= WINDOW) await until(() => i - client.acked < WINDOW / 2);
  }
  await until(() => client.acked === count);
}

/** The other client, in a thread of its own; `sample` times it while `during` runs. */
export async function startProbe({ host, port }) {
  const worker = new Worker(new URL('./probe.mjs', import.meta.url), { workerData: { host, port } });
  const answer = async () => {
    const [message] = await once(worker, 'message');
    if (message.failure !== undefined) throw new Error(`the other client failed: ${message.failure}`);
    return message;
  };
  await answer();
  return {
    async sample(during) {
      worker.postMessage('start');
      const passedMs = await timed(during);
      worker.postMessage('stop');
      const { samples, lost } = await answer();
      samples.sort((a, b) => a - b);
      const at = (share) => samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? 0;
      const latency = {
        samples: samples.length,
        p50Ms: at(0.5),
        p99Ms: at(0.99),
        maxMs: samples.at(-1) ?? 0,
        lost,
      };
      return { latency, seconds: passedMs / 1000 };
    },
    stop: () => worker.terminate(),
  };
}

async function timed(work) {
  const startMs = nowMs();
  await work();
  return nowMs() - startMs;
}

async function until(holds) {
  const endMs = nowMs() + PATIENCE_MS;
  while (!holds()) {
    if (nowMs() > endMs) throw new Error(`the broker did not get there within ${PATIENCE_MS} ms`);
    await delay(2);
  }
}

function sum(a, b) {
  return a + b;
}

function render(result) {
  const line = (name, { p50Ms, p99Ms, maxMs, seconds }) =>
    `  ${name.padEnd(34)} p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, longest ${maxMs.toFixed(1)} ms` +
    (seconds === undefined ? '' : ` (${seconds.toFixed(2)} s)`);
  return [
    `retained: ${result.options.count} messages stored with QoS 1 at ${result.storedPerSecond} per second`,
    `publish to delivery of another client:`,
    line('nothing else', result.quiet),
    line(`${result.options.subscriptions} subscriptions are made`, result.subscribing),
    line(`${result.options.subscribers} × all messages`, result.wildcard),
    `all messages: ${result.wildcard.perSecond} per second, received ${result.wildcard.received.join(', ')}`,
    ...result.faults.map((fault) => `FAULT: ${fault}`),
    '',
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = await run(process.argv.slice(2));
}
