/**
 * Pages with numbers, for short lists that are in memory as a whole. Main thread; pure.
 *
 * Always true: page 1 is the first; a page beyond the end is empty; `count` is the length of the whole list. Gives up:
 * stability; what comes and goes between two requests moves the rest. Source: the pages of EMQX's API.
 */
import Type, { type Static } from 'typebox';

const limitDefault = 100;
const limitMax = 10_000;

/** Query of a paged list. */
export const PageQuery = Type.Object({
  page: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'From 1.' })),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: limitMax, description: `Default ${limitDefault}.` }),
  ),
});

/** `meta` of a page. */
export const PageMeta = Type.Object({
  page: Type.Integer({ minimum: 1 }),
  limit: Type.Integer({ minimum: 1 }),
  count: Type.Integer({ minimum: 0, description: 'Entries of the whole list.' }),
  hasnext: Type.Boolean(),
});

/** The page that was asked for. */
export function pageOf<T>(
  list: readonly T[],
  { page = 1, limit = limitDefault }: Static<typeof PageQuery>,
): { data: T[]; meta: Static<typeof PageMeta> } {
  const first = (page - 1) * limit;
  return {
    data: list.slice(first, first + limit),
    meta: { page, limit, count: list.length, hasnext: first + limit < list.length },
  };
}
