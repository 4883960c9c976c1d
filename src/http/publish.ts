/**
 * Publishing by REST: one message or many. Main thread.
 *
 * Always true: an answer with an id comes when every matching queue has the message; 202 says that nobody subscribes to its
 * topic, as in EMQX. Messages of one request are published in their order. A malformed one refuses the whole request before
 * anything is published. Source: EMQX's `/publish`; user properties may also be a list, which keeps order and repeats.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

import Type, { type Static } from 'typebox';

import { invalidField, OperatorError } from '../broker/operator-error.js';
import type { PublishOutcome, PublishWish } from '../broker/publish-admin.js';
import { answers, type App, operation, type RouteGroup } from './app.js';
import { ErrorBody } from './error.js';
import { storedProperties, PublishProperties } from './publish-properties.js';

const PublishBody = Type.Object(
  {
    topic: Type.String({ minLength: 1, examples: ['jobs/1'] }),
    payload: Type.String({ examples: ['hello'] }),
    payload_encoding: Type.Optional(Type.Enum(['plain', 'base64'], { description: 'Default plain: UTF-8.' })),
    qos: Type.Optional(Type.Integer({ minimum: 0, maximum: 2, description: 'Default 0.' })),
    retain: Type.Optional(Type.Boolean({ description: 'Default false.' })),
    clientid: Type.Optional(
      Type.String({ maxLength: 1024, description: 'Whom the message is from; default `http_api`.' }),
    ),
    properties: Type.Optional(PublishProperties),
  },
  { additionalProperties: false },
);
type PublishBody = Static<typeof PublishBody>;

const Published = Type.Object({ id: Type.String({ examples: ['0005F1A2B3C4D5E6F443000022B80000'] }) });
const NotDelivered = Type.Object({
  reason_code: Type.Integer({ description: 'Of MQTT 5.' }),
  message: Type.String(),
});

const noSubscribers = { reason_code: 0x10, message: 'no_matching_subscribers' };
const bulkMax = 10_000;
const defaultClientId = 'http_api';

/** Adds the routes. */
export async function publish(app: App, group: RouteGroup): Promise<void> {
  const { publishing } = group.admin;

  app.route({
    method: 'POST',
    url: '/publish',
    schema: {
      ...operation(group, 'publish'),
      summary: 'Publish a message',
      description:
        'It goes to subscribers, queues and the retained messages like one of a client; the ACL does not apply.',
      body: PublishBody,
      response: answers({ 200: Published, 202: NotDelivered }, 413, 415, 429, 503),
    },
    handler: async (request, reply) => {
      const wish = wishOf(request.body, '');
      publishing.check(wish);
      const outcome = await publishing.publish(wish, peernameOf(request.socket));
      return outcome === 'published'
        ? await reply.send({ id: newId() })
        : await reply.code(202).send(noSubscribers);
    },
  });

  app.route({
    method: 'POST',
    url: '/publish/bulk',
    schema: {
      ...operation(group, 'publishBulk'),
      summary: 'Publish many messages, in their order',
      description: 'An entry per message. 202: some have no subscribers. 503: some were not stored.',
      body: Type.Array(PublishBody, { maxItems: bulkMax }),
      response: {
        ...answers(
          { 200: Type.Array(Published), 202: Type.Array(Type.Union([Published, NotDelivered])) },
          413,
          415,
        ),
        503: Type.Intersect([
          ErrorBody,
          Type.Object({ results: Type.Optional(Type.Array(Type.Union([Published, NotDelivered]))) }),
        ]),
      },
    },
    handler: async (request, reply) => {
      const wishes = request.body.map((body, index) => {
        const wish = wishOf(body, `${index}.`);
        publishing.check(wish, `${index}.`);
        return wish;
      });
      const peername = peernameOf(request.socket);
      const ends = await Promise.allSettled(wishes.map((wish) => publishing.publish(wish, peername)));
      const results = ends.map((end) => resultOf(end));
      if (ends.some(({ status }) => status === 'rejected')) {
        const message = 'Some messages were not stored by every queue';
        return await reply.code(503).send({ code: 'SERVICE_UNAVAILABLE', message, results });
      }
      const isWhole = ends.every((end) => end.status === 'fulfilled' && end.value === 'published');
      return await reply.code(isWhole ? 200 : 202).send(results);
    },
  });
}

function wishOf(body: PublishBody, path: string): PublishWish {
  const { topic, payload, payload_encoding: encoding, qos = 0, retain = false, properties = {} } = body;
  const { clientid = defaultClientId } = body;
  if (/[\0-\x1f\x7f]|\p{Surrogate}/u.test(clientid)) throw invalidField(`${path}clientid`, 'is no client id');
  return {
    topic,
    payload: encoding === 'base64' ? fromBase64(payload, `${path}payload`) : Buffer.from(payload),
    qos,
    retain,
    clientId: clientid,
    ...storedProperties(properties, `${path}properties.`),
  };
}

function fromBase64(text: string, path: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  const isWhole = bytes.toString('base64').replaceAll('=', '') === text.replaceAll('=', '');
  if (!isWhole) throw invalidField(path, 'is not base64');
  return bytes;
}

function resultOf(
  end: PromiseSettledResult<PublishOutcome>,
): Static<typeof Published> | Static<typeof NotDelivered> {
  if (end.status === 'fulfilled') return end.value === 'published' ? { id: newId() } : noSubscribers;
  const reason: unknown = end.reason;
  if (!(reason instanceof OperatorError)) throw reason;
  return { reason_code: reason.code === 'QUOTA_EXCEEDED' ? 0x97 : 0x80, message: reason.message };
}

function newId(): string {
  return randomBytes(16).toString('hex').toUpperCase();
}

function peernameOf({
  remoteAddress = '',
  remotePort = 0,
}: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
