/**
 * The growth tables that are grids of loads: queues, consumers, subscriptions, payload, connections. Runs in the bench's
 * main process.
 *
 * Always true: within a table only the number that it is about changes; what must change with it, so that a run is
 * possible at all, is said at that line. Sizes are 1 or multiples of 10.
 */
import { createQueues, gridOf, sizesOf } from './point.mjs';

const WIDE = { dispatch_strategy: 'least_inflight', local_max_inflight: 200 };
const PUBLISHERS = 10;
const CONSUMERS = 10;
/** Different topics whose routes do not fit into the cache of routes; packet ids bound them per publisher. */
const SPREAD_TOPICS_MAX = 60_000;
const AGAIN_TOPICS_MAX = 1000;
/** A prime, so that topics come in no order and each once. */
const STEP = 7919;

const padded = (number, digits) => String(number).padStart(digits, '0');
/** Indexes below `size` that belong to client `index` of ten; of a single one, all have it. */
const dealt = (size, index) =>
  size === 1
    ? [0]
    : Array.from({ length: Math.ceil((size - index) / CONSUMERS) }, (_, n) => n * CONSUMERS + index);

const queueName = (queue) => `bench/q${padded(queue, 5)}`;

/** Ten publishers and ten consumers over `used` of `size` queues. */
function queueSeries(key, name, used) {
  return {
    key,
    name,
    settings: () => ({ SLUICE_MQ_MAX_QUEUE_COUNT: '20000' }),
    prepare: (target, size) =>
      createQueues(
        target,
        Array.from({ length: size }, (_, queue) => `${queueName(queue)}/#`),
        WIDE,
      ),
    load: (size) => ({
      mode: 'queue',
      queue: false,
      publishers: PUBLISHERS,
      consumers: CONSUMERS,
      topics: Math.max(PUBLISHERS, used(size)),
      topicOf: (topic) => `${queueName(topic % used(size))}/${topic % PUBLISHERS}`,
      filtersOf: (consumer) => dealt(used(size), consumer).map((queue) => `$q/${queueName(queue)}/#`),
    }),
  };
}

const queueSeriesList = [
  queueSeries('all', 'all in use, in turn', (size) => size),
  queueSeries('one', 'one in use', () => 1),
];
const queueSizes = sizesOf([1, 100, 1000], [1, 10, 100, 1000, 10_000]);

const consumerSeriesList = ['least_inflight', 'round_robin', 'random'].map((strategy) => ({
  key: strategy,
  name: strategy,
  load: (size) => ({
    mode: 'queue',
    publishers: PUBLISHERS,
    consumers: size,
    // As many messages in flight with few consumers as with 200 at the default window of 10.
    queue: { dispatch_strategy: strategy, local_max_inflight: Math.max(10, 2000 / size) },
  }),
}));
const consumerSizes = sizesOf([1, 1000], [1, 10, 100, 1000, 10_000]);

const groupOf = (index) => padded(index % 1000, 3);
const filterOf = (index) =>
  `fleet/${groupOf(index)}/${index % 2 === 0 ? 'device' : '+'}/${padded(index, 7)}/state`;

/** One message to one subscriber; the topics are spread evenly over all subscriptions. */
function subscriptionSeries(key, name, topicsMax) {
  return {
    key,
    name,
    load: (size) => {
      const topics = Math.min(size, topicsMax);
      const stride = size / topics;
      const indexOf = (topic) => {
        const place = Math.floor(((topic * STEP) % topics) * stride);
        return stride >= 2 ? place + (topic % 2) : place;
      };
      return {
        mode: 'partition',
        qos: 0,
        payload: 64,
        publishers: Math.min(4, topics),
        consumers: Math.min(CONSUMERS, size),
        topics,
        topicOf: (topic) => `fleet/${groupOf(indexOf(topic))}/device/${padded(indexOf(topic), 7)}/state`,
        filtersOf: (consumer) => dealt(size, consumer).map(filterOf),
      };
    },
  };
}

const subscriptionSeriesList = [
  subscriptionSeries('again', 'up to 1,000 topics again and again', AGAIN_TOPICS_MAX),
  subscriptionSeries('spread', 'up to 60,000 topics in turn', SPREAD_TOPICS_MAX),
];
const subscriptionSizes = sizesOf([1, 1000, 100_000], [1, 10, 100, 1000, 10_000, 100_000, 1_000_000]);

/** 4 MiB in flight at most, 200 messages at most. */
const payloadWindow = (payload) => Math.min(200, Math.floor(4_194_304 / payload));
const payloadSeriesList = [
  ['qos0', 'pair, QoS 0', { mode: 'partition', qos: 0 }],
  ['qos1', 'pair, QoS 1', { mode: 'partition', qos: 1 }],
  ['queue', 'through a queue', { mode: 'queue', queue: WIDE }],
].map(([key, name, more]) => ({
  key,
  name,
  load: (payload) => ({ ...more, payload, publishers: 1, consumers: 1, inFlight: payloadWindow(payload) }),
}));
const payloadSizes = sizesOf([16, 1024, 262_144], [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144]);

const connectionSeriesList = [
  {
    key: 'idle',
    name: '20 busy, the others idle',
    load: (size) => ({
      mode: 'partition',
      publishers: PUBLISHERS,
      consumers: size - PUBLISHERS,
      inFlight: 100,
      filtersOf: (consumer) => [consumer < CONSUMERS ? `bench/${consumer}` : `idle/${consumer}`],
    }),
  },
  {
    key: 'busy',
    name: 'all busy: half publish, half receive',
    load: (size) => ({
      mode: 'partition',
      publishers: size / 2,
      consumers: size / 2,
      // As many in flight altogether; one is the least.
      inFlight: Math.max(1, 2000 / size),
    }),
  },
];
const connectionSizes = sizesOf([20, 1000], [20, 100, 1000, 10_000]);

const table = (name, axis, sizes, series, more = {}) => ({
  name,
  axis,
  sizes,
  series,
  scale: 'linear',
  ...more,
  run: gridOf(sizes, series),
});

/** See the file header. */
export const gridTables = [
  table('queues', 'queues', queueSizes, queueSeriesList, { memory: 'all' }),
  table('consumers', 'consumers of one queue', consumerSizes, consumerSeriesList),
  table('subscriptions', 'subscriptions', subscriptionSizes, subscriptionSeriesList, { memory: 'spread' }),
  table('payload', 'bytes of payload', payloadSizes, payloadSeriesList, { scale: 'log' }),
  table('connections', 'connections', connectionSizes, connectionSeriesList, { memory: 'idle' }),
];
