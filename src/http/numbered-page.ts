/**
 * One page of a list that is in memory as a whole. Main thread; pure.
 *
 * Always true: page 1 is the first; a page beyond the end is empty; `count` is the length of the whole list. Lists that
 * have to be searched are walked in steps instead, see page.ts. Gives up: stability; what comes and goes between two
 * requests moves the rest.
 */
import type { PageRequest } from '../broker/page-walk.js';

/** The page that was asked for, with its `meta`. */
export function pageOf<T>(
  list: readonly T[],
  { page, limit }: PageRequest,
): { data: T[]; meta: { page: number; limit: number; count: number; hasnext: boolean } } {
  const first = (page - 1) * limit;
  return {
    data: list.slice(first, first + limit),
    meta: { page, limit, count: list.length, hasnext: first + limit < list.length },
  };
}
