/**
 * Who is let in, decided by headers, method and path before a body is read. Main thread.
 *
 * Always true: a route is protected unless it says that it is public; who shows a token is judged by it alone. Without a file
 * of API keys a request may come without proof over loopback, with a loopback `Host`, which a web page that points its own name
 * at 127.0.0.1 (DNS rebinding) cannot have, and without the marks of a proxy. No page of another origin may change anything:
 * a browser sends such requests without asking. There are no cookies. Source: REF 7.5.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';

import { readAuthorization } from '../auth/api-key.js';
import type { LoginSession } from '../auth/login-token.js';
import { slot, slotOf } from '../telemetry/counter-layout.js';
import type { HttpAccess } from './access.js';
import { type RestErrorCode, sendError } from './error.js';
import { isAllowed, type Principal } from './permission.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** True for routes that answer without a key. */
    readonly isPublic?: boolean;
    /** True for the route that signs in. */
    readonly isLogin?: boolean;
    /** True for routes whose answers last; they end with the token that they were asked with. */
    readonly isStream?: boolean;
  }
  interface FastifyRequest {
    /** Undefined on public routes, and until the guard has decided. */
    principal: Principal | undefined;
    /** The token's session, when a token was shown. */
    loginSession: LoginSession | undefined;
    /** The account that somebody failed to sign in to. */
    triedAccount: string | undefined;
  }
}

/** What the client is told to offer; the realm is the one that clients of EMQX's API know. */
export const challenge = 'Basic Realm="emqx-dashboard"';
/** The same for scripts of a page: with the other one a browser would ask its user for a name and a password. */
const scriptChallenge = 'Bearer realm="sluice"';

interface Refusal {
  readonly code: RestErrorCode;
  readonly message: string;
}

type Identification =
  | { readonly principal: Principal; readonly session?: LoginSession; readonly isAmbient: boolean }
  | { readonly refusal: Refusal; readonly reason: 'missing' | 'token' | 'key' | 'blocked' };

const basicOnly = 'Support authorization: basic/bearer';
const otherSite = 'Requests from other web sites are refused';
/** Headers that decide something: a second one could make a proxy see another request than we do. */
const onceOnly = new Set([
  'host',
  'authorization',
  'origin',
  'content-type',
  'content-length',
  'x-request-id',
]);
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'] as const;

const local: Principal = {
  kind: 'local',
  name: 'local',
  role: 'administrator',
  scopes: undefined,
  namespace: undefined,
};

/** Gives the hook that runs before anything else of a request; it answers what it refuses. */
export function createGuard(access: HttpAccess) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> => {
    const refusal = decide(access, request, reply);
    if (refusal === undefined) return undefined;
    const { code, message } = refusal;
    if (code.startsWith('BAD_') || code.endsWith('ERROR') || code === 'TOKEN_TIME_OUT') {
      // A request that is malformed is not asked for a key.
      if (code !== 'BAD_REQUEST') reply.header('www-authenticate', challengeFor(request));
    }
    return sendError(reply, code, message);
  };
}

/** Why a request is refused, or undefined; notes who sent it. */
function decide(access: HttpAccess, request: FastifyRequest, reply: FastifyReply): Refusal | undefined {
  const twice = repeatedHeader(request.raw.rawHeaders);
  if (twice !== undefined) return { code: 'BAD_REQUEST', message: `The header ${twice} is there twice` };
  const found = identify(access, request);
  if ('principal' in found) return admit(access, request, reply, found);

  const isOpen = request.is404 || request.routeOptions.config.isPublic === true;
  if (access.letsLocalIn) {
    const fault = localFault(request);
    if (fault !== undefined) {
      access.counters.add(slotOf('restRefused', 'origin'), 1);
      // With a token that is over, the dashboard shall ask for a new one.
      return found.reason === 'token' ? found.refusal : { code: 'FORBIDDEN', message: fault };
    }
    if (isOpen) return undefined;
    if (found.reason !== 'token') {
      return admit(access, request, reply, { principal: local, isAmbient: true });
    }
  }
  // Unknown routes have nothing to protect, and a 404 helps whoever mistyped one.
  if (isOpen) return crossSiteFault(access, request, false);
  access.counters.add(slotOf('restRefused', found.reason === 'blocked' ? 'blocked' : 'credentials'), 1);
  if (found.reason === 'key') noteWrongKey(access, request);
  return found.refusal;
}

/** Checks what somebody may do who has proved who he is. */
function admit(
  access: HttpAccess,
  request: FastifyRequest,
  reply: FastifyReply,
  { principal, session, isAmbient }: Extract<Identification, { principal: Principal }>,
): Refusal | undefined {
  request.principal = principal;
  request.loginSession = session;
  const { config, url: route = '' } = request.routeOptions;
  const fault = crossSiteFault(access, request, isAmbient);
  if (fault !== undefined || request.is404 || config.isPublic === true) return fault;
  const { username } = (request.params ?? {}) as { username?: unknown };
  const wanted = {
    method: request.method,
    route,
    username: typeof username === 'string' ? username : undefined,
  };
  if (!isAllowed(principal, wanted)) {
    access.counters.add(slotOf('restRefused', 'role'), 1);
    const owner = principal.kind === 'api_key' ? 'This API key' : 'This account';
    return { code: 'UNAUTHORIZED_ROLE', message: `${owner} is not allowed to do that` };
  }
  if (session !== undefined && config.isStream === true) {
    reply.raw.once('close', access.tokens.hold(session, reply.raw, access.now));
  }
  return undefined;
}

