/**
 * Trying out a key expression or a topic filter before a queue is made of it. Main thread.
 *
 * Always true: nothing is stored or published; a wrong expression or filter is an answer with `ok: false`, not a failed
 * request. Bounded: expressions and topics as for queues, a payload as long as a body.
 */
import Type from 'typebox';

import { checkKeyExpression, checkTopicFilter } from '../broker/expression-check.js';
import { sourceCharsMax } from '../queue/key-expression/parser.js';
import { answers, type App, operation, type RouteGroup } from './app.js';
import { storedProperties, UserProperties } from './publish-properties.js';

const KeyCheckBody = Type.Object(
  {
    expression: Type.String({ maxLength: sourceCharsMax, examples: ['message.topic'] }),
    message: Type.Object(
      {
        topic: Type.Optional(Type.String({ examples: ['devices/1'] })),
        clientid: Type.Optional(Type.String()),
        username: Type.Optional(Type.Union([Type.String(), Type.Null()])),
        qos: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 })),
        retain: Type.Optional(Type.Boolean()),
        payload: Type.Optional(Type.String({ description: 'UTF-8.' })),
        user_properties: Type.Optional(UserProperties),
      },
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);

const KeyCheckAnswer = Type.Object({
  ok: Type.Boolean(),
  key: Type.Optional(Type.String({ description: 'Key of the message.' })),
  error: Type.Optional(
    Type.Object({
      message: Type.String(),
      position: Type.Optional(
        Type.Integer({ description: 'Of the offending character; not there when the message is at fault.' }),
      ),
    }),
  ),
});

const FilterCheckBody = Type.Object(
  {
    filter: Type.String({ maxLength: 65_535, examples: ['jobs/#'] }),
    topics: Type.Optional(Type.Array(Type.String({ maxLength: 65_535 }), { maxItems: 1000 })),
  },
  { additionalProperties: false },
);

const FilterCheckAnswer = Type.Object({
  ok: Type.Boolean(),
  matches: Type.Optional(Type.Array(Type.String(), { description: 'Those of `topics` that match.' })),
  error: Type.Optional(Type.Object({ message: Type.String() })),
});

/** Adds the routes. */
export async function checks(app: App, group: RouteGroup): Promise<void> {
  app.route({
    method: 'POST',
    url: '/key_expression/check',
    schema: {
      ...operation(group, 'checkKeyExpression'),
      summary: 'Key of a sample message',
      body: KeyCheckBody,
      response: answers({ 200: KeyCheckAnswer }, 413, 415),
    },
    handler: async ({ body: { expression, message } }) => {
      const { topic = '', clientid = '', username, qos = 0, retain = false, payload = '' } = message;
      const { user_properties } = message;
      const { properties } = storedProperties(
        user_properties === undefined ? {} : { user_properties },
        'message.',
      );
      const check = checkKeyExpression(expression, {
        topic,
        clientId: clientid,
        username: username ?? undefined,
        qos,
        retain,
        payload: Buffer.from(payload),
        properties,
      });
      if (check.ok) return check;
      const { position } = check;
      return {
        ok: false,
        error: { message: check.message, ...(position !== undefined && { position }) },
      };
    },
  });

  app.route({
    method: 'POST',
    url: '/topic_filter/check',
    schema: {
      ...operation(group, 'checkTopicFilter'),
      summary: 'Topics that a queue with this filter would store',
      body: FilterCheckBody,
      response: answers({ 200: FilterCheckAnswer }, 413, 415),
    },
    handler: async ({ body: { filter, topics = [] } }) => {
      const check = checkTopicFilter(filter, topics);
      return check.ok
        ? { ok: true, matches: [...check.matches] }
        : { ok: false, error: { message: check.message } };
    },
  });
}
