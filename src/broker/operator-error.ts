/**
 * Why an operator's request was refused. Runs on the main thread.
 *
 * Always true: `code` is stable and part of the REST contract; `detail` may be shown to the caller as it is.
 * Raised by the layer that knows the rule (queue service, configuration store, admin door), turned into a
 * status and a body in one place (src/http/error.ts). The caller's fault or the world's, never our own.
 */
import { OperationalError } from '../base/error.js';

/** Stable codes of refused requests; src/http/error.ts maps each to its HTTP status. */
export type OperatorErrorCode =
  | 'BAD_REQUEST'
  | 'ALREADY_EXISTS'
  | 'MAX_QUEUE_COUNT_REACHED'
  | 'NOT_FOUND'
  | 'BACKUP_REFUSED'
  | 'CLIENTID_NOT_FOUND'
  | 'QUOTA_EXCEEDED'
  | 'SERVICE_UNAVAILABLE';

/** A value that does not fit its schema. */
export interface ValidationDetail {
  readonly kind: 'validation_error';
  /** Dotted path of the field; empty for the whole body. */
  readonly path: string;
  readonly reason: string;
  /** The offending value, when it is short and plain. */
  readonly value?: string | number | boolean;
}

/** A refused request: `code` for programs, `detail` for people. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';
  readonly code: OperatorErrorCode;
  readonly detail: string | ValidationDetail;
  constructor(code: OperatorErrorCode, detail: string | ValidationDetail, cause?: unknown) {
    const message = typeof detail === 'string' ? detail : `${detail.path}: ${detail.reason}`;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.detail = detail;
  }
}

/** The request itself is wrong. */
export function badRequest(message: string): OperatorError {
  return new OperatorError('BAD_REQUEST', message);
}

/** One field is wrong. Only short plain values are repeated. */
export function invalidField(path: string, reason: string, value?: unknown): OperatorError {
  const plain =
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    (typeof value === 'string' && value.length <= 200);
  return new OperatorError('BAD_REQUEST', {
    kind: 'validation_error',
    path,
    reason,
    ...(plain ? { value } : {}),
  });
}

/** A backup that cannot be taken, now or ever; a shard that did not do its part is told from it. */
export function backupFault(error: unknown): unknown {
  return error instanceof OperationalError && error.code === 'ERR_BACKUP'
    ? new OperatorError('BACKUP_REFUSED', error.message, error)
    : unavailable(error);
}

/** What the operator is told when a shard or the disk did not do its part; other errors pass unchanged. */
export function unavailable(error: unknown): unknown {
  return error instanceof OperationalError
    ? new OperatorError('SERVICE_UNAVAILABLE', error.message, error)
    : error;
}
