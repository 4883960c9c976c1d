/**
 * The files of the dashboard under `/dashboard/`, and the way there from `/`. Main thread.
 *
 * Always true: only files below the built folder are given, asked for without a key (they hold no secret, and the login page is
 * one of them); every answer forbids scripts, styles and connections of any other origin, and being shown in a frame.
 * Names of assets carry a hash, so they are cached for ever, and everything else is asked for again with its ETag. Without a
 * built dashboard the broker works all the same, and says so here.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

import fastifyStatic from '@fastify/static';

import type { App } from './app.js';
import { sendError } from './error.js';

/** Where the build puts the dashboard. */
const builtFolder = join(import.meta.dirname, '..', 'dashboard');

/** What a page of the dashboard may load and reach: its own origin, and the broker's WebSocket listeners on the same host. */
function contentSecurityPolicy(host: string): string {
  return [
    "default-src 'self'",
    `connect-src 'self' ${webSocketSources(host)}`.trimEnd(),
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The host that was asked, on any port: MQTT over WebSocket may listen on another one. Nothing for a host that is no name. */
function webSocketSources(host: string): string {
  const name = /^(\[[0-9a-f:.]+\]|[\w.-]+)(?::\d+)?$/i.exec(host)?.[1];
  return name === undefined ? '' : `ws://${name}:* wss://${name}:*`;
}

/** Adds the routes; `folder` is for tests. */
export async function dashboardFiles(
  app: App,
  { folder = builtFolder }: { readonly folder?: string },
): Promise<void> {
  const isBuilt = existsSync(folder);
  await app.register(fastifyStatic, {
    root: folder,
    serve: false,
    preCompressed: true,
    dotfiles: 'ignore',
    index: false,
    suppressWarning: true,
  });
  for (const url of ['/', '/dashboard']) {
    app.route({
      method: 'GET',
      url,
      config: { isPublic: true },
      schema: { hide: true },
      // Relative: a reverse proxy may have put all of this below a path of its own.
      handler: async (_request, reply) => await reply.redirect('dashboard/'),
    });
  }
  app.route({
    method: 'GET',
    url: '/dashboard/*',
    config: { isPublic: true },
    schema: { hide: true },
    handler: async (request, reply) => {
      if (!isBuilt) {
        const message = 'The dashboard was not built; run `npm run build`. The REST API is there: /api/v5';
        return sendError(reply, 'NOT_FOUND', message);
      }
      const path = (request.params as { '*': string })['*'];
      reply.headers({
        'content-security-policy': contentSecurityPolicy(request.headers.host ?? ''),
        'x-content-type-options': 'nosniff',
        'referrer-policy': 'no-referrer',
      });
      const isHashed = path.startsWith('assets/');
      return reply.sendFile(path === '' ? 'index.html' : path, {
        maxAge: isHashed ? '365d' : 0,
        immutable: isHashed,
        cacheControl: true,
      });
    },
  });
}
