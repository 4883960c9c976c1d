/**
 * The decision itself: an ordered list of steps is asked about a topic, a filter or a queue. Main thread, pure.
 *
 * Always true: the first step that speaks decides, and within a step a denial wins over a permission, whatever their
 * order in the file. What no step speaks of is denied. A subscription is granted only when every topic it can match
 * is granted: it must lie inside one permission, and no denial of that step or of an earlier one may touch it.
 * Gives up: subscriptions that only several permissions together would cover.
 */
import { contains, overlaps, parseFilter, type Filter } from './acl-filter.js';

/** Bits of `AclEntry.publishBits`: QoS 0, 1, 2 not retained, then the same retained. */
export const allPublishBits = 0b111_111;
/** Bits of `AclEntry.subscribeBits`: QoS 0, 1, 2. */
export const allSubscribeBits = 0b111;

/** One permission or denial about topics. */
export interface AclEntry {
  readonly text: string;
  readonly filter: Filter;
  /** Speaks of exactly `text`: as a permission of no wider or narrower filter, as a denial of every filter around it. */
  readonly isExact: boolean;
  /** Which publishes it speaks of; 0: none. */
  readonly publishBits: number;
  /** Which subscriptions it speaks of, by requested QoS; 0: none. */
  readonly subscribeBits: number;
}

/** Entries that are looked at together. Queue names end in `*` when they stand for all that begin so. */
export interface AclStep {
  readonly allow: readonly AclEntry[];
  readonly deny: readonly AclEntry[];
  readonly allowQueues: readonly string[];
  readonly denyQueues: readonly string[];
}

/** What a subscription asks for; made in acl-subscription.ts. */
export interface Wish {
  /** Must lie inside a permission. */
  readonly text: string;
  /** No denial may touch one of these: other ways to write the same subscription. */
  readonly spellings: readonly Filter[];
  /** Name of the queue, when it leads to one. */
  readonly queueName: string | undefined;
  /** The right to that name is as good as the right to `text`; false for a share group that is kept as a queue. */
  readonly isQueue: boolean;
}

/** Which publishes to `topicName` are allowed, as the bits of `AclEntry.publishBits`. */
export function publishBitsOf(steps: readonly AclStep[], topicName: string): number {
  const topic = parseFilter(topicName);
  let allowed = 0;
  let undecided = allPublishBits;
  for (let i = 0; i < steps.length && undecided !== 0; i++) {
    const { allow, deny } = steps[i] as AclStep;
    const refused = speaksOf(deny, topicName, topic);
    const granted = speaksOf(allow, topicName, topic);
    allowed |= undecided & granted & ~refused;
    undecided &= ~(granted | refused);
  }
  return allowed;
}

/** True when a subscription with `qos` may have all that `wish` can match. */
export function mayRead(steps: readonly AclStep[], wish: Wish, qos: number): boolean {
  const filter = parseFilter(wish.text);
  const bit = 1 << qos;
  for (const step of steps) {
    if (wish.queueName !== undefined && namesQueue(step.denyQueues, wish.queueName)) return false;
    for (const entry of step.deny) {
      if ((entry.subscribeBits & bit) !== 0 && touches(entry, wish.spellings)) return false;
    }
    if (wish.isQueue && wish.queueName !== undefined && namesQueue(step.allowQueues, wish.queueName))
      return true;
    for (const entry of step.allow) {
      if ((entry.subscribeBits & bit) === 0) continue;
      if (entry.isExact ? entry.text === wish.text : contains(entry.filter, filter)) return true;
    }
  }
  return false;
}

function speaksOf(entries: readonly AclEntry[], topicName: string, topic: Filter): number {
  let bits = 0;
  for (const entry of entries) {
    if (entry.publishBits === 0) continue;
    if (entry.isExact ? entry.text === topicName : contains(entry.filter, topic)) bits |= entry.publishBits;
  }
  return bits;
}

function touches(entry: AclEntry, spellings: readonly Filter[]): boolean {
  return spellings.some((filter) =>
    entry.isExact ? contains(filter, entry.filter) : overlaps(entry.filter, filter),
  );
}

function namesQueue(names: readonly string[], queueName: string): boolean {
  return names.some((name) =>
    name.endsWith('*') ? queueName.startsWith(name.slice(0, -1)) : name === queueName,
  );
}
