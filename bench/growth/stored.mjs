/**
 * The growth tables of what is kept: retained messages and the backlog of a queue. Runs in the bench's main process.
 *
 * Always true: the retained messages of a table are all in one broker, which gets more of them from size to size, and
 * every subscription must bring what it matches; every size of the backlog has a broker of its own, which was warmed up,
 * and every message is drained.
 */
import { measureBacklog } from '../backlog/run.mjs';
import { LoadClient, nowMs } from '../load/client.mjs';
import { measure } from '../load/run.mjs';
import { PUBLISH, subscribePacket } from '../load/wire.mjs';
import { measureLoad, measureWork, openBroker, pointTimes, sizesOf, sureCost } from './point.mjs';

/** Packet ids bound the topics of one publisher. */
const PUBLISHERS = 20;
const SPREAD_TOPICS_MAX = 60_000;
const OUTSTANDING_MAX = 200;
const PATIENCE_MS = 60_000;
/** Different filters that a client subscribes to, again and again. */
const FILTERS_MAX = 20_000;
/** A prime, so that topics come in no order and each once. */
const STEP = 7919;

const padded = (number, digits) => String(number).padStart(digits, '0');
const groupOf = (index) => padded(index % 1000, 3);
const topicOf = (index) => `plant/${groupOf(index)}/device/${padded(index, 7)}/state`;

/** Subscribes and counts the retained messages that come. */
class Taker extends LoadClient {
  retained = 0;
  failure;
  #awaited = 0;
  #resolve;

  constructor() {
    super((error) => {
      this.failure = error;
      this.#resolve?.();
    });
  }

  onPacket(firstByte) {
    if ((firstByte & 0xf0) === PUBLISH) this.retained += firstByte & 1;
  }

