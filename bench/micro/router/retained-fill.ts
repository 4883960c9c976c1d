/**
 * Retained messages as devices announce themselves, for the benches of their index and of their sender. Bench process.
 *
 * Always true: topic `i` is always the same, about 40 bytes long, and in no order.
 */
import type { RetainedIndex } from '../../../src/router/retained-index.js';
import { LiveMessage } from '../../../src/session/message.js';

const never = Number.POSITIVE_INFINITY;
const payload = Buffer.alloc(50, 'p');

/** Topic of device `i`. */
export function topicOf(i: number): string {
  const device = (i * 7919) % 1_000_003;
  return `plant/${device % 10}/line/${String(device % 100).padStart(3, '0')}/device/${device}/state`;
}

/** Stores or replaces messages 0 to `count`. */
export function fill(index: RetainedIndex, count: number): void {
  const live = new LiveMessage();
  for (let i = 0; i < count; i++) {
    const topic = Buffer.from(topicOf(i));
    live.set(topic, 0, topic.length, payload, 0, 0, 0, payload.length, 1, 0);
    const at = index.find(topic, 0, topic.length);
    if (at >= 0) index.replace(at, live, never);
    else index.insert(live, 0, i + 1, never);
  }
}
