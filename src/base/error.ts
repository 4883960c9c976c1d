/**
 * The three families of errors. Runs on every thread.
 *
 * Peer's fault (`ProtocolError`): ends that connection only. World's fault
 * (`OperationalError`): stable code, cause kept, one place decides. Our fault
 * (`assert`): a broken invariant; it stays on in production where it is cheap.
 */

/** Stable codes of the world's faults; documented in docs/errors.md. */
export type OperationalCode =
  | 'ERR_LOG_OPEN'
  | 'ERR_LOG_WRITE'
  | 'ERR_LOG_READ'
  | 'ERR_LOG_CORRUPT'
  | 'ERR_LOG_VERSION'
  | 'ERR_LOG_LOCKED'
  | 'ERR_LOG_SYNC'
  | 'ERR_CONFIG'
  | 'ERR_LISTEN'
  | 'ERR_SHARD_DOWN'
  | 'ERR_LAYOUT'
  | 'ERR_ACCESS_FILE'
  | 'ERR_ACL'
  | 'ERR_API_KEYS'
  | 'ERR_TLS'
  | 'ERR_AUTH'
  | 'ERR_BACKUP'
  | 'ERR_BACKUP_DAMAGED'
  | 'ERR_BACKUP_VERSION'
  | 'ERR_RESTORE';

/** A fault of the environment: disk, port, configuration, dead worker. `cause` keeps the original. */
export class OperationalError extends Error {
  override readonly name = 'OperationalError';
  readonly code: OperationalCode;
  constructor(code: OperationalCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const CODED = /^(ERR_[A-Z_]+): ([^]*)$/;

/** For the way to another thread: structured cloning drops class and code of an error, so its message takes the code along. */
export function packError(error: unknown): Error {
  if (error instanceof OperationalError) return new Error(`${error.code}: ${error.message}`);
  return error instanceof Error ? error : new Error(String(error));
}

/** The inverse of `packError` on the receiving thread; what was no `OperationalError` is handed back as it is. */
export function unpackError(error: unknown): unknown {
  const match = error instanceof Error ? CODED.exec(error.message) : null;
  if (match === null) return error;
  return new OperationalError(match[1] as OperationalCode, match[2] as string);
}

/** A peer broke the protocol: `reasonCode` is the MQTT 5 byte to answer with, `clause` the statement it broke. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly reasonCode: number;
  readonly clause: string;
  constructor(reasonCode: number, message: string, clause = '') {
    super(clause === '' ? message : `${message} [${clause}]`);
    this.reasonCode = reasonCode;
    this.clause = clause;
  }
}

/** Our own fault: a broken invariant. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws `AssertionError` unless `condition` holds. Costs one branch; keep the message a literal. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
