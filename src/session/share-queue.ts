/**
 * Share groups that are durable queues by configuration (`SLUICE_SHARE_QUEUE`). Main thread, pure.
 *
 * Always true: such a queue has the whole text `$share/<name>/<filter>` as its name, which no operator can give to a
 * queue, and `<filter>` as its filter; a group is either a queue or shares live messages, by name and filter alone.
 * Gives up: `sticky` and the hashes, which queues do not know. Source: docs/shared-subscriptions.md.
 */
import type { Config } from '../config/config.js';
import type { ShareStrategy } from '../config/share-settings.js';
import { isShare, sharePrefix } from '../mqtt/topic.js';
import type { DispatchStrategy } from '../queue/definition.js';

/** Name and filter of a queue. */
export interface ShareQueue {
  readonly name: string;
  readonly filter: string;
}

/**
 * The queue that a shared subscription is, or undefined: it shares live messages, or is no shared subscription.
 * `topicFilter` is the literal text of the subscription and must be valid.
 */
export function shareQueueOf(
  topicFilter: string,
  { shareQueue }: Pick<Config, 'shareQueue'>,
): ShareQueue | undefined {
  if (shareQueue === 'off' || !isShare(topicFilter)) return undefined;
  const text = topicFilter.slice(sharePrefix.length);
  const slash = text.indexOf('/');
  if (slash < 1 || slash === text.length - 1) return undefined;
  if (shareQueue !== 'on' && !shareQueue.some((pattern) => matchesPattern(pattern, text))) return undefined;
  return { name: topicFilter, filter: text.slice(slash + 1) };
}

/** How the queue of a share group chooses: `sticky` and the hashes become turns. */
export function shareQueueStrategy(strategy: ShareStrategy): DispatchStrategy {
  return strategy === 'random' || strategy === 'least_inflight' ? strategy : 'round_robin';
}

/** True when `pattern` is `text`, with any text in the place of each `*`. Cost: their lengths multiplied, no more. */
export function matchesPattern(pattern: string, text: string): boolean {
  const [first = '', ...rest] = pattern.split('*');
  const last = rest.pop();
  if (last === undefined) return pattern === text;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    // The leftmost place is as good as any: it leaves the most for what follows.
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return text.length - last.length >= at && text.endsWith(last);
}
