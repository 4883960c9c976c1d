/**
 * A queue as the API describes it, and as the form edits it. In the browser; pure.
 *
 * Always true: the form holds texts as they were typed; `faultsOf` says what the broker would refuse, so far as that can be told
 * here, and `bodyOf` makes the body of a request only from a form without faults. The broker checks again. A change sends
 * only what was changed (PATCH), so that settings without a field keep their values.
 */
import type { DispatchStrategy } from '../../base/types.js';

/** The queue object of the API, as far as the dashboard shows it. */
export interface QueueDefinition {
  readonly name: string;
  readonly topic_filter: string;
  readonly is_lastvalue: boolean;
  readonly key_expression?: string;
  readonly on_key_error?: KeyErrorPolicy;
  readonly dispatch_strategy: DispatchStrategy;
  readonly data_retention_period: number;
  readonly max_messages: number | 'infinity';
  readonly max_bytes: number | 'infinity';
  readonly overflow: Overflow;
  readonly local_max_inflight: number;
  readonly fast_max_inflight: number;
  readonly redispatch_interval: number;
  readonly paused: boolean;
}

type KeyErrorPolicy = 'drop' | 'reject' | 'use_empty';
type Overflow = 'drop_oldest' | 'reject_publish';

/** Strategies as people read them. */
export const strategyNames: Readonly<Record<DispatchStrategy, string>> = {
  random: 'random',
  round_robin: 'round robin',
  least_inflight: 'least in flight',
};

/** What is typed into the form. */
export interface QueueForm {
  readonly name: string;
  readonly topicFilter: string;
  readonly kind: 'regular' | 'lastvalue';
  readonly keyExpression: string;
  readonly keyErrorPolicy: KeyErrorPolicy;
  readonly strategy: DispatchStrategy;
  readonly retention: string;
  readonly messagesMax: string;
  readonly bytesMax: string;
  readonly overflow: Overflow;
  readonly inFlightMax: string;
  readonly fastInFlightMax: string;
  readonly redispatchInterval: string;
}

/** What is wrong, by field. */
export type Faults = Partial<Record<keyof QueueForm, string>>;

/** What the broker takes for a window that is left empty, and for the other one while both are. */
const inFlightDefault = 10;
const fastInFlightDefault = 200;

/** A new queue. */
export const emptyForm: QueueForm = {
  name: '',
  topicFilter: '',
  kind: 'regular',
  keyExpression: 'message.from',
  keyErrorPolicy: 'drop',
  strategy: 'random',
  retention: '7d',
  messagesMax: '',
  bytesMax: '',
  overflow: 'drop_oldest',
  inFlightMax: '',
  fastInFlightMax: '',
  redispatchInterval: '100ms',
};

/** The texts of a queue that exists. */
export function formOf(queue: QueueDefinition): QueueForm {
  return {
    name: queue.name,
    topicFilter: queue.topic_filter,
    kind: queue.is_lastvalue ? 'lastvalue' : 'regular',
    keyExpression: queue.key_expression ?? '',
    keyErrorPolicy: queue.on_key_error ?? 'drop',
    strategy: queue.dispatch_strategy,
    retention: durationText(queue.data_retention_period),
    messagesMax: queue.max_messages === 'infinity' ? '' : String(queue.max_messages),
    bytesMax: queue.max_bytes === 'infinity' ? '' : bytesText(queue.max_bytes),
    overflow: queue.overflow,
    inFlightMax: String(queue.local_max_inflight),
    fastInFlightMax: String(queue.fast_max_inflight),
    redispatchInterval: durationText(queue.redispatch_interval),
  };
}

