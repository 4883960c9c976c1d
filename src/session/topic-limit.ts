/**
 * How long and how deep topic names and filters may be. Main thread, pure.
 *
 * Always true: the same bounds hold for publishes, wills and subscriptions, as bytes and as text; what is refused is
 * counted by whoever refuses. Gives up: nothing; a topic is looked at here only when it is another than the one before.
 */
import type { Config } from '../config/config.js';
import { slotOf } from '../telemetry/counter-layout.js';

/** Counters of requests that a limit has refused. */
export const limitExceeded = {
  'topic-bytes': slotOf('limitExceeded', 'topic-bytes'),
  'topic-levels': slotOf('limitExceeded', 'topic-levels'),
  subscriptions: slotOf('limitExceeded', 'subscriptions'),
  sessions: slotOf('limitExceeded', 'sessions'),
} as const;

/** Which limit a topic breaks. */
export type TopicLimitFault = 'topic-bytes' | 'topic-levels';

/** The limit that `topic` breaks, undefined for none. */
export function topicLimitFault(topic: string, config: Config): TopicLimitFault | undefined {
  const { topicBytesMax, topicLevelsMax } = config;
  // A UTF-16 unit takes at most three bytes, so most topics need no byte count.
  if (topic.length * 3 > topicBytesMax && Buffer.byteLength(topic) > topicBytesMax) return 'topic-bytes';
  if (topic.length < topicLevelsMax) return undefined;
  let levels = 1;
  for (let i = 0; i < topic.length; i++) if (topic.charCodeAt(i) === slash) levels++;
  return levels > topicLevelsMax ? 'topic-levels' : undefined;
}

/** The same for the bytes of a topic name. */
export function topicBytesLimitFault(
  buffer: Buffer,
  start: number,
  end: number,
  config: Config,
): TopicLimitFault | undefined {
  const { topicBytesMax, topicLevelsMax } = config;
  if (end - start > topicBytesMax) return 'topic-bytes';
  // A topic has at most one level more than bytes.
  if (end - start < topicLevelsMax) return undefined;
  let levels = 1;
  for (let i = start; i < end; i++) if (buffer[i] === slash) levels++;
  return levels > topicLevelsMax ? 'topic-levels' : undefined;
}

const slash = 0x2f;
