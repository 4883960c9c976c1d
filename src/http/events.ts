/**
 * The event stream: what the broker is doing, once a second, and every new warning. Main thread.
 *
 * Always true: the answer is `text/event-stream` and ends only when the listener, the server or its time ends it; whoever
 * goes on listening connects again. Asks for rights like every route that reads, so browsers use fetch with their token.
 */
import Type from 'typebox';

import { answers, type App, operation, type RouteGroup } from './app.js';
import { EventHub } from './event-hub.js';

const Stream = Type.Unsafe<string>({
  description:
    'Events `overview` and, for the queues that were asked for, `queues` once a second; `log` for every new warning or error. ' +
    'The data of each is JSON: figures of the broker, `{rows}` as in `/queues_overview`, an entry as in `/logs`.',
  content: { 'text/event-stream': { schema: Type.String() } },
});

const queuesMax = 1000;

/** Adds the route. */
export async function events(app: App, group: RouteGroup): Promise<void> {
  const hub = new EventHub(group.admin.overview, group.logging.recent, () => performance.now());
  app.addHook('preClose', async () => hub.close());

  app.route({
    method: 'GET',
    url: '/events',
    // A stream has no end that HEAD could wait for.
    exposeHeadRoute: false,
    config: { isStream: true },
    schema: {
      ...operation(group, 'streamEvents'),
      summary: 'What the broker is doing, as server-sent events',
      description: 'A stream ends after ten minutes at the latest; connect again to go on.',
      querystring: Type.Object({
        queues: Type.Optional(
          Type.String({
            description: `Names of queues, separated by commas, each percent-encoded once more; at most ${queuesMax}.`,
          }),
        ),
      }),
      response: answers({ 200: Stream }, 429),
    },
    handler: async (request, reply) => {
      hub.checkRoom();
      const { queues = '' } = request.query;
      const names = queues
        .split(',')
        .filter((name) => name !== '')
        .slice(0, queuesMax);
      reply.hijack();
      const { raw } = reply;
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) raw.setHeader(name, value);
      }
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      });
      raw.write(': listening\n\n');
      const remove = hub.add(raw, new Set(names.map((name) => decoded(name))));
      raw.on('close', remove);
      raw.on('error', remove);
    },
  });
}

/** A name may have commas, so each may be encoded on its own; one that was not is taken as it is. */
function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