const durationPattern = /^(?:\d+|(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+)$/i;
const bytesPattern = /^\d+$|^\d+(?:\.\d+)?\s*(?:b|[kmgt]i?b)$/i;
const namePattern = /^[0-9A-Za-z][-.0-9A-Za-z_]*$/;
const durationHint = 'A duration such as 100ms, 10s, 1h30m or 7d.';

/** What can be told without asking the broker. */
export function faultsOf(form: QueueForm): Faults {
  const faults: Faults = {};
  if (form.name !== '' && !form.name.startsWith('/') && !namePattern.test(form.name)) {
    faults.name = 'Letters, digits, hyphen, dot and underscore; it begins with a letter or digit.';
  }
  if (form.topicFilter === '')
    faults.topicFilter = 'Needed: the queue stores messages whose topic matches it.';
  if (form.kind === 'lastvalue' && form.keyExpression.trim() === '') {
    faults.keyExpression = 'Needed: it tells which messages replace each other.';
  }
  if (!durationPattern.test(form.retention)) faults.retention = durationHint;
  if (!durationPattern.test(form.redispatchInterval)) faults.redispatchInterval = durationHint;
  if (form.messagesMax !== '' && !isWhole(form.messagesMax, 1, Number.MAX_SAFE_INTEGER)) {
    faults.messagesMax = 'A whole number of at least 1, or empty for no limit.';
  }
  if (form.bytesMax !== '' && !bytesPattern.test(form.bytesMax)) {
    faults.bytesMax = 'A size such as 64KB, 100MB or 2GB, or empty for no limit.';
  }
  const inFlightMax = form.inFlightMax === '' ? String(inFlightDefault) : form.inFlightMax;
  if (!isWhole(inFlightMax, 1, 65_535)) {
    faults.inFlightMax = 'A whole number from 1 to 65,535, or empty for 10.';
  } else if (form.fastInFlightMax !== '' && !isWhole(form.fastInFlightMax, Number(inFlightMax), 65_535)) {
    faults.fastInFlightMax = `A whole number from ${inFlightMax}, which everyone may have, to 65,535, or empty.`;
  }
  return faults;
}

/** The field of the form that the API calls `path`. */
export function fieldOf(path: string): keyof QueueForm | undefined {
  return apiFields.find(([, name]) => name === path)?.[0];
}

const apiFields: readonly (readonly [keyof QueueForm, string])[] = [
  ['name', 'name'],
  ['topicFilter', 'topic_filter'],
  ['keyExpression', 'key_expression'],
  ['keyErrorPolicy', 'on_key_error'],
  ['strategy', 'dispatch_strategy'],
  ['retention', 'data_retention_period'],
  ['messagesMax', 'max_messages'],
  ['bytesMax', 'max_bytes'],
  ['overflow', 'overflow'],
  ['inFlightMax', 'local_max_inflight'],
  ['fastInFlightMax', 'fast_max_inflight'],
  ['redispatchInterval', 'redispatch_interval'],
];

/** Body of POST, or of PATCH with what differs from `before`. */
export function bodyOf(form: QueueForm, before?: QueueForm): Record<string, unknown> {
  const isLastvalue = form.kind === 'lastvalue';
  const all: Record<string, unknown> = {
    ...(form.name === '' ? {} : { name: form.name }),
    topic_filter: form.topicFilter,
    is_lastvalue: isLastvalue,
    ...(isLastvalue ? { key_expression: form.keyExpression, on_key_error: form.keyErrorPolicy } : {}),
    dispatch_strategy: form.strategy,
    data_retention_period: form.retention,
    max_messages: form.messagesMax === '' ? 'infinity' : Number(form.messagesMax),
    max_bytes: form.bytesMax === '' ? 'infinity' : form.bytesMax.replaceAll(' ', ''),
    overflow: form.overflow,
    ...(form.inFlightMax === '' ? {} : { local_max_inflight: Number(form.inFlightMax) }),
    ...(form.fastInFlightMax === '' ? {} : { fast_max_inflight: Number(form.fastInFlightMax) }),
    redispatch_interval: form.redispatchInterval,
  };
  if (before === undefined) return all;
  const old = bodyOf(before);
  const changed = Object.entries(all).filter(([name, value]) => value !== old[name]);
  const isSameWindow =
    form.inFlightMax === before.inFlightMax && form.fastInFlightMax === before.fastInFlightMax;
  return { ...Object.fromEntries(changed), ...(isSameWindow ? {} : windowsOf(form)) };
}

/** Both, as a new queue with these texts would have them. */
function windowsOf({ inFlightMax, fastInFlightMax }: QueueForm): Record<string, unknown> {
  const local = inFlightMax === '' ? inFlightDefault : Number(inFlightMax);
  const fast = inFlightMax === '' ? Math.max(local, fastInFlightDefault) : local;
  return {
    local_max_inflight: local,
    fast_max_inflight: fastInFlightMax === '' ? fast : Number(fastInFlightMax),
  };
}

function isWhole(text: string, min: number, max: number): boolean {
  const value = Number(text);
  return /^\d+$/.test(text) && value >= min && value <= max;
}

function durationText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const;
  for (const [name, size] of units) {
    if (ms >= size && ms % size === 0) return `${ms / size}${name}`;
  }
  return `${ms}ms`;
}

function bytesText(bytes: number): string {
  const units = [
    ['GB', 1024 ** 3],
    ['MB', 1024 ** 2],
    ['KB', 1024],
  ] as const;
  for (const [name, size] of units) {
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${name}`;
  }
  return `${bytes}B`;
}
