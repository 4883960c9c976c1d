/**
 * Who is let in: API keys when there are any, this machine alone when there are none. Main thread.
 *
 * Always true: a route is protected unless it says that it is public. Without keys, a request must come over loopback
 * and carry a loopback `Host`, which a web page that points its own name at 127.0.0.1 (DNS rebinding) cannot have;
 * and no page of another origin may change anything, because a browser sends such requests without asking.
 * Source: REF 7.5.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';

import { type ApiKeys, mayAccess } from '../auth/api-key.js';
import { type RestErrorCode, sendError } from './error.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for routes that answer without a key. */
    readonly isPublic?: boolean;
  }
}

/** What the client is told to offer; the realm is the one that clients of EMQX's API know. */
export const challenge = 'Basic Realm="emqx-dashboard"';

const refusals = {
  'header-missing': ['AUTHORIZATION_HEADER_ERROR', 'Support authorization: basic'],
  'header-malformed': ['AUTHORIZATION_HEADER_ERROR', 'Support authorization: basic'],
  'token-unknown': ['BAD_TOKEN', 'Unknown token; use an API key with basic authorization'],
  'credentials-wrong': ['BAD_API_KEY_OR_SECRET', 'Check api_key/api_secret'],
} as const satisfies Record<string, readonly [RestErrorCode, string]>;

/** Gives the hook that runs before anything else of a request; it answers what it refuses. */
export function createGuard(apiKeys: ApiKeys) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    if (!apiKeys.required) {
      const reason = localFault(request);
      return reason === undefined ? undefined : sendError(reply, 'FORBIDDEN', reason);
    }
    // Unknown routes have nothing to protect, and a 404 helps whoever mistyped one.
    if (request.is404 || request.routeOptions.config.isPublic === true) return undefined;
    const answer = apiKeys.authenticate(request.headers.authorization);
    if (answer.outcome !== 'accepted') {
      const [code, message] = refusals[answer.outcome];
      return sendError(reply.header('www-authenticate', challenge), code, message);
    }
    const isRead = isReading(request);
    if (!mayAccess(answer.key, isRead ? 'read' : 'write')) {
      return sendError(reply, 'UNAUTHORIZED_ROLE', 'This API key is not allowed to do that');
    }
    if (!isRead && request.headers['sec-fetch-site'] === 'cross-site') {
      return sendError(reply, 'FORBIDDEN', 'Requests from other web sites are refused');
    }
    return undefined;
  };
}

/** Why a request without keys is refused, or undefined. */
function localFault(request: FastifyRequest): string | undefined {
  if (!isLoopbackAddress(request.socket.remoteAddress ?? '')) {
    return 'No API keys are configured: only requests from this machine are answered';
  }
  const host = request.headers.host ?? '';
  if (!isLoopbackHost(host)) {
    return 'No API keys are configured: only requests to a loopback address are answered';
  }
  const { origin } = request.headers;
  const isForeign =
    request.headers['sec-fetch-site'] === 'cross-site' || (origin !== undefined && hostOf(origin) !== host);
  return isForeign && !isReading(request) ? 'Requests from other web sites are refused' : undefined;
}

function isReading(request: FastifyRequest): boolean {
  return request.method === 'GET' || request.method === 'HEAD';
}

/** True for 127.0.0.0/8 and ::1, also as an IPv4 address in IPv6 form. */
export function isLoopbackAddress(address: string): boolean {
  const plain = address.replace(/^::ffff:/i, '');
  return plain === '::1' || /^127(?:\.\d{1,3}){3}$/.test(plain);
}

/** True when a `Host` header names this machine: an address of loopback, or `localhost`, with any port. */
export function isLoopbackHost(host: string): boolean {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host) ?? [];
  const name = (bracketed ?? plain ?? '').toLowerCase();
  return name === 'localhost' || isLoopbackAddress(name);
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
