/**
 * `GET` and `POST` of the collection of queues. Main thread.
 *
 * Always true: the list is ordered by the words of the topic filter, then by age; a cursor names the last queue of
 * its page by that order, so queues that come and go between two pages neither repeat nor hide others.
 * POST answers 200, as EMQX does. Source: REF 7.3.
 */
import Type, { type Static } from 'typebox';

import { QueueCreateBody, QueueObject, queueObject } from '../broker/queue-schema.js';
import type { QueueDefinition } from '../queue/definition.js';
import { answers, type App, operation, type RouteGroup } from './app.js';
import { cursorCharsMax, decodeCursor, encodeCursor } from './cursor.js';

const pageDefault = 100;
const pageMax = 10_000;

/** Query of a paged answer. */
const PageQuery = Type.Object({
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: pageMax, description: `Default ${pageDefault}.` }),
  ),
  cursor: Type.Optional(
    Type.String({ maxLength: cursorCharsMax, description: '`meta.cursor` of the page before.' }),
  ),
});

/** `meta` of a paged answer. */
export const PageMeta = Type.Object({
  hasnext: Type.Boolean(),
  cursor: Type.Optional(Type.String({ description: 'Opaque; only when `hasnext` is true.' })),
});

const QueuePage = Type.Object({ data: Type.Array(QueueObject), meta: PageMeta });
type QueuePage = Static<typeof QueuePage>;

/** Adds the routes at the path that the group is registered with. */
export async function queueCollection(app: App, group: RouteGroup): Promise<void> {
  app.route({
    method: 'GET',
    url: '',
    schema: {
      ...operation(group, 'listQueues'),
      summary: 'List queues',
      querystring: PageQuery,
      response: answers({ 200: QueuePage }, 503),
    },
    handler: async (request) =>
      pageOf(group.admin.queues(), request.query.cursor, request.query.limit ?? pageDefault),
  });

  app.route({
    method: 'POST',
    url: '',
    schema: {
      ...operation(group, 'createQueue'),
      summary: 'Create a queue',
      body: QueueCreateBody,
      response: answers({ 200: QueueObject }, 413, 415, 503),
    },
    handler: async (request) => queueObject(await group.admin.createQueue(request.body)),
  });
}

interface Place {
  readonly words: readonly string[];
  readonly id: number;
}

function pageOf(queues: readonly QueueDefinition[], cursor: string | undefined, limit: number): QueuePage {
  const after = cursor === undefined ? undefined : placeOf(...decodeCursor(cursor, isPlace));
  const ordered = queues
    .map((queue) => ({ queue, place: placeOf(queue.topicFilter, queue.id) }))
    .filter(({ place }) => after === undefined || compare(place, after) > 0)
    .toSorted((a, b) => compare(a.place, b.place));
  const page = ordered.slice(0, limit).map(({ queue }) => queue);
  const last = page.at(-1);
  const hasnext = ordered.length > page.length && last !== undefined;
  return {
    data: page.map((queue) => queueObject(queue)),
    meta: hasnext ? { hasnext, cursor: encodeCursor([last.topicFilter, last.id]) } : { hasnext: false },
  };
}

function placeOf(topicFilter: string, id: number): Place {
  return { words: topicFilter.split('/'), id };
}

function isPlace(value: unknown): value is [string, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    typeof value[0] === 'string' &&
    Number.isSafeInteger(value[1])
  );
}

/** By words, a filter before its continuations; then by id. */
function compare(a: Place, b: Place): number {
  for (const [index, word] of a.words.entries()) {
    const other = b.words[index];
    if (other === undefined) return 1;
    if (word !== other) return word < other ? -1 : 1;
  }
  return a.words.length === b.words.length ? a.id - b.id : -1;
}
