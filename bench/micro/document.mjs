/**
 * The tables of docs/performance.md that come from micro benches. Bench process.
 *
 * Always true: every figure that a table names must have been measured; a bench that was renamed is an error, not a gap.
 */
import { runFacts } from '../report/facts.mjs';
import { markdownTable, originText, writeFigures } from '../report/document.mjs';

/** What a message passes: part, thread, bench, its figure. */
const PARTS = [
  ['read of the socket', 'main', 'net/tcp-listener', 'CPU per GB read, one buffer for all connections'],
  ['parse PUBLISH, 256 B, QoS 1', 'main', 'mqtt/decoder', 'parse PUBLISH 256 B QoS 1, 3.1.1'],
  ['the same with `mqtt-packet`', '', 'mqtt/decoder', 'mqtt-packet: parse PUBLISH 256 B QoS 1, 3.1.1'],
  ['permission to publish, same topic again', 'main', 'auth/access', 'publish, one topic, 100 rules'],
  ['topic to targets, hot', 'main', 'router/router', 'lookup by bytes, 33 B, 1000 hot topics'],
  [
    'topic to targets, first time, 100,000 subscriptions',
    'main',
    'router/router',
    'lookup of 100000 topics that come once',
  ],
  [
    'message into and out of the ring',
    'both',
    'base/ring',
    'messages of 336 B in shared frames, 256 per turn',
  ],
  [
    'its share of a block that is sealed with its checksum',
    'shard',
    'log/record-format',
    'seal a block of 256 records of 344 B',
  ],
  [
    'its share of a block that is appended and deleted, RocksDB',
    'shard',
    'log/log',
    'rocksdb: append and delete',
  ],
  [
    'key of a last-value queue, user property',
    'shard',
    'queue/key-expression/key-expression',
    'evaluate message.headers.properties.User-Property.key',
  ],
  [
    'choice of a consumer, 10 of them, `least_inflight`',
    'shard',
    'queue/consumer-set',
    'least_inflight, 10 consumers',
  ],
  [
    'a queue as a whole: store, hand out, ack, delete',
    'shard',
    'queue/queue',
    'store, hand out, ack: least_inflight, 10 consumers',
  ],
  [
    'generate PUBLISH from a packet',
    'main',
    'mqtt/encoder',
    'generate PUBLISH 256 B QoS 1, 3.1.1, from a packet',
  ],
  ['the same with `mqtt-packet`', '', 'mqtt/encoder', 'mqtt-packet: generate PUBLISH 256 B QoS 1, 3.1.1'],
];
const CONSUMERS = [10, 100, 1000, 10_000];
const STRATEGIES = ['random', 'round_robin', 'least_inflight'];
const SUBSCRIPTIONS = [300, 3000, 30_000, 300_000];
/** Kinds of filters by the names of their bench. */
const FILTERS = { exact: 'exact', plus: 'with `+`', hash: 'with `#`', mixed: 'three that match each' };

/** Benches that the tables need. */
export const documentedBenches = [
  ...new Set([...PARTS.map(([, , bench]) => bench), 'queue/consumer-set', 'router/topic-tree']),
];

/** Writes the tables; `results` is one `{ name, figures }` per bench. Resolves to the path of the document. */
export function writeMicroFigures(results) {
  const origin = originText(runFacts({}));
  return writeFigures(
    Object.fromEntries(
      Object.entries(microTables(results)).map(([name, table]) => [name, `${table}\n\n${origin}`]),
    ),
  );
}

/** The tables by the names of their markers. */
export function microTables(results) {
  const figureOf = (bench, name) => {
    const found = results
      .find((entry) => entry.name === bench)
      ?.figures.find((figure) => figure.name === name);
    if (found === undefined) throw new Error(`the bench ${bench} has no figure '${name}'`);
    return found;
  };
  const digits = (value) => value.toLocaleString('en-US', { maximumFractionDigits: 0 });
  const rateOf = (bench, name) => digits(figureOf(bench, name).value);
  return {
    'micro parts': markdownTable(
      ['Part', 'Thread', 'Bench', 'Operations/s', 'Each'],
      PARTS.map(([part, thread, bench, name]) => {
        const { value, unit } = figureOf(bench, name);
        const cells = unit === 'ms' ? ['', `${digits(value)} ms per GB`] : [digits(value), timeText(value)];
        return [part, thread, `\`${bench}\``, ...cells];
      }),
      3,
    ),
    'micro consumers': markdownTable(
      ['Consumers', ...STRATEGIES.map((strategy) => `\`${strategy}\``)],
      CONSUMERS.map((count) => [
        digits(count),
        ...STRATEGIES.map((strategy) => rateOf('queue/consumer-set', `${strategy}, ${count} consumers`)),
      ]),
    ),
    'micro topics': markdownTable(
      ['Subscriptions', ...Object.values(FILTERS)],
      SUBSCRIPTIONS.map((count) => [
        digits(count),
        ...Object.keys(FILTERS).map((kind) =>
          rateOf('router/topic-tree', `match, ${count} subscriptions, ${kind}`),
        ),
      ]),
    ),
  };
}

/** What one operation takes. */
function timeText(perSecond) {
  const ns = 1e9 / perSecond;
  return ns < 1000 ? `${Number(ns.toPrecision(2))} ns` : `${Number((ns / 1000).toPrecision(2))} µs`;
}
