/**
 * One load process: some publishers and some consumers. Started by run.mjs with an IPC channel.
 *
 * Messages from the parent: `prepare` (plan) → `ready`; `go` → `progress` about ten times a second;
 * `finish` (no further publishes); `stop` → `result`. A failure of any client is sent as `failure` once.
 * Always true: publishers start only after every consumer of the run is subscribed (the parent says `go`).
 */
import hdr from 'hdr-histogram-js';
import { nowMs } from './client.mjs';
import { Consumer } from './consumer.mjs';
import { SequenceSet } from './ledger.mjs';
import { Publisher } from './publisher.mjs';

const PROGRESS_INTERVAL_MS = 100;
const PACE_INTERVAL_MS = 1;
const LATENCY_MAX_US = 600_000_000;

const state = {
  publishers: [],
  consumers: [],
  plan: undefined,
  publishLatency: undefined,
  deliveryLatency: undefined,
  ledger: [],
  goAtMs: 0,
};

function newHistogram() {
  return hdr.build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LATENCY_MAX_US,
    numberOfSignificantValueDigits: 3,
  });
}

function fail(error) {
  process.send({ type: 'failure', message: error.message });
}

async function prepare(plan) {
  state.plan = plan;
  state.publishLatency = newHistogram();
  state.deliveryLatency = newHistogram();
  state.ledger = Array.from({ length: plan.ledgerPublishers }, () => new SequenceSet());
  const target = { host: plan.host, port: plan.port, protocolVersion: plan.protocolVersion };
  for (const { index, topicFilters } of plan.consumers) {
    const consumer = new Consumer({
      protocolVersion: plan.protocolVersion,
      ledger: state.ledger,
      histogram: state.deliveryLatency,
      onFailure: fail,
    });
    await consumer.connect({ ...target, clientId: `${plan.runName}-consumer-${index}` });
    await consumer.subscribe(topicFilters, plan.subscribeQos);
    state.consumers.push(consumer);
  }
  for (const { index, topicName } of plan.publishers) {
    const publisher = new Publisher({
      index,
      topicName,
      payloadBytes: plan.payloadBytes,
      qos: plan.qos,
      protocolVersion: plan.protocolVersion,
      window: plan.inFlight,
      histogram: state.publishLatency,
      onFailure: fail,
    });
    await publisher.connect({ ...target, clientId: `${plan.runName}-publisher-${index}` });
    state.publishers.push(publisher);
  }
  process.send({ type: 'ready' });
}

function go() {
  const { plan, publishers } = state;
  state.goAtMs = nowMs();
  for (const [position, publisher] of publishers.entries()) {
    const count = plan.publishers[position].count;
    if (plan.rate > 0) publisher.allow(count);
    else publisher.start(count);
  }
  if (plan.rate > 0 && publishers.length > 0) pace(plan.rate);
  setInterval(progress, PROGRESS_INTERVAL_MS);
}

/** Spreads `rate` messages per second over the publishers of this process, one after the other. */
function pace(rate) {
  const { publishers } = state;
  let sent = 0;
  let next = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((nowMs() - state.goAtMs) * rate) / 1000);
    while (sent < due) {
      let tried = 0;
      while (tried < publishers.length && !publishers[next].send()) {
        next = (next + 1) % publishers.length;
        tried += 1;
      }
      if (tried === publishers.length) break;
      next = (next + 1) % publishers.length;
      sent += 1;
    }
    if (publishers.every((publisher) => publisher.done)) clearInterval(timer);
  }, PACE_INTERVAL_MS);
}

function sum(list, field) {
  return list.reduce((total, item) => total + item[field], 0);
}

function progress() {
  const { publishers, consumers } = state;
  process.send({
    type: 'progress',
    atMs: nowMs(),
    sent: sum(publishers, 'sent'),
    acked: sum(publishers, 'acked'),
    failed: sum(publishers, 'failed'),
    published: publishers.every((publisher) => publisher.done),
    delivered: sum(consumers, 'delivered'),
  });
}

function stop() {
  const { publishers, consumers } = state;
  const { user, system } = process.cpuUsage();
  process.send(
    {
      type: 'result',
      goAtMs: state.goAtMs,
      sent: sum(publishers, 'sent'),
      acked: sum(publishers, 'acked'),
      failed: sum(publishers, 'failed'),
      lastAckAtMs: Math.max(0, ...publishers.map((publisher) => publisher.lastAckAtMs)),
      delivered: sum(consumers, 'delivered'),
      marked: sum(consumers, 'marked'),
      outOfOrder: sum(consumers, 'outOfOrder'),
      foreign: sum(consumers, 'foreign'),
      firstDeliveryAtMs: Math.min(...consumers.map((consumer) => consumer.firstDeliveryAtMs || Infinity)),
      lastDeliveryAtMs: Math.max(0, ...consumers.map((consumer) => consumer.lastDeliveryAtMs)),
      deliveredPerConsumer: consumers.map((consumer) => consumer.delivered),
      acknowledged: state.plan.publishers.map(({ index }, position) => ({
        index,
        bytes: publishers[position].acknowledged.bytes,
      })),
      delivery: state.ledger.map((set) => set.bytes),
      publishLatency: hdr.encodeIntoCompressedBase64(state.publishLatency),
      deliveryLatency: hdr.encodeIntoCompressedBase64(state.deliveryLatency),
      cpuSeconds: (user + system) / 1e6,
    },
    () => {
      for (const client of [...publishers, ...consumers]) client.close();
      process.disconnect();
      setTimeout(() => process.exit(0), 200);
    },
  );
}

process.on('message', (message) => {
  if (message.type === 'prepare') prepare(message.plan).catch(fail);
  else if (message.type === 'go') go();
  else if (message.type === 'finish') for (const publisher of state.publishers) publisher.stop();
  else if (message.type === 'stop') stop();
});
process.on('disconnect', () => process.exit(0));
