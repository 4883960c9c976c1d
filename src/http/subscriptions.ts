/**
 * Subscriptions of all clients and of one, and the topic filters that messages are routed by. Main thread.
 *
 * Always true: `topic` is the text that the client subscribed to, with `$share/…`, `$q/…` or `$queue/…`; flags are 0 and 1
 * as in EMQX. What is made here is bound by the client's rights. Gives up: Retain Handling of a subscription, which the
 * broker needs once and does not keep.
 */
import Type, { type Static } from 'typebox';

import type { SubscriptionView } from '../broker/subscription-admin.js';
import { answers, type App, NoContent, nodeName, operation, type RouteGroup } from './app.js';
import { ClientParams } from './clients.js';
import { PagedAnswer, PagedQuery, pageRequest, sendPage } from './page.js';

const qos = Type.Integer({ minimum: 0, maximum: 2 });
const bit = (description: string) => Type.Integer({ minimum: 0, maximum: 1, description });

const SubscriptionObject = Type.Object({
  clientid: Type.String({ examples: ['worker-1'] }),
  topic: Type.String({ examples: ['$q/jobs/#'] }),
  qos,
  nl: bit('No Local.'),
  rap: bit('Retain As Published.'),
  sub_id: Type.Optional(Type.Integer({ description: 'Subscription Identifier.' })),
  durable: Type.Boolean({ description: 'It survives a restart of the broker.' }),
  queue_state: Type.Optional(
    Type.Enum(['idle', 'waiting', 'attached'], {
      description:
        'Of a subscription to a queue: its client is away, its queue does not exist, or it consumes.',
    }),
  ),
  node: Type.String(),
});
type SubscriptionObject = Static<typeof SubscriptionObject>;

const SubscriptionQuery = PagedQuery({
  clientid: Type.Optional(Type.String()),
  topic: Type.Optional(Type.String({ description: 'Exactly this text.' })),
  match_topic: Type.Optional(
    Type.String({
      description: 'A topic filter that covers those of the subscriptions, or a topic that they would get.',
    }),
  ),
  qos: Type.Optional(qos),
  share_group: Type.Optional(Type.String({ description: 'The name in `$share/<name>/…`.' })),
});

const SubscribeBody = Type.Object(
  {
    topic: Type.String({ minLength: 1, examples: ['jobs/#'] }),
    qos: Type.Optional(Type.Integer({ minimum: 0, maximum: 2, description: 'Default 0.' })),
    nl: Type.Optional(bit('No Local.')),
    rap: Type.Optional(bit('Retain As Published.')),
    rh: Type.Optional(Type.Integer({ minimum: 0, maximum: 2, description: 'Retain Handling.' })),
  },
  { additionalProperties: false },
);

const UnsubscribeBody = Type.Object(
  { topic: Type.String({ minLength: 1, examples: ['jobs/#'] }) },
  { additionalProperties: false },
);

const TopicObject = Type.Object({
  topic: Type.String({ examples: ['jobs/#'] }),
  node: Type.String(),
  subscribers: Type.Integer({ minimum: 0 }),
  share_groups: Type.Integer({ minimum: 0 }),
  queues: Type.Integer({ minimum: 0 }),
});

/** Adds the routes. */
export async function subscriptions(app: App, group: RouteGroup): Promise<void> {
  const { clients, subscriptions: admin, walks } = group.admin;

  app.route({
    method: 'GET',
    url: '/subscriptions',
    schema: {
      ...operation(group, 'listSubscriptions'),
      summary: 'Subscriptions of all clients',
      querystring: SubscriptionQuery,
      response: answers({ 200: PagedAnswer(SubscriptionObject) }),
    },
    handler: async ({ query }, reply) => {
      const request = pageRequest(query);
      const { clientid, topic, match_topic, qos: level, share_group } = query;
      const filter = {
        clientId: clientid,
        topicFilter: topic,
        matchTopic: match_topic,
        qos: level,
        shareName: share_group,
      };
      return await sendPage(reply, walks, await admin.page(filter, request), request, subscriptionObject);
    },
  });

  app.route({
    method: 'GET',
    url: '/topics',
    schema: {
      ...operation(group, 'listTopics'),
      summary: 'Topic filters that messages are routed by',
      querystring: PagedQuery({ topic: Type.Optional(Type.String({ description: 'Exactly this text.' })) }),
      response: answers({ 200: PagedAnswer(TopicObject) }),
    },
    handler: async ({ query }, reply) => {
      const request = pageRequest(query);
      const page = await admin.topics(query.topic, request);
      return await sendPage(
        reply,
        walks,
        page,
        request,
        ({ topicFilter, subscribers, shareGroups, queues }) => ({
          topic: topicFilter,
          node: nodeName,
          subscribers,
          share_groups: shareGroups,
          queues,
        }),
      );
    },
  });

  app.route({
    method: 'GET',
    url: '/clients/:clientid/subscriptions',
    schema: {
      ...operation(group, 'listClientSubscriptions'),
      summary: 'Subscriptions of a client',
      params: ClientParams,
      response: answers({ 200: Type.Array(SubscriptionObject) }, 404),
    },
    handler: async ({ params }) =>
      clients.subscriptions(params.clientid).map((view) => subscriptionObject(view)),
  });

  app.route({
    method: 'POST',
    url: '/clients/:clientid/subscribe',
    schema: {
      ...operation(group, 'subscribeClient'),
      summary: 'Subscribe for a connected client',
      description: 'As if the client had; its rights and limits apply, and it gets what is retained.',
      params: ClientParams,
      body: SubscribeBody,
      response: answers({ 200: SubscriptionObject }, 404, 413, 415, 503),
    },
    handler: async ({ params, body }) => {
      const made = await clients.subscribe(params.clientid, {
        topicFilter: body.topic,
        qos: body.qos ?? 0,
        noLocal: body.nl === 1,
        retainAsPublished: body.rap === 1,
        retainHandling: body.rh ?? 0,
      });
      return subscriptionObject(made);
    },
  });

  app.route({
    method: 'POST',
    url: '/clients/:clientid/unsubscribe',
    schema: {
      ...operation(group, 'unsubscribeClient'),
      summary: 'End a subscription of a client',
      description: 'Harmless when it has none with this topic.',
      params: ClientParams,
      body: UnsubscribeBody,
      response: answers({ 204: NoContent }, 404, 413, 415, 503),
    },
    handler: async ({ params, body }, reply) => {
      await clients.unsubscribe(params.clientid, body.topic);
      return await reply.code(204).send(null);
    },
  });
}

function subscriptionObject(view: SubscriptionView): SubscriptionObject {
  const { options, queueState } = view;
  return {
    clientid: view.clientId,
    topic: view.topicFilter,
    qos: options.qos,
    nl: Number(options.noLocal),
    rap: Number(options.retainAsPublished),
    ...(options.subscriptionIdentifier > 0 && { sub_id: options.subscriptionIdentifier }),
    durable: view.isDurable,
    ...(queueState !== undefined && { queue_state: queueState }),
    node: nodeName,
  };
}
