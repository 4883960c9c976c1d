/**
 * How many unacknowledged messages the speed of a consumer is worth. Shard worker.
 *
 *   earned window  =  answers per ms × WORK_MS,  measured over SPAN_ANSWERS answers that came within SPAN_MS
 *
 * A queue's window bounds what waits at a worker while others are idle. A worker that answers thousands per second is
 * done with ten in a moment, and spends the rest of its time waiting for the next ten: it may have as many as it works
 * off in WORK_MS. Who is slower, or has answered only a few, has what the queue gives everyone (docs/decisions/0012).
 * Always true: nothing is earned before a whole span; what was earned, also by a clock that was set, ends about a second
 * after the speed that earned it. Time is an argument. Source: the bandwidth-delay product, as windows of TCP follow it (RFC 7323).
 */
import type { QueueConsumer } from './consumer-set.js';

/** Answers in a span. */
const SPAN_ANSWERS = 512;
/** A span that takes longer earns nothing, ms. */
const SPAN_MS = 250;
/** So much work may wait at a fast consumer, ms. */
const WORK_MS = 10;

/** The last answer of a span has come: what the consumer has earned, 0 for nothing. The next span begins. */
export function endSpan(consumer: QueueConsumer, nowMs: number): number {
  const ms = nowMs - consumer.spanSinceMs;
  consumer.spanSinceMs = nowMs;
  consumer.spanLeft = SPAN_ANSWERS;
  // Answers that came at once tell nothing of the time that they took.
  if (ms === 0) return consumer.earnedWindow;
  return ms < 0 || ms > SPAN_MS ? 0 : Math.floor((SPAN_ANSWERS * WORK_MS) / ms);
}

/** True when the span of a consumer that has earned something has taken too long already. */
export function hasLapsed(consumer: QueueConsumer, nowMs: number): boolean {
  return consumer.earnedWindow > 0 && Math.abs(nowMs - consumer.spanSinceMs) > SPAN_MS;
}
