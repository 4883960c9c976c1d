/**
 * What all queues of users, and all queues of sessions, in one shard add up to. Shard worker; once per maintenance tick.
 *
 * Always true: gauges are set to exact sums; counters grow by what each queue counted since it was last asked, also in
 * the moment before it is deleted, so that they never fall. Gives up: both are up to one tick old, which keeps counting
 * a message at one addition, in its queue.
 */
import { PAGE_BYTES, type Arena } from '../queue/arena.js';
import type { QueueCounters } from '../queue/queue-counters.js';
import type { Queue } from '../queue/queue.js';
import type { Counters } from '../telemetry/counter.js';
import { slot as metric } from '../telemetry/counter-layout.js';

/** Counters of a queue, and the metric that sums them. */
const summed = [
  ['stored', metric.messagesCommitted],
  ['delivered', metric.messagesDelivered],
  ['acked', metric.messagesAcked],
  ['rejected', metric.messagesRejected],
  ['redelivered', metric.messagesRedelivered],
  ['expired', metric.messagesExpired],
  ['evicted', metric.messagesEvicted],
  ['overwritten', metric.messagesOverwritten],
] as const satisfies readonly (readonly [keyof QueueCounters, number])[];

/** The same for queues of sessions, which are not the users' queues. */
const summedOfSessions = [
  ['stored', metric.sessionMessagesStored],
  ['evicted', metric.sessionMessagesEvicted],
  ['expired', metric.sessionMessagesExpired],
] as const satisfies readonly (readonly [keyof QueueCounters, number])[];

/** See the file header. */
export class QueueMetrics {
  readonly #counters: Counters;
  /** What was added so far, by queue, in the order of `summed`. */
  readonly #added = new WeakMap<Queue, Float64Array>();

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** Adds what one queue has counted since the last call. To be called once more before a queue is forgotten. */
  add(queue: Queue): void {
    const sums = queue.belongsToSession ? summedOfSessions : summed;
    let added = this.#added.get(queue);
    if (added === undefined) this.#added.set(queue, (added = new Float64Array(sums.length)));
    for (let i = 0; i < sums.length; i++) {
      const [field, slot] = sums[i]!;
      const total = queue.counters[field];
      this.#counters.add(slot, total - (added[i] as number));
      added[i] = total;
    }
  }

  /** Everything that can be said of all queues now. */
  tick(queues: ReadonlyMap<number, Queue>, arena: Arena): void {
    let ready = 0;
    let inFlight = 0;
    let bytes = 0;
    let consumers = 0;
    let count = 0;
    let sessionMessages = 0;
    let sessionBytes = 0;
    for (const queue of queues.values()) {
      this.add(queue);
      if (queue.belongsToSession) {
        sessionMessages += queue.readyCount + queue.inFlightCount;
        sessionBytes += queue.ledger.liveBytes;
        continue;
      }
      count++;
      ready += queue.readyCount;
      inFlight += queue.inFlightCount;
      bytes += queue.ledger.liveBytes;
      consumers += queue.consumers.size;
    }
    this.#counters.set(metric.sessionMessagesWaiting, sessionMessages);
    this.#counters.set(metric.sessionMessageBytes, sessionBytes);
    this.#counters.set(metric.queues, count);
    this.#counters.set(metric.messagesReady, ready);
    this.#counters.set(metric.messagesInFlight, inFlight);
    this.#counters.set(metric.messageBytes, bytes);
    this.#counters.set(metric.consumers, consumers);
    this.#counters.set(metric.cacheBytes, (arena.pageCount - arena.freePages) * PAGE_BYTES);
  }
}
