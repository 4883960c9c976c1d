/**
 * What a SUBSCRIBE really asks for: plain filters, `$share/…`, `$q/…`, `$queue/…`. Main thread, pure.
 *
 * Always true: every way to write a subscription is led back to what it gives access to, so that another spelling
 * opens nothing: a share is its filter; a queue is its name, its literal string and the filter that fills it. A filter
 * that reaches what `$q/` and `$queue/` stand for is found by all of its spellings. Source: REF 1.2 and 1.6.
 */
import { parseFilter, type Filter } from './acl-filter.js';
import type { Wish } from './acl-step.js';

/** A queue as a subscription means it. */
export interface QueueRef {
  readonly name: string;
  readonly topicFilter: string;
}

/** The parts of a subscription; all of them must be granted. */
export interface Asked {
  /** The subscription itself. */
  readonly wish: Wish;
  /** Filters that fill the queue; empty for ordinary subscriptions. */
  readonly sources: readonly string[];
}

/** Takes a well-formed subscription string apart; `queue` is the queue it leads to, as far as that is known. */
export function askedFor(text: string, queue: QueueRef | undefined): Asked {
  const inner = withoutShare(text);
  const spelled = new Set([inner, text]);
  const sources = new Set<string>();
  const names = new Set<string>();
  const literal = queueOf(inner);
  if (literal !== undefined) {
    if (literal.filter !== undefined) sources.add(literal.filter);
    if (literal.name !== undefined) names.add(literal.name);
  }
  if (queue !== undefined) {
    sources.add(queue.topicFilter);
    names.add(queue.name);
  }
  const queueName = queue?.name ?? literal?.name ?? impliedName(literal?.filter);
  for (const filter of sources) spelled.add(`$q/${filter}`);
  for (const name of names) {
    spelled.add(`$queue/${name}`);
    for (const filter of sources) spelled.add(`$queue/${name}/${filter}`);
  }
  const spellings: Filter[] = [...spelled].map(parseFilter);
  return {
    wish: { text: inner, spellings, queueName, isQueue: literal !== undefined },
    sources: [...sources],
  };
}

/** An ordinary subscription to `filter`, as the source of a queue. */
export function wishFor(filter: string): Wish {
  return { text: filter, spellings: [parseFilter(filter)], queueName: undefined, isQueue: false };
}

/** The filter of a share, also of a share of a share: no such thing is granted, but it must not hide what is in it. */
function withoutShare(text: string): string {
  let rest = text;
  while (rest.startsWith('$share/')) {
    const slash = rest.indexOf('/', '$share/'.length);
    if (slash < 0) return rest;
    rest = rest.slice(slash + 1);
  }
  return rest;
}

function queueOf(text: string): { name: string | undefined; filter: string | undefined } | undefined {
  if (text.startsWith('$q/')) return { name: undefined, filter: text.slice(3) };
  if (!text.startsWith('$queue/')) return undefined;
  const rest = text.slice('$queue/'.length);
  const slash = rest.indexOf('/');
  if (slash < 0) return { name: rest, filter: undefined };
  return { name: rest.slice(0, slash), filter: rest.slice(slash + 1) };
}

/** The name of a queue that was made without one. */
function impliedName(filter: string | undefined): string | undefined {
  return filter === undefined ? undefined : `/${filter}`;
}
