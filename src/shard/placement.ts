/**
 * Which shard owns a queue. Both threads, pure.
 *
 * Always true: the same filter and shard count give the same shard on every machine and start. Rendezvous hashing:
 * changing the count from m to n moves only the queues that have to move.
 * Source: Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; mixing as in FNV-1a
 * and a 32-bit finaliser.
 */

/** Shard of a queue with that topic filter, 0 to shardCount - 1. O(shardCount). */
export function shardOf(topicFilter: string, shardCount: number): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(topicFilter)) hash = Math.imul(hash ^ byte, 0x01000193);
  let best = 0;
  let bestWeight = -1;
  for (let shard = 0; shard < shardCount; shard++) {
    const weight = mix(hash ^ Math.imul(shard + 1, 0x9e3779b1));
    if (weight > bestWeight) {
      bestWeight = weight;
      best = shard;
    }
  }
  return best;
}

function mix(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
