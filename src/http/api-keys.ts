/**
 * API keys that are made while the broker runs. Main thread.
 *
 * Always true: the secret is in the answer to POST and in no other. Keys of the bootstrap file are not shown here: they are
 * changed in the file. Source: `api_key` of EMQX's API.
 */
import Type from 'typebox';

import { apiRoles } from '../auth/api-key.js';
import {
  apiKeyNameCharsMax,
  apiKeyNamePattern,
  isExpired,
  type StoredApiKey,
} from '../auth/api-key-store.js';
import { invalidField } from '../broker/operator-error.js';
import { stored } from './access.js';
import { answers, type App, NoContent, operation, type RouteGroup } from './app.js';
import { sendError } from './error.js';
import { Moment, momentText, momentWords, readMoment } from './timestamp.js';

const descriptionCharsMax = 256;

const KeyFields = {
  name: Type.String(),
  api_key: Type.String(),
  role: Type.Enum([...apiRoles]),
  desc: Type.String(),
  enable: Type.Boolean(),
  expired: Type.Boolean(),
  expired_at: Type.String({ description: 'RFC 3339, or infinity.' }),
  created_at: Type.String(),
};
const Key = Type.Object(KeyFields);
const NewKey = Type.Object({ ...KeyFields, api_secret: Type.String({ description: 'Shown this once.' }) });

const changeable = {
  role: Type.Optional(Type.Enum([...apiRoles])),
  desc: Type.Optional(Type.String({ maxLength: descriptionCharsMax })),
  enable: Type.Optional(Type.Boolean()),
  expired_at: Type.Optional(Moment),
};
const CreateBody = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: apiKeyNameCharsMax, pattern: apiKeyNamePattern }),
    ...changeable,
  },
  { additionalProperties: false },
);
const ChangeBody = Type.Object(changeable, { additionalProperties: false });
const KeyParams = Type.Object({ name: Type.String({ minLength: 1 }) });

/** Adds the routes at the path that the group is registered with. */
export async function apiKeys(app: App, group: RouteGroup): Promise<void> {
  const { keys, now } = group.access;
  const shown = (key: StoredApiKey) => keyObject(key, now());

  app.route({
    method: 'GET',
    url: '',
    schema: {
      ...operation(group, 'listApiKeys'),
      summary: 'API keys that were made here',
      response: answers({ 200: Type.Array(Key) }),
    },
    handler: async () => keys.list().map(shown),
  });

  app.route({
    method: 'POST',
    url: '',
    schema: {
      ...operation(group, 'createApiKey'),
      summary: 'Make an API key',
      description:
        'Without a role it is an administrator, as in the bootstrap file; without a time it does not expire.',
      body: CreateBody,
      response: answers({ 200: NewKey }, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const { name, role = 'administrator', desc = '', enable = true, expired_at: until } = request.body;
      reply.header('cache-control', 'no-store');
      const wanted = { name, role, description: desc, enabled: enable, expiresAtMs: expiryOf(until) ?? null };
      const made = await stored(keys.create(wanted, now()));
      if (made === 'exists') return sendError(reply, 'ALREADY_EXISTS', 'API key already exists');
      if (made === 'too-many') {
        return sendError(reply, 'EXCEED_LIMIT', 'There are as many API keys as there may be');
      }
      return { ...shown(made.key), api_secret: made.secret };
    },
  });

  app.route({
    method: 'GET',
    url: '/:name',
    schema: {
      ...operation(group, 'getApiKey'),
      summary: 'Read an API key; its secret is not shown again',
      params: KeyParams,
      response: answers({ 200: Key }, 404),
    },
    handler: async (request, reply) => {
      const key = keys.get(request.params.name);
      return key === undefined ? sendError(reply, 'NOT_FOUND', 'API key not found') : shown(key);
    },
  });

  app.route({
    method: 'PUT',
    url: '/:name',
    schema: {
      ...operation(group, 'updateApiKey'),
      summary: 'Change an API key; what is left out stays',
      params: KeyParams,
      body: ChangeBody,
      response: answers({ 200: Key }, 404, 413, 415, 503),
    },
    handler: async (request, reply) => {
      const { role, desc, enable, expired_at: until } = request.body;
      const expiresAtMs = expiryOf(until);
      const { name } = request.params;
      await stored(
        keys.change(name, {
          ...(role !== undefined && { role }),
          ...(desc !== undefined && { description: desc }),
          ...(enable !== undefined && { enabled: enable }),
          ...(expiresAtMs !== undefined && { expiresAtMs }),
        }),
      );
      const key = keys.get(name);
      return key === undefined ? sendError(reply, 'NOT_FOUND', 'API key not found') : shown(key);
    },
  });

  app.route({
    method: 'DELETE',
    url: '/:name',
    schema: {
      ...operation(group, 'deleteApiKey'),
      summary: 'Remove an API key',
      params: KeyParams,
      response: answers({ 204: NoContent }, 404, 503),
    },
    handler: async (request, reply) => {
      const outcome = await stored(keys.remove(request.params.name));
      if (outcome === 'not-found') return sendError(reply, 'NOT_FOUND', 'API key not found');
      return await reply.code(204).send(null);
    },
  });
}

function expiryOf(given: string | number | undefined): number | null | undefined {
  if (given === undefined) return undefined;
  const ms = readMoment(given);
  if (ms === undefined) throw invalidField('expired_at', `must be ${momentWords}`, given);
  return ms;
}

function keyObject(key: StoredApiKey, nowMs: number) {
  return {
    name: key.name,
    api_key: key.key,
    role: key.role,
    desc: key.description,
    enable: key.enabled,
    expired: isExpired(key, nowMs),
    expired_at: momentText(key.expiresAtMs),
    created_at: momentText(key.createdAtMs),
  };
}
