/**
 * Every way in which a request fails: the codes, their statuses, and the one body shape. Main thread.
 *
 * Always true: a failed request is answered with `{"code","message"}`, whatever failed: route, body, key, queue or
 * shard. `message` is text, or an object for a value that does not fit its schema. What went wrong inside is
 * logged and never told. Codes that EMQX has are EMQX's [REF-7.3, REF-7.5].
 */
import type { FastifyBaseLogger, FastifyReply } from 'fastify';
import Type, { type Static } from 'typebox';

import { OperatorError } from '../broker/operator-error.js';

/** Status and meaning of every code; docs/rest-api.md shows this table. */
export const restErrors = {
  BAD_REQUEST: {
    status: 400,
    meaning: 'The body, a field, the cursor or the path is not what it should be.',
  },
  ALREADY_EXISTS: {
    status: 400,
    meaning: 'A queue, account or API key of that name, or the same ban, exists.',
  },
  MAX_QUEUE_COUNT_REACHED: { status: 400, meaning: 'There are `max_queue_count` queues.' },
  EXCEED_LIMIT: { status: 400, meaning: 'There are as many accounts, API keys or bans as there may be.' },
  NOT_ALLOWED: {
    status: 400,
    meaning: 'An administrator must be left, and nobody removes his own account.',
  },
  ERROR_PWD_NOT_MATCH: { status: 400, meaning: 'The old password is wrong.' },
  AUTHORIZATION_HEADER_ERROR: {
    status: 401,
    meaning: 'The header `Authorization` is missing or unreadable.',
  },
  BAD_API_KEY_OR_SECRET: { status: 401, meaning: 'No such key, or a wrong secret.' },
  BAD_TOKEN: { status: 401, meaning: 'A bearer token that was not issued here, or has ended.' },
  TOKEN_TIME_OUT: { status: 401, meaning: 'A bearer token that was not used for too long; sign in again.' },
  BAD_USERNAME_OR_PWD: { status: 401, meaning: 'No such account, or a wrong password.' },
  LOGIN_LOCKED: {
    status: 401,
    meaning:
      'Too many wrong passwords from this address or for this account; `Retry-After` says how long to wait.',
  },
  UNAUTHORIZED_ROLE: {
    status: 403,
    meaning: 'The role, scope or namespace of the account or key does not allow this.',
  },
  FORBIDDEN: {
    status: 403,
    meaning: 'Without API keys only this machine is answered, and no foreign web page.',
  },
  NOT_FOUND: {
    status: 404,
    meaning: 'No such route, queue, shard, retained message, account, API key or ban.',
  },
  CLIENTID_NOT_FOUND: {
    status: 404,
    meaning: 'No such client, or it is not connected and would have to be.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    meaning: 'The route exists, but not for this method; see the header `Allow`.',
  },
  REQUEST_TIMEOUT: { status: 408, meaning: 'The request took too long to arrive.' },
  BACKUP_REFUSED: {
    status: 409,
    meaning: 'Another backup is under way, or the store is `memory` and keeps nothing.',
  },
  PAYLOAD_TOO_LARGE: { status: 413, meaning: 'The body is larger than 1 MB.' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, meaning: 'A body that is not `application/json`.' },
  QUOTA_EXCEEDED: {
    status: 429,
    meaning: 'A queue is full and refuses messages, or as many listen to the events as may.',
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    meaning: 'Too many wrong API keys from this address; it is refused for the rest of the minute.',
  },
  HEADERS_TOO_LARGE: { status: 431, meaning: 'Request line and headers are larger than 16 KB.' },
  INTERNAL_ERROR: { status: 500, meaning: 'A fault of the broker; its log has the details.' },
  SERVICE_UNAVAILABLE: {
    status: 503,
    meaning:
      'Queues are switched off, the broker starts or stops, or a shard or the disk did not do its part.',
  },
} as const;
/** A code of the table. */
export type RestErrorCode = keyof typeof restErrors;

/** Body of every failed request. */
export const ErrorBody = Type.Object({
  code: Type.Enum(Object.keys(restErrors) as RestErrorCode[]),
  message: Type.Union([
    Type.String(),
    Type.Object({
      kind: Type.Literal('validation_error'),
      path: Type.String(),
      reason: Type.String(),
      value: Type.Optional(Type.Union([Type.String(), Type.Number(), Type.Boolean()])),
    }),
  ]),
});
export type ErrorBody = Static<typeof ErrorBody>;

/** Answers with a failure. */
export function sendError(
  reply: FastifyReply,
  code: RestErrorCode,
  message: ErrorBody['message'],
): FastifyReply {
  return reply.code(restErrors[code].status).send({ code, message } satisfies ErrorBody);
}

/** Turns anything that was thrown into its answer. */
export function answerError(error: unknown, reply: FastifyReply, log: FastifyBaseLogger): FastifyReply {
  if (error instanceof OperatorError) {
    if (error.code === 'SERVICE_UNAVAILABLE') log.warn({ err: error }, 'a request could not be served');
    return sendError(reply, error.code, error.detail);
  }
  const status = statusOf(error);
  if (status === 413) return sendError(reply, 'PAYLOAD_TOO_LARGE', 'The body is larger than 1 MB');
  if (status === 415) return sendError(reply, 'UNSUPPORTED_MEDIA_TYPE', 'The body must be application/json');
  if (status === 404) return sendError(reply, 'NOT_FOUND', 'Not found');
  if (status === 408) return sendError(reply, 'REQUEST_TIMEOUT', 'The request took too long to arrive');
  if (status === 503) return sendError(reply, 'SERVICE_UNAVAILABLE', 'The broker is stopping');
  if (status >= 400 && status < 500) return sendError(reply, 'BAD_REQUEST', messageOf(error));
  log.error({ err: error }, 'a request failed');
  return sendError(reply, 'INTERNAL_ERROR', 'Internal error; see the log of the broker');
}

/** The same for a request so broken that there is no reply object: the bytes to write to the socket. */
export function rawErrorAnswer(errorCode: string | undefined): string {
  const code = rawCodes[errorCode ?? ''] ?? 'BAD_REQUEST';
  const body = JSON.stringify({ code, message: rawMessages[code] ?? 'Malformed HTTP request' });
  const { status } = restErrors[code];
  return [
    `HTTP/1.1 ${status} ${code}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

const rawCodes: Readonly<Record<string, RestErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
};
const rawMessages: Partial<Record<RestErrorCode, string>> = {
  HEADERS_TOO_LARGE: 'Request line and headers are larger than 16 KB',
  REQUEST_TIMEOUT: 'The request took too long to arrive',
};

function statusOf(error: unknown): number {
  const isStatus = error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number';
  return isStatus ? Number(error.statusCode) : 500;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'Bad request';
}
