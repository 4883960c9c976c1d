/**
 * Every micro bench by the name of the source file that it measures. Bench process.
 *
 * Always true: a bench lies where its source file lies, `bench/micro/<name>.ts` for `src/<name>.ts`, and is loaded only
 * when it is asked for. A test compares the table with both trees.
 */
import type { Figure } from './measure.js';

/** Runs one bench; `scale` 1 proves only that it works, 1000 measures. */
export type MicroBench = (scale: number) => Figure[] | Promise<Figure[]>;

/** See the file header. */
export const microBenches: Readonly<Record<string, () => Promise<MicroBench>>> = {
  'auth/access': async () => (await import('./auth/access.js')).benchAccess,
  'base/ring': async () => (await import('./base/ring.js')).benchRing,
  'log/log': async () => (await import('./log/log.js')).benchLog,
  'log/record-format': async () => (await import('./log/record-format.js')).benchRecordFormat,
  'mqtt/bytes': async () => (await import('./mqtt/bytes.js')).benchBytes,
  'mqtt/decoder': async () => (await import('./mqtt/decoder.js')).benchDecoder,
  'mqtt/encoder': async () => (await import('./mqtt/encoder.js')).benchEncoder,
  'mqtt/topic': async () => (await import('./mqtt/topic.js')).benchTopic,
  'net/tcp-listener': async () => (await import('./net/tcp-listener.js')).benchTcpListener,
  'queue/consumer-set': async () => (await import('./queue/consumer-set.js')).benchConsumerSet,
  'queue/key-expression/key-expression': async () =>
    (await import('./queue/key-expression/key-expression.js')).benchKeyExpression,
  'queue/queue': async () => (await import('./queue/queue.js')).benchQueue,
  'router/retained-index': async () => (await import('./router/retained-index.js')).benchRetainedIndex,
  'router/router': async () => (await import('./router/router.js')).benchRouter,
  'router/share-group': async () => (await import('./router/share-group.js')).benchShareGroup,
  'router/topic-tree': async () => (await import('./router/topic-tree.js')).benchTopicTree,
  'session/retained-sender': async () => (await import('./session/retained-sender.js')).benchRetainedSender,
};
