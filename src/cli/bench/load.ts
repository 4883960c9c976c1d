/**
 * A quick load on a running broker: some connections publish, some receive, all in this process.
 *
 * Always true: every payload begins with the time of its sending on this process' own clock, so a latency is the way there and
 * back and needs no second clock; a message that nobody waits for any more ends nothing. Gives up: what one process cannot
 * do. It is no measurement of the broker's limit, but of what a client sees.
 */
import { randomBytes } from 'node:crypto';

import { build, type Histogram } from 'hdr-histogram-js';

import { MqttClient } from '../mqtt/client.js';
import type { MqttTarget } from '../mqtt/target.js';

/** What to do. */
export interface LoadPlan {
  readonly publishers: number;
  readonly subscribers: number;
  /** Messages per second of all publishers together; 0: as fast as they are acknowledged. */
  readonly rate: number;
  /** Bytes; at least 8. */
  readonly sizeBytes: number;
  readonly qos: 0 | 1 | 2;
  /** Messages of all publishers together. */
  readonly count: number;
  /** Topic of publisher n is `<topic>/<n>`. */
  readonly topic: string;
  /** What subscribers subscribe to. */
  readonly filter: string;
  /** Unacknowledged messages per publisher. */
  readonly window: number;
  /** How long to wait for the next message after the last was published, ms. */
  readonly patienceMs: number;
}

/** What came of it. Latencies in µs. */
export interface LoadResult {
  published: number;
  refused: number;
  received: number;
  expected: number;
  publishMs: number;
  receiveMs: number;
  readonly acks: Histogram;
  readonly deliveries: Histogram;
}

const stampBytes = 8;
const latencyMaxUs = 3_600_000_000;

/** Runs a load; `progress` is told how many were published. `isStopped` ends it early. */
export async function runLoad(
  plan: LoadPlan,
  target: MqttTarget,
  progress: (published: number) => void,
  isStopped: () => boolean,
): Promise<LoadResult> {
  const result = emptyResult(plan);
  const clients: MqttClient[] = [];
  let lastMs = 0;
  try {
    for (let index = 0; index < plan.subscribers; index += 1) {
      const client = await MqttClient.open(target, {
        cleanStart: true,
        receiveMaximum: 1000,
        receiver: (message, acknowledge) => {
          const payload = message.payload as Buffer;
          lastMs = performance.now();
          if (payload.length >= stampBytes) record(result.deliveries, lastMs - payload.readDoubleLE(0));
          result.received += 1;
          acknowledge();
        },
      });
      clients.push(client);
      const [code = 0] = await client.subscribe([{ topic: plan.filter, qos: plan.qos }]);
      if (code >= 0x80) {
        const { operationRefusal } = await import('../mqtt/reason.js');
        throw operationRefusal(`the subscription to ${plan.filter}`, code);
      }
    }
    const publishers: MqttClient[] = [];
    for (let index = 0; index < plan.publishers; index += 1) {
      const client = await MqttClient.open(target, { cleanStart: true, window: plan.window });
      publishers.push(client);
      clients.push(client);
    }
    const startMs = performance.now();
    await Promise.all(
      publishers.map((client, index) => publishAll(client, index, plan, result, progress, isStopped)),
    );
    result.publishMs = performance.now() - startMs;
    await waitForDeliveries(plan, result, () => lastMs, isStopped);
    result.receiveMs = Math.max(lastMs - startMs, 0);
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
  return result;
}

async function publishAll(
  client: MqttClient,
  index: number,
  plan: LoadPlan,
  result: LoadResult,
  progress: (published: number) => void,
  isStopped: () => boolean,
): Promise<void> {
  const share = Math.floor(plan.count / plan.publishers) + (index < plan.count % plan.publishers ? 1 : 0);
  const intervalMs = plan.rate === 0 ? 0 : (1000 * plan.publishers) / plan.rate;
  const topic = `${plan.topic}/${index}`;
  const startMs = performance.now();
  const pending = new Set<Promise<void>>();
  for (let sent = 0; sent < share && !isStopped(); sent += 1) {
    const aheadMs = startMs + sent * intervalMs - performance.now();
    if (aheadMs > 1) await new Promise((resolve) => setTimeout(resolve, aheadMs));
    await client.room();
    const payload = randomBytes(plan.sizeBytes);
    const sentMs = performance.now();
    payload.writeDoubleLE(sentMs, 0);
    const answered: Promise<void> = client
      .publish({ topic, payload, qos: plan.qos, retain: false })
      .then((code) => {
        pending.delete(answered);
        if (plan.qos > 0) record(result.acks, performance.now() - sentMs);
        if (code >= 0x80) result.refused += 1;
        else result.published += 1;
        progress(result.published);
      });
    answered.catch(() => undefined);
    pending.add(answered);
  }
  await Promise.all(pending);
}

/** Until all have come, or none comes any more. */
async function waitForDeliveries(
  plan: LoadPlan,
  result: LoadResult,
  lastMs: () => number,
  isStopped: () => boolean,
): Promise<void> {
  const isShared = /^(?:\$q|\$queue|\$share)\//.test(plan.filter);
  result.expected = plan.subscribers === 0 ? 0 : result.published * (isShared ? 1 : plan.subscribers);
  const startMs = performance.now();
  while (result.received < result.expected && !isStopped()) {
    if (performance.now() - Math.max(lastMs(), startMs) > plan.patienceMs) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function record(histogram: Histogram, ms: number): void {
  histogram.recordValue(Math.min(Math.max(1, Math.round(ms * 1000)), latencyMaxUs));
}

function emptyResult(plan: LoadPlan): LoadResult {
  const histogram = (): Histogram =>
    build({
      lowestDiscernibleValue: 1,
      highestTrackableValue: latencyMaxUs,
      numberOfSignificantValueDigits: 3,
    });
  return {
    published: 0,
    refused: 0,
    received: 0,
    expected: plan.subscribers === 0 ? 0 : plan.count,
    publishMs: 0,
    receiveMs: 0,
    acks: histogram(),
    deliveries: histogram(),
  };
}
