/**
 * One load process: some publishers and some consumers. Started by fleet.mjs with an IPC channel.
 *
 * Messages from the parent: `prepare` (plan) → `ready`; `go` → `progress` twenty times a second; `join`: consumers that
 * come late connect → `joined`; `finish` (no further publishes); `stop` → `result`. A failure of any client is sent as
 * `failure`. Always true: publishers start only after every consumer that is not late is subscribed (the parent says
 * `go`); all latencies are of the machine's monotonic clock.
 */
import hdr from 'hdr-histogram-js';
import { nowMs } from './clock.mjs';
import { Consumer } from './consumer.mjs';
import { FloodPublisher } from './flood-publisher.mjs';
import { SequenceRun, SequenceSet } from './ledger.mjs';
import { startPace } from './pacer.mjs';
import { Publisher } from './publisher.mjs';

const PROGRESS_INTERVAL_MS = 50;
const LATENCY_MAX_US = 600_000_000;
const CONNECTS_AT_ONCE = 50;

const state = {
  publishers: [],
  consumers: [],
  plan: undefined,
  kinds: undefined,
  publishLatency: undefined,
  deliveryLatency: undefined,
  shared: [],
  goAtMs: 0,
  warmup: { endMs: 0 },
  cpuAtGo: undefined,
  stopPace: () => {},
  held: undefined,
};

/** Clients of other protocols, which stand in for those of MQTT. */
const OTHER_WIRES = {
  redis: '../peers/clients/redis.mjs',
  nats: '../peers/clients/nats.mjs',
  amqp: '../peers/clients/amqp.mjs',
};

async function kindsOf({ wire, qos }) {
  if (wire !== 'mqtt') return import(OTHER_WIRES[wire]);
  return { Consumer, Publisher: qos === 0 ? FloodPublisher : Publisher };
}

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

/** Clients of other protocols declare their queue as they connect, which is best done one after the other. */
async function inGroups(list, work) {
  const atOnce = state.plan.wire === 'mqtt' ? CONNECTS_AT_ONCE : 1;
  for (let first = 0; first < list.length; first += atOnce)
    await Promise.all(list.slice(first, first + atOnce).map(work));
}

function addressOf(clientId, lasting) {
  const { host, port, protocolVersion, runName } = state.plan;
  return { host, port, protocolVersion, lasting, clientId: `${runName}-${clientId}` };
}

async function prepare(plan) {
  state.plan = plan;
  state.kinds = await kindsOf(plan);
  state.publishLatency = newHistogram();
  state.deliveryLatency = newHistogram();
  state.shared = plan.everyMessageEach
    ? []
    : Array.from({ length: plan.ledgerPublishers }, () => new SequenceSet());
  state.consumers = plan.consumers.map(newConsumer);
  await inGroups(state.consumers, async ({ client, index, topicFilters, late, lasting }) => {
    if (late && !lasting) return;
    await client.connect(addressOf(`consumer-${index}`, lasting));
    await client.subscribe(topicFilters, plan.subscribeQos);
    if (late) await client.leave();
  });
  const publishers = plan.publishers.map((entry) => ({ ...entry, client: newPublisher(entry) }));
  await inGroups(publishers, ({ index, client }) => client.connect(addressOf(`publisher-${index}`, false)));
  state.publishers = publishers.map(({ client }) => client);
  process.send({ type: 'ready' });
}

function newConsumer(entry) {
  const { plan } = state;
  const ledger = plan.everyMessageEach
    ? Array.from({ length: plan.ledgerPublishers }, () => new SequenceRun())
    : state.shared;
  const client = new state.kinds.Consumer({
    protocolVersion: plan.protocolVersion,
    ledger,
    histogram: state.deliveryLatency,
    warmup: state.warmup,
    more: plan.more,
    workMs: entry.workMs,
    onFailure: fail,
  });
  return { ...entry, client, ledger };
}

function newPublisher({ index, topicName }) {
  const { plan } = state;
  return new state.kinds.Publisher({
    index,
    topicName,
    payloadBytes: plan.payloadBytes,
    qos: plan.qos,
    protocolVersion: plan.protocolVersion,
    window: plan.inFlight,
    keys: plan.keys,
    retain: plan.retain,
    histogram: state.publishLatency,
    warmup: state.warmup,
    more: plan.more,
    onFailure: fail,
  });
}

function go() {
  const { plan, publishers } = state;
  state.goAtMs = nowMs();
  state.warmup.endMs = state.goAtMs + plan.warmupMs;
  state.cpuAtGo = process.cpuUsage();
  for (const [position, publisher] of publishers.entries()) {
    const count = plan.publishers[position].count;
    if (plan.rate > 0) publisher.allow(count);
    else publisher.start(count);
  }
  if (plan.rate > 0 && publishers.length > 0) state.stopPace = startPace(plan.rate, sendDue);
  setInterval(progress, PROGRESS_INTERVAL_MS);
}

