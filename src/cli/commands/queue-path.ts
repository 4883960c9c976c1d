/**
 * How the commands name a queue in the REST API, and what they know of its answers. Pure.
 *
 * Always true: a name is percent-encoded, so that a queue called `/t/#` is one path segment; the bare topic filter of a queue
 * that was created without a name works as well, because the API takes it.
 */

/** A queue as the API answers it; the fields that commands read. */
export interface QueueObject {
  readonly name: string;
  readonly topic_filter: string;
  readonly is_lastvalue: boolean;
  readonly paused: boolean;
  readonly key_expression?: string;
  readonly [field: string]: unknown;
}

/** Path of a queue below `/api/v5`. */
export function pathOf(name: string): string {
  return `/message_queues/queues/${encodeURIComponent(name)}`;
}

/** What is said when there is no such queue. */
export function missing(name: string): { notFound: string; hint: string } {
  return {
    notFound: `there is no queue ${JSON.stringify(name)}`,
    hint: '"sluice queues list" shows the queues that exist',
  };
}
