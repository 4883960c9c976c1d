/**
 * The OpenAPI document, and a page to read it and to try it. Main thread.
 *
 * Always true: both are answered without a key, because they hold nothing but what is public; the page is served from the
 * package alone, loads nothing from elsewhere, and may not be shown in a frame. Requests that it sends need a key or a token
 * like all others. Source: OpenAPI 3.1; the paths are EMQX's.
 */
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';

import type { App } from './app.js';

const page = '/api-docs';

/** Groups of the document, in its order. */
const tags = [
  { name: 'Queues', description: 'Durable queues: create, change, look inside, empty, pause.' },
  { name: 'Queue configuration', description: 'Settings of the queue system.' },
  { name: 'Clients', description: 'Clients, their sessions and subscriptions.' },
  { name: 'Messages', description: 'Publishing, and retained messages.' },
  { name: 'Access', description: 'Accounts, tokens, API keys, bans, and who did what.' },
  { name: 'Operation', description: 'Health, figures, logs, settings, shards, backups.' },
  { name: 'Queues (short paths)', description: 'The same as Queues.' },
];

/** Adds what gathers the routes that are added later. */
export async function openApi(app: App, version: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sluice',
        version,
        description:
          'MQTT broker with durable message queues. Every error has the body `{"code","message"}`. Without API keys, requests ' +
          'from this machine need no proof.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'The broker that answers this document.' }],
      tags,
      components: {
        securitySchemes: {
          apiKey: { type: 'http', scheme: 'basic', description: 'API key as user, its secret as password.' },
          token: { type: 'http', scheme: 'bearer', description: 'Token of `POST /api/v5/login`.' },
        },
      },
      security: [{ apiKey: [] }, { token: [] }],
    },
  });
}

/** Adds the routes of the document; `url` is its place in the API. */
export async function documentRoutes(app: App, { url }: { readonly url: string }): Promise<void> {
  for (const each of [url, `${page}/swagger.json`]) {
    app.route({
      method: 'GET',
      url: each,
      config: { isPublic: true },
      schema: { hide: true },
      handler: async () => app.swagger(),
    });
  }
}

/** Adds the page. */
export async function documentPage(app: App): Promise<void> {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, isPublic: true };
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
  });
  await app.register(swaggerUi, {
    routePrefix: page,
    staticCSP: {
      'default-src': "'self'",
      'img-src': ["'self'", 'data:'],
      'object-src': "'none'",
      'base-uri': "'none'",
      'form-action': "'self'",
      'frame-ancestors': "'none'",
    },
    // Without the bar that shows somebody else's logo.
    uiConfig: {
      layout: 'BaseLayout',
      docExpansion: 'none',
      tryItOutEnabled: true,
      displayRequestDuration: true,
      validatorUrl: null,
    },
    theme: { title: 'Sluice REST API' },
  });
}
