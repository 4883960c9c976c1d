/**
 * Answers that come in numbered pages, in the form of EMQX: `?page=&limit=` and `{data, meta}`. Main thread.
 *
 * Always true: `count` is the number of entries of all pages as they were found; pages of what changes meanwhile may
 * repeat an entry or miss one. Queues and their messages have cursors instead, see cursor.ts.
 */
import Type, { type TProperties, type TSchema } from 'typebox';

import type { FastifyReply } from 'fastify';
import type { Page, PageRequest, PageWalks } from '../broker/page-walk.js';

const pageDefault = 100;
const limitMax = 10_000;
const pageMax = 1_000_000;

/** The query of a paged route, with its filters. */
export function PagedQuery<P extends TProperties>(filters: P) {
  return Type.Object({
    page: Type.Optional(Type.Integer({ minimum: 1, maximum: pageMax, description: 'Default 1.' })),
    limit: Type.Optional(
      Type.Integer({ minimum: 1, maximum: limitMax, description: `Default ${pageDefault}.` }),
    ),
    ...filters,
  });
}

/** The answer of a paged route. */
export function PagedAnswer<S extends TSchema>(entry: S) {
  return Type.Object({
    data: Type.Array(entry),
    meta: Type.Object({
      page: Type.Integer(),
      limit: Type.Integer(),
      count: Type.Integer({ description: 'Entries of all pages.' }),
      hasnext: Type.Boolean(),
    }),
  });
}

/** Which page a query asks for. */
export function pageRequest({
  page = 1,
  limit = pageDefault,
}: {
  page?: number;
  limit?: number;
}): PageRequest {
  return { page, limit };
}

/** An answer with so many entries is put into text at once; a longer one in slices beside the traffic. */
const atOnceMax = 200;

/** Answers with a page whose entries are shown by `view`. */
export async function sendPage<E>(
  reply: FastifyReply,
  walks: PageWalks,
  { data, count, hasNext }: Page<E>,
  { page, limit }: PageRequest,
  view: (entry: E) => object,
): Promise<FastifyReply> {
  const meta = { page, limit, count, hasnext: hasNext };
  if (data.length <= atOnceMax) return await reply.send({ data: data.map((entry) => view(entry)), meta });
  const texts: string[] = [];
  await walks.slices(data, (entry) => {
    texts.push(JSON.stringify(view(entry)));
    return true;
  });
  return await reply
    .type('application/json; charset=utf-8')
    .send(`{"data":[${texts.join(',')}],"meta":${JSON.stringify(meta)}}`);
}

/** A filter that may be given several times. */
export function manyOf(description: string) {
  const one = Type.String();
  return Type.Optional(Type.Union([one, Type.Array(one, { maxItems: 1000 })], { description }));
}

/** The values of such a filter. */
export function valuesOf(given: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof given === 'string' ? [given] : given;
}
