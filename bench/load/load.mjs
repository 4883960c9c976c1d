/**
 * What a load is: one table of its fields with defaults, and how its clients are dealt out to processes. Runs in the
 * bench's main process.
 *
 * Always true: a load that `completeLoad` answered has every field; publishers and consumers get fixed numbers, so that
 * the ledger of one process means the same in another. Modes:
 * `queue`      consumers share one queue ($q/<topic>/#)
 * `share`      consumers share $share/bench/<topic>/#
 * `partition`  plain topics, each publisher has one consumer
 * `broadcast`  plain topics, each consumer gets every message
 */
import os from 'node:os';

/** Field → default. */
const DEFAULTS = {
  mode: 'broadcast',
  publishers: 1,
  consumers: 1,
  payload: 256,
  qos: 1,
  subscribeQos: undefined,
  protocol: 4,
  /** Unacknowledged messages per publisher. */
  inFlight: 200,
  /** Messages in total; with `seconds` none. */
  count: 1_000_000,
  /** Publish for so long; the first `warmup` seconds do not count in steady rates and latencies. */
  seconds: 0,
  warmup: 0.5,
  /** Messages per second in total at fixed moments; 0 = as fast as acknowledged. */
  rate: 0,
  /** Milliseconds of work per message: for consumer n `workMs[n]`, none when absent. */
  workMs: [],
  /** Consumers connect when everything is published, or (with lasting) were away meanwhile. */
  late: false,
  lasting: false,
  /** Different `key` user properties (MQTT 5); 0 = none. */
  keys: 0,
  /** Protocol: mqtt, or redis, nats or amqp with mode queue; `more` is for their clients. */
  wire: 'mqtt',
  more: {},
  topic: 'bench',
  /** Publishers have so many topics in turn, all together; 0: one each. Topic n has the name `topicOf(n)`. */
  topics: 0,
  topicOf: undefined,
  /** `filtersOf(n)` are the topic filters of consumer n, when they are not those of the mode. */
  filtersOf: undefined,
  retain: false,
  /** Publishers all publish to `topic` itself, and the queue is on it. */
  oneTopic: false,
  /** Queue settings beside the filter; false = there is one already. */
  queue: {},
  /** Queues of that kind; publisher and consumer n belong to queue n modulo queues. */
  queues: 1,
  /** Messages that consumers will get in the end; undefined = all that were acknowledged. */
  expected: undefined,
  processes: 0,
  ledgerPublishers: 0,
  idleTimeout: 15,
};

/** `given` with everything that it leaves out. */
export function completeLoad(given) {
  const load = { ...DEFAULTS, ...given };
  load.ledgerPublishers ||= load.publishers;
  load.processes ||= defaultProcesses();
  load.subscribeQos ??= load.mode === 'queue' ? 1 : load.qos;
  return load;
}

/** One process beside a broker with two cores; publishers and consumers apart where there are more. */
function defaultProcesses() {
  const cores = os.availableParallelism();
  if (cores <= 2) return 1;
  return cores < 8 ? 2 : 4;
}

/** Topic filter of queue `index`. */
export function queueFilter(load, index) {
  if (load.oneTopic) return load.topic;
  return load.queues === 1 ? `${load.topic}/#` : `${load.topic}/q${index}/#`;
}

function topicName(load, index) {
  if (load.oneTopic) return load.topic;
  return load.mode === 'queue' && load.queues > 1
    ? `${load.topic}/q${index % load.queues}/${index}`
    : `${load.topic}/${index}`;
}

/** Topic n belongs to publisher n modulo publishers. */
function topicNames(load, index) {
  if (load.topics === 0) return topicName(load, index);
  const { topics, publishers, topicOf } = load;
  return Array.from({ length: topics }, (_, topic) => topic)
    .filter((topic) => topic % publishers === index)
    .map(topicOf);
}

function topicFilters(load, index) {
  if (load.filtersOf !== undefined) return load.filtersOf(index);
  if (load.mode === 'queue') return [`$q/${queueFilter(load, index % load.queues)}`];
  if (load.mode === 'share') return [`$share/bench/${load.topic}/#`];
  if (load.mode === 'broadcast') return [load.publishers === 1 ? topicName(load, 0) : `${load.topic}/#`];
  return Array.from({ length: load.publishers }, (_, publisher) => publisher)
    .filter((publisher) => publisher % load.consumers === index)
    .map((publisher) => topicName(load, publisher));
}

/** One plan per load process. Two or more processes: the first half publishes, the other consumes. */
export function plans(target, load, runName) {
  const total = load.seconds > 0 ? Number.MAX_SAFE_INTEGER : load.count;
  const list = Array.from({ length: load.processes }, () => ({
    host: target.host,
    port: target.port,
    runName,
    protocolVersion: load.protocol,
    payloadBytes: load.payload,
    qos: load.qos,
    inFlight: load.inFlight,
    subscribeQos: load.subscribeQos,
    rate: 0,
    keys: load.keys,
    retain: load.retain,
    wire: load.wire,
    more: load.more,
    warmupMs: load.seconds > load.warmup ? load.warmup * 1000 : 0,
    ledgerPublishers: load.ledgerPublishers,
    everyMessageEach: load.mode === 'broadcast',
    publishers: [],
    consumers: [],
  }));
  const apart = list.length > 1 && load.publishers > 0 && load.consumers > 0;
  const half = Math.ceil(list.length / 2);
  const publishing = apart ? list.slice(0, half) : list;
  const consuming = apart ? list.slice(half) : list;
  for (let index = 0; index < load.publishers; index += 1) {
    const share = Math.floor(total / load.publishers) + (index < total % load.publishers ? 1 : 0);
    publishing[index % publishing.length].publishers.push({
      index,
      topicName: topicNames(load, index),
      count: share,
    });
  }
  for (let index = 0; index < load.consumers; index += 1)
    consuming[index % consuming.length].consumers.push({
      index,
      topicFilters: topicFilters(load, index),
      workMs: load.workMs[index] ?? 0,
      late: load.late,
      lasting: load.lasting,
    });
  for (const plan of publishing)
    plan.rate = (load.rate * plan.publishers.length) / Math.max(1, load.publishers);
  return list.filter((plan) => plan.publishers.length + plan.consumers.length > 0);
}
