/**
 * Whom the broker refuses: bans of client ids, user names and addresses. Main thread.
 *
 * Always true: a ban is in force, and on disk, when its request is answered; who is connected stays so unless `kick` is asked
 * for, as in EMQX. An address is stored as it was given, and compared as what it means. Source: `banned` of EMQX's API;
 * `kick` and networks as `peerhost` are additions, regular expressions are left out.
 */
import Type, { type Static } from 'typebox';

import { type Ban, banKinds, banTextCharsMax, parseNetwork } from '../auth/banned.js';
import { invalidField } from '../broker/operator-error.js';
import { stored } from './access.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';
import { sendError } from './error.js';
import { pageOf } from './numbered-page.js';
import { PagedAnswer, PagedQuery, pageRequest } from './page.js';
import { Moment, momentText, momentWords, readMoment } from './timestamp.js';

const textCharsMax = 256;
const As = Type.Enum([...banKinds]);
const Who = Type.String({ minLength: 1, maxLength: banTextCharsMax });

const BanObject = Type.Object({
  as: As,
  who: Type.String(),
  by: Type.String(),
  reason: Type.String(),
  at: Type.String(),
  until: Type.String({ description: 'RFC 3339, or infinity.' }),
});

const BanBody = Type.Object(
  {
    as: As,
    who: Who,
    by: Type.Optional(
      Type.String({ maxLength: textCharsMax, description: 'Default: who sends the request.' }),
    ),
    reason: Type.Optional(Type.String({ maxLength: textCharsMax })),
    at: Type.Optional(Moment),
    until: Type.Optional(Moment),
    kick: Type.Optional(Type.Boolean({ description: 'Disconnect whom it means. Default false.' })),
  },
  { additionalProperties: false },
);
const BanParams = Type.Object({ as: As, who: Type.String({ minLength: 1 }) });
const BanQuery = PagedQuery({
  as: Type.Optional(As),
  who: Type.Optional(Type.String({ maxLength: banTextCharsMax })),
});

/** Adds the routes at the path that the group is registered with. */
export async function banned(app: App, group: RouteGroup): Promise<void> {
  const { banned: admin, now } = group.access;

  app.route({
    method: 'GET',
    url: '',
    schema: {
      ...operation(group, 'listBanned'),
      summary: 'Bans in force, the newest first',
      querystring: BanQuery,
      response: answers({ 200: PagedAnswer(BanObject) }),
    },
    handler: async ({ query }) => {
      const found = admin.list
        .list(now())
        .filter(({ as, who }) => (query.as ?? as) === as && (query.who ?? who) === who);
      const { data, meta } = pageOf(found, pageRequest(query));
      return { data: data.map(banObject), meta };
    },
  });

  app.route({
    method: 'POST',
    url: '',
    schema: {
      ...operation(group, 'createBan'),
      summary: 'Ban a client id, a user name, an address or a network',
      description: 'Looked up at CONNECT, which is answered 0x8A, and 5 before MQTT 5.',
      body: BanBody,
      response: answers({ 200: BanObject }, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const ban = readBan(request.body, request.principal?.name ?? '', now());
      const outcome = await stored(admin.list.add(ban, now()));
      if (outcome === 'exists') return sendError(reply, 'ALREADY_EXISTS', 'Banned already exists');
      if (outcome === 'too-many') {
        return sendError(reply, 'EXCEED_LIMIT', 'There are as many bans as there may be');
      }
      if (request.body.kick === true) await admin.kick(ban);
      return banObject(ban);
    },
  });

  app.route({
    method: 'DELETE',
    url: '',
    schema: {
      ...operation(group, 'clearBanned'),
      summary: 'Lift all bans',
      response: answers({ 204: NoContent }, 503),
    },
    handler: async (_request, reply) => {
      await stored(admin.list.clear());
      return await reply.code(204).send(null);
    },
  });

  app.route({
    method: 'DELETE',
    url: '/:as/:who',
    schema: {
      ...operation(group, 'deleteBan'),
      summary: 'Lift a ban; a slash in it is written %2F',
      params: BanParams,
      response: answers({ 204: NoContent }, 404, 503),
    },
    handler: async (request, reply) => {
      const { as, who } = request.params;
      const outcome = await stored(admin.list.remove(as, who, now()));
      if (outcome === 'not-found') return sendError(reply, 'NOT_FOUND', 'Banned not found');
      return await reply.code(204).send(null);
    },
  });
}

function readBan(body: Static<typeof BanBody>, sender: string, nowMs: number): Ban {
  const { as, who, by = sender, reason = '' } = body;
  const network = as.startsWith('peerhost') ? parseNetwork(who) : undefined;
  if (as === 'peerhost' && network === undefined) {
    throw invalidField('who', 'must be an IP address, or a network such as 10.0.0.0/8', who);
  }
  if (as === 'peerhost_net' && (network === undefined || !who.includes('/'))) {
    throw invalidField('who', 'must be a network such as 10.0.0.0/8', who);
  }
  const atMs = body.at === undefined ? nowMs : readMoment(body.at);
  if (atMs === undefined || atMs === null) throw invalidField('at', 'must be a time', body.at);
  const untilMs = body.until === undefined ? null : readMoment(body.until);
  if (untilMs === undefined) throw invalidField('until', `must be ${momentWords}`, body.until);
  if (untilMs !== null && untilMs <= nowMs) throw invalidField('until', 'must be later than now', body.until);
  return { as, who, by, reason, atMs, untilMs };
}

function banObject({ as, who, by, reason, atMs, untilMs }: Ban) {
  return { as, who, by, reason, at: momentText(atMs), until: momentText(untilMs) };
}
