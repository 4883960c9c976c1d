/**
 * The settings of a queue as options of `queues create` and `queues update`. Pure.
 *
 * Always true: an option that is not given is not sent, so that the broker's default or the present value stays; durations and
 * sizes go as they were written, because the broker checks them and names the field. `--set` reaches the remaining fields.
 */
import { type Command, Option } from 'commander';

import { CommandError, exitCode } from '../io.js';
import { keyValue, wholeNumber } from '../option.js';

/** What the options load to. */
export interface QueueOptions {
  readonly strategy?: string;
  readonly retention?: string;
  readonly maxMessages?: string;
  readonly maxBytes?: string;
  readonly overflow?: string;
  readonly maxInflight?: number;
  readonly fastMaxInflight?: number;
  readonly keyExpression?: string;
  readonly onKeyError?: string;
  readonly paused?: boolean;
  readonly set?: readonly (readonly [string, string])[];
}

/** Adds them. */
export function withQueueSettings(command: Command): Command {
  return command
    .addOption(
      new Option('--strategy <word>', 'how the next message finds its consumer').choices([
        'random',
        'round_robin',
        'least_inflight',
      ]),
    )
    .option('--retention <duration>', 'longest life of a message, such as 12h or 7d')
    .option('--max-messages <count>', 'most messages in the queue, or infinity')
    .option('--max-bytes <size>', 'most bytes in the queue, such as 100MB, or infinity')
    .addOption(
      new Option('--overflow <word>', 'what happens at these limits').choices([
        'drop_oldest',
        'reject_publish',
      ]),
    )
    .option('--max-inflight <count>', 'unacknowledged messages per consumer', wholeNumber(1, 65_535))
    .option(
      '--fast-max-inflight <count>',
      'the same for a consumer that answers fast (left out beside --max-inflight: as that)',
      wholeNumber(1, 65_535),
    )
    .option('--key-expression <text>', 'key of a message; last-value queues only')
    .addOption(
      new Option('--on-key-error <word>', 'when the key cannot be told; last-value queues only').choices([
        'drop',
        'reject',
        'use_empty',
      ]),
    )
    .option('--paused', 'store messages, but do not deliver them')
    .option('--set <field=value>', 'any other field of the REST API; may be repeated', keyValue);
}

/** The body of the request. */
export function queueBody(options: QueueOptions): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  const put = (field: string, value: unknown): void => {
    if (value !== undefined) body[field] = value;
  };
  put('dispatch_strategy', options.strategy);
  put('data_retention_period', options.retention);
  put('max_messages', countOf(options.maxMessages));
  put('max_bytes', options.maxBytes);
  put('overflow', options.overflow);
  put('local_max_inflight', options.maxInflight);
  put('fast_max_inflight', options.fastMaxInflight);
  put('key_expression', options.keyExpression);
  put('on_key_error', options.onKeyError);
  put('paused', options.paused);
  for (const [field, value] of options.set ?? []) setPath(body, field.split('.'), jsonOrText(value));
  return body;
}

function countOf(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}

/** `limits.max_shard_message_count` is a field inside `limits`. */
function setPath(
  body: Record<string, unknown>,
  [head = '', ...rest]: readonly string[],
  value: unknown,
): void {
  if (!/^[a-z][a-z_]*$/.test(head)) {
    throw new CommandError(exitCode.wrongUse, `--set: ${JSON.stringify(head)} is not the name of a field`);
  }
  if (rest.length === 0) {
    body[head] = value;
    return;
  }
  const inner = typeof body[head] === 'object' ? (body[head] as Record<string, unknown>) : {};
  body[head] = inner;
  setPath(inner, rest, value);
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