  onChunkEnd() {
    if (this.retained >= this.#awaited) this.#resolve?.();
  }

  subscribe(filter) {
    this.socket.write(subscribePacket([filter], 0, 4));
  }

  /** Resolves when `count` retained messages have come altogether. */
  async until(count) {
    if (this.failure !== undefined) throw this.failure;
    if (this.retained >= count) return;
    this.#awaited = count;
    let timer;
    await new Promise((resolve) => {
      this.#resolve = resolve;
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    clearTimeout(timer);
    if (this.failure !== undefined) throw this.failure;
    if (this.retained < count) throw new Error(`only ${this.retained} of ${count} retained messages came`);
  }
}

async function withTaker({ host, port }, work) {
  const taker = new Taker();
  await taker.connect({ host, port, clientId: `taker-${nowMs()}`, protocolVersion: 4 });
  try {
    return await work(taker);
  } finally {
    taker.close();
  }
}

/** Subscribes to filters that match one message each, for `seconds`; resolves to how many. */
function subscribeSingly(target, size, filterOf, seconds) {
  return withTaker(target, async (taker) => {
    const filters = Math.min(size, FILTERS_MAX);
    const stride = size / filters;
    // A subscription that is made again before its message came gets it once.
    const batch = Math.max(1, Math.floor(Math.min(filters, OUTSTANDING_MAX) / 2));
    const endMs = nowMs() + seconds * 1000;
    let sent = 0;
    while (nowMs() < endMs) {
      for (let index = 0; index < batch; index += 1, sent += 1)
        taker.subscribe(filterOf(Math.floor(((sent * STEP) % filters) * stride)));
      await taker.until(sent - Math.min(batch, filters - batch));
    }
    await taker.until(sent);
    return sent;
  });
}

/** Subscribes to all messages, again and again for `seconds`, at least once; resolves to how many came. */
function subscribeToAll(target, size, seconds) {
  return withTaker(target, async (taker) => {
    const endMs = nowMs() + seconds * 1000;
    for (let times = 1; ; times += 1) {
      taker.subscribe('plant/#');
      await taker.until(times * size);
      if (nowMs() >= endMs) return times * size;
    }
  });
}

async function runRetained(context, note) {
  const target = await openBroker(context);
  const { seconds } = pointTimes(context);
  const load = { mode: 'partition', consumers: 0, publishers: PUBLISHERS, payload: 64, retain: true };
  let stored = 0;
  try {
    for (const size of retainedSizes(context)) {
      const first = stored;
      await note(size, 'store', () =>
        measureWork(target, async () => {
          const topics = size - first;
          const indexOf = (topic) => first + ((topic * STEP) % topics);
          const topicName = (topic) => topicOf(indexOf(topic));
          await measure(target, { ...load, topics, topicOf: topicName, count: topics });
          return topics;
        }),
      );
      stored = size;
      const topics = Math.min(size, SPREAD_TOPICS_MAX);
      const indexOf = (topic) => Math.floor(((topic * STEP) % topics) * (size / topics));
      await note(size, 'replace', () =>
        measureLoad(target, {
          ...load,
          topics,
          topicOf: (topic) => topicOf(indexOf(topic)),
          ...pointTimes(context),
        }),
      );
      await note(size, 'exact', () =>
        measureWork(target, () => subscribeSingly(target, size, topicOf, seconds / 2)),
      );
      await note(size, 'plus', () =>
        measureWork(target, () =>
          subscribeSingly(
            target,
            size,
            (index) => topicOf(index).replace(`/${groupOf(index)}/`, '/+/'),
            seconds / 2,
          ),
        ),
      );
      await note(size, 'all', async () => {
        const cell = await measureWork(target, () => subscribeToAll(target, size, seconds / 2));
        return { ...cell, rssBytes: (await target.memory())?.rssBytes };
      });
    }
  } finally {
    context.running.opened = undefined;
    await target.stop();
  }
}

const retainedSizes = sizesOf([1000, 100_000], [1000, 10_000, 100_000, 1_000_000]);

/** Memory and files are bounded whatever the number; how even the shares are is not the question here. */
const BOUNDS = { 'rss-max': '2000', 'disk-max': '200', 'share-min': '0' };
const WARM_UP = { mode: 'queue', topic: 'warm', publishers: 10, consumers: 10 };

async function runBacklog(context, note) {
  for (const size of backlogSizes(context)) {
    const target = await openBroker(context);
    try {
      await measure(target, { ...WARM_UP, count: context.quick ? 50_000 : 300_000 });
      let result;
      await note(size, 'fill', async () => {
        result = await measureBacklog({ ...BOUNDS, count: String(size) }, target);
        const { fillCpuUs, fillPerSecond, faults } = result;
        return { costUs: sureCost(fillCpuUs, size), perSecond: fillPerSecond, faults };
      });
      await note(size, 'drain', async () => {
        const { drainCpuUs, drainPerSecond, rssPeakBytes } = result;
        return {
          costUs: sureCost(drainCpuUs, size),
          perSecond: drainPerSecond,
          rssBytes: rssPeakBytes,
          faults: [],
        };
      });
    } finally {
      context.running.opened = undefined;
      await target.stop();
    }
  }
}

const backlogSizes = sizesOf([30_000, 300_000], [100_000, 1_000_000, 10_000_000]);

/** See the file header. */
export const storedTables = [
  {
    name: 'retained',
    axis: 'retained topics',
    sizes: retainedSizes,
    scale: 'log',
    series: [
      { key: 'store', name: 'new topics' },
      { key: 'replace', name: 'topics replaced' },
      { key: 'exact', name: 'subscriptions to one topic' },
      { key: 'plus', name: 'subscriptions with a + for 1,000 branches, one match' },
      { key: 'all', name: 'messages to a subscription to all' },
    ],
    memory: 'all',
    run: runRetained,
  },
  {
    name: 'backlog',
    axis: 'waiting messages',
    sizes: backlogSizes,
    scale: 'linear',
    series: [
      { key: 'fill', name: 'filled' },
      { key: 'drain', name: 'drained' },
    ],
    memory: 'drain',
    run: runBacklog,
  },
];