let nextPublisher = 0;

/** Deals one moment's messages out to the publishers, as evenly as it can be, each its share in one batch. */
function sendDue(count, intendedMs) {
  const { publishers } = state;
  const each = Math.floor(count / publishers.length);
  const extra = count % publishers.length;
  for (let index = 0; index < publishers.length; index += 1) {
    const share = each + (index < extra ? 1 : 0);
    if (share === 0) break;
    publishers[(nextPublisher + index) % publishers.length].sendDue(share, intendedMs);
  }
  nextPublisher = (nextPublisher + extra) % publishers.length;
}

/** Consumers that come late; a lasting session has its subscription already. */
async function join() {
  await inGroups(
    state.consumers.filter(({ late }) => late),
    async ({ client, index, topicFilters, lasting }) => {
      await client.connect(addressOf(`consumer-${index}`, lasting));
      if (!lasting) await client.subscribe(topicFilters, state.plan.subscribeQos);
    },
  );
  process.send({ type: 'joined' });
}

function sum(list, field) {
  return list.reduce((total, item) => total + item[field], 0);
}

function progress() {
  const { publishers } = state;
  const clients = state.consumers.map(({ client }) => client);
  process.send({
    type: 'progress',
    atMs: nowMs(),
    sent: sum(publishers, 'sent'),
    acked: sum(publishers, 'acked'),
    failed: sum(publishers, 'failed'),
    published: publishers.every((publisher) => publisher.done),
    delivered: sum(clients, 'delivered'),
    completed: sum(clients, 'completed'),
    cpuUs: cpuUs(),
  });
}

/** CPU of this process since `go`, microseconds. */
function cpuUs() {
  const { user, system } = process.cpuUsage(state.cpuAtGo);
  return user + system;
}

function finish() {
  state.held = sum(state.publishers, 'held');
  state.stopPace();
  for (const publisher of state.publishers) publisher.stop();
}

function stop() {
  const { publishers } = state;
  const clients = state.consumers.map(({ client }) => client);
  const runs = state.plan.everyMessageEach ? state.consumers.flatMap(({ ledger }) => ledger) : [];
  state.stopPace();
  process.send(
    {
      type: 'result',
      goAtMs: state.goAtMs,
      sent: sum(publishers, 'sent'),
      acked: sum(publishers, 'acked'),
      failed: sum(publishers, 'failed'),
      held: state.held ?? sum(publishers, 'held'),
      lastAckAtMs: Math.max(0, ...publishers.map((publisher) => publisher.lastAckAtMs)),
      delivered: sum(clients, 'delivered'),
      completed: sum(clients, 'completed'),
      marked: sum(clients, 'marked'),
      outOfOrder: sum(clients, 'outOfOrder'),
      foreign: sum(clients, 'foreign'),
      lowestSequence: Math.min(...clients.map((client) => client.lowestSequence)),
      firstDeliveryAtMs: Math.min(...clients.map((client) => client.firstDeliveryAtMs || Infinity)),
      lastDeliveryAtMs: Math.max(0, ...clients.map((client) => client.lastDeliveryAtMs)),
      lastCompletedAtMs: Math.max(
        0,
        ...clients.map((client) => Math.max(client.lastDeliveryAtMs, client.lastCompletedAtMs)),
      ),
      perConsumer: state.consumers.map(({ index, client }) => ({ index, delivered: client.delivered })),
      acknowledged: state.plan.publishers.map(({ index }, position) => ({
        index,
        bytes: publishers[position].acknowledged?.bytes,
        acked: publishers[position].acked,
      })),
      distinctEach: sum(runs, 'distinct'),
      duplicatesEach: sum(runs, 'duplicates'),
      delivery: state.shared.map((set) => set.bytes),
      publishLatency: hdr.encodeIntoCompressedBase64(state.publishLatency),
      deliveryLatency: hdr.encodeIntoCompressedBase64(state.deliveryLatency),
      cpuSeconds: cpuUs() / 1e6,
    },
    () => {
      for (const client of [...publishers, ...clients]) client.close();
      process.disconnect();
      setTimeout(() => process.exit(0), 200);
    },
  );
}

process.on('message', (message) => {
  if (message.type === 'prepare') prepare(message.plan).catch(fail);
  else if (message.type === 'go') go();
  else if (message.type === 'join') join().catch(fail);
  else if (message.type === 'finish') finish();
  else if (message.type === 'stop') stop();
});
process.on('disconnect', () => process.exit(0));
