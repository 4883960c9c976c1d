/**
 * What holds for every request, whatever its route: id, audit, guard, and headers of the answer. Main thread.
 *
 * Always true: an answer carries the id of its request, and so does every log line about it; no answer of the API is stored by
 * a cache or guessed to be another type; a connection whose request was refused is not kept reading a body that nobody wants.
 * Gives up: ids of requests so broken that they have no headers.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';

import type { FastifyReply, FastifyRequest } from 'fastify';

import { slotOf } from '../telemetry/counter-layout.js';
import type { HttpAccess } from './access.js';
import type { App } from './app.js';
import { auditRequest } from './audit.js';
import { createGuard } from './guard.js';

/** Connections of all peers at the same time. */
export const CONNECTIONS_MAX = 1024;
/** Connections of one address: nobody alone can keep all others out. */
export const CONNECTIONS_PER_ADDRESS_MAX = 512;
/** An unread body of so many bytes is read to its end, so that the connection can go on. */
const unreadBytesMax = 64 * 1024;
const requestIdHeader = 'x-request-id';
const requestIdPattern = /^[A-Za-z0-9._-]{1,64}$/;

/** The id that a request came with, when it is one, else a new one. */
export function requestIdOf({ headers }: Pick<IncomingMessage, 'headers'>): string {
  const given = headers[requestIdHeader];
  return typeof given === 'string' && requestIdPattern.test(given)
    ? given
    : randomBytes(9).toString('base64url');
}

/** The headers of every answer, also of those that no hook sees. */
export function markAnswer(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.headers({ [requestIdHeader]: request.id, 'x-content-type-options': 'nosniff' });
}

/** Adds the hooks; before any route. */
export function protect(app: App, access: HttpAccess): void {
  app.decorateRequest('principal', undefined);
  app.decorateRequest('loginSession', undefined);
  app.decorateRequest('triedAccount', undefined);
  const guard = createGuard(access);
  app.addHook('onRequest', async (request, reply) => {
    markAnswer(request, reply);
    auditRequest(access.audit, access.now, request, reply);
    return await guard(request, reply);
  });
  app.addHook('onSend', async (request, reply) => {
    if (request.url.startsWith('/api/') && !reply.hasHeader('cache-control')) {
      reply.header('cache-control', 'no-store');
    }
    if (leavesBody(request)) reply.header('connection', 'close');
  });
}

/** Bounds the connections of a server, and counts those beyond. */
export function boundConnections(server: Server, { counters }: Pick<HttpAccess, 'counters'>): void {
  const byAddress = new Map<string, number>();
  // A connection whose offer of another protocol was ignored is announced again.
  const known = new WeakSet<object>();
  server.maxConnections = CONNECTIONS_MAX;
  server.on('drop', () => counters.add(slotOf('httpConnectionsRefused', 'limit'), 1));
  server.on('connection', (socket) => {
    if (known.has(socket)) return;
    known.add(socket);
    const address = socket.remoteAddress ?? '';
    const count = (byAddress.get(address) ?? 0) + 1;
    if (count > CONNECTIONS_PER_ADDRESS_MAX) {
      counters.add(slotOf('httpConnectionsRefused', 'address'), 1);
      socket.destroy();
      return;
    }
    byAddress.set(address, count);
    socket.once('close', () => {
      const left = (byAddress.get(address) ?? 1) - 1;
      if (left > 0) byAddress.set(address, left);
      else byAddress.delete(address);
    });
  });
}

/** True when the answer goes out before a body that is long, or of unknown length, has been read. */
function leavesBody({ raw, headers }: FastifyRequest): boolean {
  if (raw.readableEnded) return false;
  return (
    headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > unreadBytesMax
  );
}
