/**
 * How long each consumer of a queue takes for a message, and whether a slow one should get another. Shard worker.
 *
 *   service  = mean time between two answers of a consumer while it has something in flight
 *   held back when  in flight × service  >  (waiting + 1) ÷ rate of all others
 *
 * A slow worker with credit would be filled up whenever the others' windows are full for a moment, and end long after them:
 * it gets another message only if it can begin with it before they have emptied the queue (docs/decisions/0011).
 * Always true: whoever has nothing in flight is never held back, nor anybody while the others have no rate; an estimate of
 * a consumer that owes an answer grows with its delay, so that nothing waits for one that has stopped. Time is an argument.
 * Source: list scheduling after R. Graham, "Bounds on multiprocessing timing anomalies", 1969.
 */
import type { QueueConsumer } from './consumer-set.js';

/** A consumer that needs less for a message is never held back, ms. */
const SLOW_MS = 5;
/** Nor is one that needs less than so many times the others' mean. */
const SLOW_FACTOR = 4;
/** Part of a new observation in the mean. */
const GAIN = 1 / 8;
/** The others' rate is computed anew after, ms. */
const RATE_AGE_MS = 5;
/** More than this is a clock that was set, or a consumer that was not looked at, ms. */
const OBSERVED_MS_MAX = 60_000;
/** An answer that is awaited for less says nothing, ms: clocks are whole milliseconds. */
const OWED_MS_MIN = 10;
/** No consumer counts as faster than this, ms per message. */
const SERVICE_MS_MIN = 0.02;

/** `consumer` is done with one message. A refusal is no answer: it says nothing about work. */
export function noteAnswer(consumer: QueueConsumer, nowMs: number): void {
  if (nowMs === consumer.answeredAtMs) {
    consumer.answersThen++;
    return;
  }
  // How many answers came together is known now.
  if (consumer.workedMs >= 0) {
    const ms = consumer.workedMs / consumer.answersThen;
    consumer.serviceMs = consumer.serviceMs < 0 ? ms : consumer.serviceMs + (ms - consumer.serviceMs) * GAIN;
    consumer.isSlow = consumer.serviceMs >= SLOW_MS;
  }
  const workedMs = nowMs - Math.max(consumer.answeredAtMs, consumer.busySinceMs);
  if (workedMs < 0) consumer.busySinceMs = nowMs;
  consumer.workedMs = workedMs > OBSERVED_MS_MAX ? -1 : workedMs;
  consumer.answeredAtMs = nowMs;
  consumer.answersThen = 1;
}

/** Its time per message is unknown again. */
export function forgetAnswers(consumer: QueueConsumer): void {
  consumer.serviceMs = -1;
  consumer.isSlow = false;
  consumer.answeredAtMs = Number.NEGATIVE_INFINITY;
  consumer.workedMs = -1;
}

/** Messages per ms of a consumer, 0 while unknown. One that owes an answer for long is as slow as that. */
function rateOf(consumer: QueueConsumer, nowMs: number): number {
  const { serviceMs } = consumer;
  if (serviceMs < 0) return 0;
  const owedMs = consumer.listHead < 0 ? 0 : nowMs - Math.max(consumer.answeredAtMs, consumer.busySinceMs);
  return 1 / Math.max(SERVICE_MS_MIN, serviceMs, owedMs < OWED_MS_MIN ? 0 : owedMs);
}

/** See the file header. One per queue. */
export class ServiceTimes {
  readonly #consumers: Iterable<QueueConsumer>;
  #rate = 0;
  #knownCount = 0;
  #rateAtMs = Number.NEGATIVE_INFINITY;

  constructor(consumers: Iterable<QueueConsumer>) {
    this.#consumers = consumers;
  }

  /** True when one of the `waiting` messages should rather wait than go to `consumer`, who has `inFlight`. */
  isHeldBack(consumer: QueueConsumer, inFlight: number, waiting: number, nowMs: number): boolean {
    if (!consumer.isSlow || inFlight <= 0) return false;
    if (Math.abs(nowMs - this.#rateAtMs) >= RATE_AGE_MS) this.#measure(nowMs);
    if (this.#knownCount < 2) return false;
    const { serviceMs } = consumer;
    const others = this.#rate - consumer.rateThen;
    if (others <= 0 || serviceMs * others < SLOW_FACTOR * (this.#knownCount - 1)) return false;
    return inFlight * serviceMs * others > waiting + 1;
  }

  /** Consumers have come or gone. */
  forgetRate(): void {
    this.#rateAtMs = Number.NEGATIVE_INFINITY;
  }

  #measure(nowMs: number): void {
    this.#rateAtMs = nowMs;
    this.#rate = 0;
    this.#knownCount = 0;
    for (const consumer of this.#consumers) {
      consumer.rateThen = rateOf(consumer, nowMs);
      this.#rate += consumer.rateThen;
      if (consumer.rateThen > 0) this.#knownCount++;
    }
  }
}
