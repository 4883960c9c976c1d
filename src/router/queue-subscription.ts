/**
 * Queue subscription strings: `$q/<filter>`, `$queue/<name>`, `$queue/<name>/<filter>`. Main thread, pure.
 *
 * Always true: anything that starts with `$q/` or `$queue/` is a queue subscription and never a plain topic
 * filter. The text after `$queue/` is split at the first `/`. Source: REF 1.2.
 */

/** Names an operator may give to a queue. */
export const QUEUE_NAME_PATTERN = /^[0-9A-Za-z][-.0-9A-Za-z_]*$/;

/** A parsed queue subscription: `$q/<filter>`, `$queue/<name>` or `$queue/<name>/<filter>`. */
export type QueueSubscription =
  | { readonly kind: 'by-filter'; readonly filter: string }
  | { readonly kind: 'by-name'; readonly name: string }
  | { readonly kind: 'by-name-and-filter'; readonly name: string; readonly filter: string };

/** True for strings that `parseQueueSubscription` takes. */
export function isQueueSubscription(text: string): boolean {
  return text.startsWith('$q/') || text.startsWith('$queue/');
}

/** Parses a queue subscription, or returns undefined when name or filter are malformed (empty, bad name). */
export function parseQueueSubscription(text: string): QueueSubscription | undefined {
  if (text.startsWith('$q/')) {
    const filter = text.slice(3);
    return filter === '' ? undefined : { kind: 'by-filter', filter };
  }
  if (!text.startsWith('$queue/')) return undefined;
  const rest = text.slice(7);
  const slash = rest.indexOf('/');
  const name = slash < 0 ? rest : rest.slice(0, slash);
  if (!QUEUE_NAME_PATTERN.test(name)) return undefined;
  if (slash < 0) return { kind: 'by-name', name };
  const filter = rest.slice(slash + 1);
  return filter === '' ? undefined : { kind: 'by-name-and-filter', name, filter };
}

/** Name of a queue that was created without one. */
export function impliedQueueName(topicFilter: string): string {
  return `/${topicFilter}`;
}
