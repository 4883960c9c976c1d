/**
 * The two ways in which a key expression can fail. Shard worker and main thread.
 *
 * `KeyExpressionError` is found when the expression is compiled: the request that brought it is
 * refused and nothing is stored. `KeyEvaluationError` is found with one message in hand: the queue's
 * key error policy decides about that message. Nothing else ever leaves this folder.
 */

/** The expression itself is wrong. `position` is the offset of the offending character in the source. */
export class KeyExpressionError extends Error {
  override readonly name = 'KeyExpressionError';
  readonly code = 'ERR_KEY_EXPRESSION';
  readonly position: number;
  constructor(message: string, position: number) {
    super(`${message} (at position ${position})`);
    this.position = position;
  }
}

/**
 * Why a message has no key: a variable has no value in it (`unbound`), a value is of the wrong type
 * (`type`), has a content the function cannot use (`value`), or is larger than we allow (`limit`).
 */
export type KeyEvaluationReason = 'unbound' | 'type' | 'value' | 'limit';

/** The expression is right, but has no key for this message. */
export class KeyEvaluationError extends Error {
  override readonly name = 'KeyEvaluationError';
  readonly code = 'ERR_KEY_EVALUATION';
  readonly reason: KeyEvaluationReason;
  constructor(reason: KeyEvaluationReason, message: string) {
    super(message);
    this.reason = reason;
  }

  /** This error, its text now beginning with the function it happened in. A second error would cost a second stack trace. */
  within(functionName: string): this {
    this.message = `${functionName}: ${this.message}`;
    return this;
  }
}
