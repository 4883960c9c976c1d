/**
 * Keeps a queue within its limits by ending its oldest messages. Shard worker, pure.
 *
 * Always true: what consumers have in flight is left alone; counts are exact after every step; a step ends at most
 * `budget` messages, so that a limit lowered under millions of messages does not hold up the other queues of the shard.
 * Source: REF 3 (limits, overflow).
 */
import type { Queue } from './queue.js';

/**
 * Ends the oldest messages until the queue is within its limits, or nothing is left that nobody has, or `budget` of them
 * are gone. True when it must go on later. The limits of a stream hold for `limitShards` of them.
 */
export function evictOverflow(queue: Queue, limitShards: number, budget: number): boolean {
  const { shardMessageCountMax, shardMessageBytesMax, messagesMax, bytesMax, overflowPolicy } =
    queue.definition;
  const drops = overflowPolicy === 'drop_oldest';
  const countLimit = Math.min(
    shardMessageCountMax * limitShards,
    drops ? messagesMax : Number.POSITIVE_INFINITY,
  );
  const bytesLimit = Math.min(
    shardMessageBytesMax * limitShards,
    drops ? bytesMax : Number.POSITIVE_INFINITY,
  );
  const { ledger } = queue;
  for (let left = budget; ledger.liveCount > countLimit || ledger.liveBytes > bytesLimit; left--) {
    if (left === 0) return true;
    if (!queue.evictOldest()) return false;
  }
  return false;
}
