/**
 * Who changed what by REST, and who tried to sign in: one log line each, and the last ones in memory. Main thread.
 *
 * Always true: every request that may change something is noted when its answer is out or its client is gone, with who,
 * from where, what, how it went and the request's id; never a body, a query or a secret. What strangers do cannot push out what
 * members of the house did: both have `AUDIT_ENTRIES_MAX` places of their own, and lines of strangers are bounded per minute.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type, { type Static } from 'typebox';

import { answers, type App, operation, type RouteGroup } from './app.js';
import { pageOf } from './numbered-page.js';
import { PagedAnswer, PagedQuery, pageRequest } from './page.js';
import { isReading } from './permission.js';

/** Entries that are kept, of members and of strangers each. */
export const AUDIT_ENTRIES_MAX = 1000;
const strangerLinesPerMinuteMax = 120;
const pathCharsMax = 512;
const minuteMs = 60_000;

/** How it went: done, refused by a rule, failed, or unknown because the client left first. */
const outcomes = ['done', 'refused', 'failed', 'gone'] as const;

const AuditEntry = Type.Object({
  time_ms: Type.Integer({ description: 'Unix time.' }),
  who: Type.String({ description: 'Account or API key; empty when nobody has proved who it was.' }),
  kind: Type.Enum(['user', 'api_key', 'local', 'none']),
  account: Type.Optional(
    Type.String({
      description: 'Account that somebody failed to sign in to, where there is one of that name.',
    }),
  ),
  from: Type.String({ description: 'Address of the peer.' }),
  action: Type.Enum(['login', 'change']),
  method: Type.String(),
  path: Type.String({ description: 'Without its query.' }),
  status: Type.Integer({ description: 'Status of the answer; 0 when the client left before it.' }),
  outcome: Type.Enum([...outcomes]),
  request_id: Type.String(),
});
/** One entry. */
export type AuditEntry = Static<typeof AuditEntry>;

/** Where the lines go. */
export interface AuditLogger {
  info(fields: object, message: string): void;
}

/** See the file header. */
export class AuditLog {
  readonly #logger: AuditLogger;
  readonly #members: AuditEntry[] = [];
  readonly #strangers: AuditEntry[] = [];
  #minute = 0;
  #linesOfMinute = 0;
  #leftOut = 0;

  constructor(logger: AuditLogger) {
    this.#logger = logger;
  }

  /** Notes one entry. */
  note(entry: AuditEntry): void {
    const isStranger = entry.kind === 'none';
    const ring = isStranger ? this.#strangers : this.#members;
    ring.push(entry);
    if (ring.length > AUDIT_ENTRIES_MAX) ring.shift();
    if (isStranger && !this.#mayWrite(entry.time_ms)) return;
    const leftOut = isStranger && this.#leftOut > 0 ? { left_out: this.#leftOut } : {};
    if (isStranger) this.#leftOut = 0;
    const { time_ms: _time, action, ...fields } = entry;
    this.#logger.info({ ...fields, ...leftOut }, action);
  }

  /** All entries, the newest first. */
  entries(): AuditEntry[] {
    return [...this.#members, ...this.#strangers].toSorted((a, b) => b.time_ms - a.time_ms);
  }

  #mayWrite(nowMs: number): boolean {
    const minute = Math.floor(nowMs / minuteMs);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#linesOfMinute = 0;
    }
    if (this.#linesOfMinute >= strangerLinesPerMinuteMax) {
      this.#leftOut += 1;
      return false;
    }
    this.#linesOfMinute += 1;
    return true;
  }
}

/** Has the end of a request noted. Call it before the request is decided. */
export function auditRequest(
  log: AuditLog,
  now: () => number,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  if (request.is404 || isReading(request.method, request.routeOptions.url ?? '')) return;
  let isNoted = false;
  const note = (): void => {
    if (isNoted) return;
    isNoted = true;
    log.note(entryOf(request, reply, now()));
  };
  reply.raw.once('finish', note);
  reply.raw.once('close', note);
}

function entryOf(request: FastifyRequest, reply: FastifyReply, nowMs: number): AuditEntry {
  const { principal } = request;
  const isLogin = request.routeOptions.config.isLogin === true;
  const status = reply.raw.headersSent ? reply.raw.statusCode : 0;
  return {
    time_ms: nowMs,
    who: principal?.name ?? '',
    kind: principal?.kind ?? 'none',
    ...(request.triedAccount !== undefined && { account: request.triedAccount }),
    from: request.socket.remoteAddress ?? '',
    action: isLogin ? 'login' : 'change',
    method: request.method,
    path: (request.url.split('?', 1)[0] ?? '').slice(0, pathCharsMax),
    status,
    outcome: status === 0 ? 'gone' : status < 400 ? 'done' : status < 500 ? 'refused' : 'failed',
    request_id: request.id,
  };
}

/** Adds the route; it is an administrator's. */
export async function audit(app: App, group: RouteGroup): Promise<void> {
  app.route({
    method: 'GET',
    url: '',
    schema: {
      ...operation(group, 'listAuditEntries'),
      summary: 'Who changed what, and who tried to sign in; the newest first',
      description: `The last ${AUDIT_ENTRIES_MAX} entries of those who proved who they are, and as many of others. Administrators only.`,
      querystring: PagedQuery({}),
      response: answers({ 200: PagedAnswer(AuditEntry) }),
    },
    handler: async (request) => pageOf(group.access.audit.entries(), pageRequest(request.query)),
  });
}
