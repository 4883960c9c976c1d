/**
 * Retained messages: list, read, delete. Main thread.
 *
 * Always true: paths and names are EMQX's; a message is deleted when the answer says so, also for the next start, and
 * subscribers are told nothing. Payloads come in base64, as in EMQX. Gives up: who published it and when, which is not
 * stored.
 */
import Type, { type Static } from 'typebox';

import type { RetainedView } from '../broker/retained-admin.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';
import { MessageProperties, propertiesOf } from './message-view.js';
import { PagedAnswer, PagedQuery, pageRequest, sendPage } from './page.js';

const retainedFields = {
  topic: Type.String({ examples: ['devices/1/state'] }),
  qos: Type.Integer({ minimum: 0, maximum: 2 }),
  payload_size: Type.Integer({ minimum: 0, description: 'Bytes.' }),
  message_expiry_interval: Type.Optional(Type.Integer({ description: 'Remaining life, s.' })),
};
const RetainedObject = Type.Object(retainedFields);
const RetainedContent = Type.Object({
  ...retainedFields,
  properties: MessageProperties,
  payload: Type.String({ description: 'Base64.', examples: ['b24='] }),
});

const TopicParams = Type.Object({ topic: Type.String({ description: 'Percent-encoded topic.' }) });

/** Adds the routes. */
export async function retained(app: App, group: RouteGroup): Promise<void> {
  const { retained: admin, walks } = group.admin;

  app.route({
    method: 'GET',
    url: '/mqtt/retainer/messages',
    schema: {
      ...operation(group, 'listRetained'),
      summary: 'Retained messages, in the order of their topics',
      querystring: PagedQuery({
        topic: Type.Optional(
          Type.String({ description: 'A topic, or a filter that matches several. Default `#`.' }),
        ),
      }),
      response: answers({ 200: PagedAnswer(RetainedObject) }),
    },
    handler: async ({ query }, reply) => {
      const request = pageRequest(query);
      const page = await admin.page(query.topic, request);
      return await sendPage(reply, walks, page, request, retainedObject);
    },
  });

  app.route({
    method: 'DELETE',
    url: '/mqtt/retainer/messages',
    schema: {
      ...operation(group, 'deleteAllRetained'),
      summary: 'Delete all retained messages but those whose topic begins with $',
      response: answers({ 204: NoContent }),
    },
    handler: async (_request, reply) => {
      await admin.deleteAll();
      return await reply.code(204).send(null);
    },
  });

  app.route({
    method: 'GET',
    url: '/mqtt/retainer/message/:topic',
    schema: {
      ...operation(group, 'getRetained'),
      summary: 'Read a retained message',
      params: TopicParams,
      response: answers({ 200: RetainedContent }, 404),
    },
    handler: async ({ params }) => {
      const message = admin.get(params.topic);
      return {
        ...retainedObject(message),
        properties: propertiesOf(message.properties),
        payload: Buffer.from(message.payload).toString('base64'),
      };
    },
  });

  app.route({
    method: 'DELETE',
    url: '/mqtt/retainer/message/:topic',
    schema: {
      ...operation(group, 'deleteRetained'),
      summary: 'Delete a retained message',
      params: TopicParams,
      response: answers({ 204: NoContent }, 404),
    },
    handler: async ({ params }, reply) => {
      await admin.delete(params.topic);
      return await reply.code(204).send(null);
    },
  });
}

function retainedObject(view: RetainedView): Static<typeof RetainedObject> {
  const { messageExpiryInterval } = view;
  return {
    topic: view.topicName,
    qos: view.qos,
    payload_size: view.payloadBytes,
    ...(messageExpiryInterval !== undefined && { message_expiry_interval: messageExpiryInterval }),
  };
}