function identify(access: HttpAccess, request: FastifyRequest): Identification {
  const nowMs = access.now();
  const given = readAuthorization(request.headers.authorization);
  if (given.scheme === 'bearer') {
    const answer = access.tokens.check(given.token, nowMs);
    const account = answer.outcome === 'accepted' ? access.accounts.get(answer.session.username) : undefined;
    if (answer.outcome === 'accepted' && account !== undefined) {
      const { username: name, role } = account;
      const principal = { kind: 'user', name, role, scopes: undefined, namespace: undefined } as const;
      return { principal, session: answer.session, isAmbient: false };
    }
    const refusal: Refusal =
      answer.outcome === 'expired'
        ? { code: 'TOKEN_TIME_OUT', message: 'Token expired, sign in again' }
        : { code: 'BAD_TOKEN', message: 'Unknown token, sign in again' };
    return { refusal, reason: 'token' };
  }
  if (given.scheme === 'basic') {
    const peer = request.socket.remoteAddress ?? '';
    if (access.keyFailures.isBlocked(peer, nowMs)) {
      const message = 'Too many wrong API keys from this address; wait a minute';
      return { refusal: { code: 'TOO_MANY_REQUESTS', message }, reason: 'blocked' };
    }
    const key =
      access.keys.find(given.key, given.secret, nowMs) ?? access.fileKeys.find(given.key, given.secret);
    if (key === undefined) {
      const refusal: Refusal = { code: 'BAD_API_KEY_OR_SECRET', message: 'Check api_key/api_secret' };
      return { refusal, reason: 'key' };
    }
    const { key: name, role, scopes, namespace } = key;
    return { principal: { kind: 'api_key', name, role, scopes, namespace }, isAmbient: true };
  }
  return { refusal: { code: 'AUTHORIZATION_HEADER_ERROR', message: basicOnly }, reason: 'missing' };
}

function noteWrongKey(access: HttpAccess, request: FastifyRequest): void {
  const address = request.socket.remoteAddress ?? '';
  if (access.keyFailures.add(address, access.now())) {
    access.counters.add(slot.loginLocks, 1);
    request.log.warn(
      { address },
      'too many wrong API keys: the address is refused for the rest of the minute',
    );
  }
}

function crossSiteFault(
  access: HttpAccess,
  request: FastifyRequest,
  isAmbient: boolean,
): Refusal | undefined {
  if (isReading(request) || !isFromOtherSite(request, isAmbient)) return undefined;
  access.counters.add(slotOf('restRefused', 'origin'), 1);
  return { code: 'FORBIDDEN', message: otherSite };
}

/** Why a request without proof is refused, or undefined. */
function localFault(request: FastifyRequest): string | undefined {
  if (!isLoopbackAddress(request.socket.remoteAddress ?? '')) {
    return 'No API keys are configured: only requests from this machine are answered';
  }
  const host = request.headers.host ?? '';
  if (!isLoopbackHost(host)) {
    return 'No API keys are configured: only requests to a loopback address are answered';
  }
  if (proxyHeaders.some((name) => request.headers[name] !== undefined)) {
    return 'No API keys are configured: requests that a proxy hands on are not answered';
  }
  return isFromOtherSite(request, true) && !isReading(request) ? otherSite : undefined;
}

/** `isAmbient`: the browser adds the proof by itself, or there is none, so the page itself has to be ours. */
function isFromOtherSite({ headers }: FastifyRequest, isAmbient: boolean): boolean {
  const site = headers['sec-fetch-site'];
  if (site === 'cross-site') return true;
  if (!isAmbient) return false;
  return site === 'same-site' || (headers.origin !== undefined && hostOf(headers.origin) !== headers.host);
}

/** True when the peer is on this machine and no proxy speaks for somebody else. */
export function isLocalPeer({ socket, headers }: FastifyRequest): boolean {
  return (
    isLoopbackAddress(socket.remoteAddress ?? '') &&
    isLoopbackHost(headers.host ?? '') &&
    !proxyHeaders.some((name) => headers[name] !== undefined)
  );
}

function challengeFor({ headers }: FastifyRequest): string {
  const mode = headers['sec-fetch-mode'];
  return mode === undefined || mode === 'navigate' ? challenge : scriptChallenge;
}

/** A header of `onceOnly` that is there more than once. */
function repeatedHeader(rawHeaders: readonly string[]): string | undefined {
  let seen: Set<string> | undefined;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!onceOnly.has(name)) continue;
    seen ??= new Set();
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return undefined;
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
