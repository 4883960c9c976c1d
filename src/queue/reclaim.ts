/**
 * Gives back block memory that can be read again from the log. Shard worker; when the arena is full.
 *
 * Always true: only committed bytes leave memory; no more is given back than was asked for, so that one queue in need
 * does not make all others read their messages again. What lies farthest from a cursor goes first, what consumers hold
 * goes last. Gives up: a page that blocks of several queues share comes free only with the last of them.
 */
import type { Arena } from './arena.js';
import type { InFlightTable } from './in-flight.js';
import type { Queue } from './queue.js';

/** Frees blocks until `pages` more pages are free than before, or none is left. True when any block was freed. */
export function reclaimPages(
  queues: Iterable<Queue>,
  inFlight: InFlightTable,
  arena: Arena,
  pages: number,
): boolean {
  const enough = arena.freePages + pages;
  let freed = false;
  for (const { backlog } of queues) {
    freed = backlog.shed(enough) || freed;
    if (arena.freePages >= enough) return true;
  }
  if (freed) return true;
  // What consumers hold can be read again too, should it come back.
  for (const block of inFlight.blocks) {
    if (block === null || block.memoryAt < 0) continue;
    arena.release(block.memoryAt, block.memoryBytes);
    block.memoryAt = -1;
    freed = true;
    if (arena.freePages >= enough) break;
  }
  return freed;
}
